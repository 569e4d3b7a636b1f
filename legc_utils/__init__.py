"""LEGC, the method: exponents of weight series, Granger tests, masks. An arrow is data, one module to the next.

datasets → training → lyapunov → granger → selection → pruning; recorder does the first five for a model of your own.
"""

import importlib
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, which torch and pooch import
_HOMES = {"LEGCRecorder": "recorder", "find_masks": "selection", "prune_parameters": "pruning"}
__all__ = list(_HOMES)
__version__ = "0.1.0"


def __getattr__(name):
    """Imported when asked for, so that exponents and Granger tests need no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'legc_utils' has no attribute {name!r}; it hands out {', '.join(_HOMES)}")
    return getattr(importlib.import_module(f"legc_utils.{_HOMES[name]}"), name)
