"""The same numbers from torch on every x86-64 processor with AVX2.

ATen, oneDNN and MKL choose their code by the processor. The last digit of a product then differs from machine to
machine, and training amplifies it: after a few hundred steps two machines have two networks. What the book trains
with torch (chapter 13; `legc_utils.engine` needs no such care) is therefore computed by the code that all these
processors share. This costs a twentieth of the time for networks as small as the book's, but more for large ones, so
`import legc_utils` alone leaves torch as it is.
"""

import os
import sys

from llvmlite import binding

# Read by the libraries when torch is first imported. All three are needed (Deep-MI/FastSurfer, pull request 892).
SETTINGS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}


def supported():
    """Whether this processor has AVX2, and so can run the code that the book's numbers come from: bool."""
    return bool(binding.get_host_cpu_features().get("avx2"))


def settle():
    """Make what torch computes from here on independent of the processor's model.

    Call it before torch is first imported; it overrides what the environment says.

    Returns
    -------
    str or None
        None if numbers are portable, else one line that says why they are not.
    """
    if not supported():
        return "This processor has no AVX2: networks trained with torch may differ from the book's."
    if all(os.environ.get(name) == value for name, value in SETTINGS.items()):
        return None
    if "torch" in sys.modules:
        return "torch was imported before the book's settings: networks trained with it may differ from the book's."
    os.environ |= SETTINGS
    return None
