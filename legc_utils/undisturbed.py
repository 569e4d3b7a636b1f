"""Contexts that put back what is the training's own."""

import random
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def threads():
    """numba's threads are OpenMP's, and so are torch's: their number is put back."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def evaluation(model, devices=()):
    """The model in evaluation mode; its modes, buffers and all random numbers are put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers() if not buffer.is_meta]
    python, old = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[d for d in devices if d.type == "cuda"]):
            model.eval()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(old)  # noqa: NPY002
        for module, mode in modes:
            module.training = mode
        for buffer, before in buffers:
            if not torch.equal(buffer, before):  # batch norm does not count its changes as versions
                buffer.copy_(before)
