"""What torch trains for the book ends in the same bits on other processors, as far as one machine can play them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from study import portable

pytestmark = [
    pytest.mark.skipif(not portable.supported(), reason="other processors than x86-64 with AVX2 differ"),
    pytest.mark.whole,
]
ROOT = Path(__file__).parent.parent
# What makes the libraries choose as they would on that processor
PROCESSORS = {
    "without AVX2 and FMA": {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable",
        "OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    },
    "with SSE4 alone": {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "with AVX2, by another maker": {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
}  # fmt: skip
TRAIN = """
import hashlib
import sys
from dataclasses import replace
from functools import partial

from legc_utils import datasets, protocols
from study import portable

if sys.argv[1] == "settled":
    assert portable.settle() is None

import torch

from study import networks, sparsity, texts

torch.set_num_threads(1)


def show(name, parameters):
    print(name, hashlib.sha256(b"".join(bytes(p.detach().numpy()) for p in parameters)).hexdigest())


split = datasets.load("mnist5k")
few = replace(split, X_train=split.X_train[:320], y_train=split.y_train[:320])
images, (text, characters) = sparsity.image_task(few), sparsity.text_task(texts.load("pydoc")[:5000], 32)
for name, build, task, rate in (
    ("resnet", networks.ResNet, images, 0.05), ("densenet", networks.DenseNet, images, 0.05),
    ("transformer", partial(networks.Transformer, len(characters), 32), text, 1.0),
):
    plan = protocols.get("published", rate=rate, batch_size=16, recorded_epochs=1)
    show(name, sparsity.train(sparsity.draw(build, 0), task, plan, 0).parameters())
    many = networks.side_by_side(build, [sparsity.draw(build, seed) for seed in range(3)])
    show(f"many-{name}", sparsity.train(many, task, plan, 0, copies=3).parameters())
"""


def python(code, *arguments, **environment):
    """What a Python of its own prints, whose environment says nothing of processors but what is given."""
    said = {*portable.SETTINGS, *(name for settings in PROCESSORS.values() for name in settings)}
    plain = {k: v for k, v in os.environ.items() if k not in said}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=plain | environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.splitlines()


def trained(settled, **environment):
    """Name of a network -> SHA-256 of its weights after a few steps."""
    return dict(line.split() for line in python(TRAIN, "settled" if settled else "as it comes", **environment))


@pytest.fixture(scope="module")
def here():
    return trained(settled=True)


EVERY = [pytest.param(name, marks=pytest.mark.slow) if "without" in name else name for name in PROCESSORS]


@pytest.mark.parametrize("processor", EVERY)
def test_networks_end_in_the_same_bits(here, processor):
    assert len(here) == 6 and trained(settled=True, **PROCESSORS[processor]) == here


@pytest.mark.slow
def test_without_the_settings_they_do_not():
    """Or the test above would tell nothing."""
    one, other = (trained(settled=False, **given) for given in ({}, PROCESSORS["with SSE4 alone"]))
    assert [name for name in one if one[name] == other[name]] == []


def test_a_notebook_that_finds_torch_without_the_settings_says_so():
    (line,) = python("import torch; from study import portable; print(portable.settle())")
    assert "may differ from the book's" in line


def test_importing_the_package_leaves_torch_as_it_is():
    read = "import os, legc_utils.training, legc_utils.recorder; print(os.environ.get('ATEN_CPU_CAPABILITY'))"
    assert python(read) == ["None"]
