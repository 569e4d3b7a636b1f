"""What a forward pass costs, dense and masked (section 5: FLOPs)."""

import torch
from torch.utils.flop_counter import FlopCounterMode


def _flop_counts(module, X):
    X = X if torch.is_tensor(X) else torch.as_tensor(X, dtype=torch.float64)
    training = module.training
    module.eval()  # or batch norm would take the sample into its statistics
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(X)
    module.train(training)
    return {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}


def multiply_adds(module, X):
    """Multiply–adds of `module(X)`, by torch's own counter. Masked weights count: they multiply.

    X : a tensor as the module takes it, or an array (n, inputs), which is given as float64. torch counts a multiply–add
    as two operations; this is half of its figure.
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
