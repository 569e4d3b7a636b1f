"""What a forward pass costs, dense and masked (section 5: FLOPs)."""

from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode


@contextmanager
def evaluating(module):
    """Within it, a torch module is in evaluation mode and without gradients; afterwards each part is as it was.

    In training mode, batch norm would take what is asked into its statistics, and dropout would answer at random.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield module
    finally:
        for part, mode in modes:
            part.training = mode


def as_inputs(module, X):
    """An array (n, inputs) as a tensor of the type and on the device of a module's parameters; a tensor as it is."""
    if torch.is_tensor(X):
        return X
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0, dtype=torch.float64))
    return torch.as_tensor(X, dtype=first.dtype, device=first.device)


def _flop_counts(module, X):
    with FlopCounterMode(display=False) as counter, evaluating(module):
        module(as_inputs(module, X))
    return {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}


def multiply_adds(module, X):
    """Multiply–adds of `module(X)`, by torch's own counter. Masked weights count: they multiply.

    X : a tensor as the module takes it, or an array (n, inputs), given in the type of its parameters. torch counts a
    multiply–add as two operations; this is half of its figure.
    """
    return _flop_counts(module, X).get("Global", 0) // 2


def skippable_multiply_adds(module, X):
    """Those of `multiply_adds` that a zero weight takes part in: what a machine could skip that skips every zero.

    torch's dense kernels, which run here, skip none. Only linear and convolutional layers are looked at; each uses all
    of its weights equally often. Arguments as in `multiply_adds`; returns int.
    """
    counts, root = _flop_counts(module, X), type(module).__name__
    layers = {f"{root}.{name}" if name else root: layer for name, layer in module.named_modules()}
    kinds = torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d
    layers = {name: layer for name, layer in layers.items() if isinstance(layer, kinds) and name in counts}
    zero = {name: (layer.weight == 0).double().mean().item() for name, layer in layers.items()}
    return round(sum(counts[name] * share for name, share in zero.items()) / 2)
