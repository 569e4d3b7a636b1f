"""The parameters of any torch model by their public names, whatever wraps it, and which are weights of linear maps."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn, optim

_WRAPPERS = {
    "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "OptimizedModule", "CheckpointWrapper",
}  # fmt: skip
_LAYERS = nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention
_KINDS = (  # of module, the first counts: which of its own parameters are weights of linear maps, which paths are none
    ((nn.Embedding, nn.EmbeddingBag), ".*", r"(^|[._])(w?pe|pos|position)"),
    (_LAYERS, r"(?!.*bias|.*_g$)", "(?!)"),
    (nn.Module, r"weight$|(.*_)?proj(_weight)?$|kernel$|weight_(ih|hh)", "(?!)"),
)


def _public(module, own):
    """The name that users know a parameter by: without what torch's weight_norm and spectral_norm add to it."""
    if own.endswith("_orig") and f"{own.removesuffix('_orig')}_u" in module._buffers:
        return own.removesuffix("_orig")
    direction = own.endswith("_v") and {f"{own[:-2]}_g", f"{own[:-2]}_g_orig"} & {*module._parameters}
    return own[:-2] if direction else own


def named_parameters(model):
    """Name -> (module, name in it, parameter), each parameter once, by the name that it has in the bare model.

    A pruned or parametrised parameter goes by its public name; wrappers (DataParallel, compile) add nothing to it.
    Of several tensors behind a parametrisation the largest is meant; others keep their own names.
    """
    return {name: (module, own, p) for name, module, own, p in every_parameter(model)}


def every_parameter(model, tied=False):
    """(name, module, name in it, parameter) of each parameter, under each of its names if `tied`; see above."""
    for full, parameter in model.named_parameters(remove_duplicate=not tied):
        module, parts, own = model, [], full.rpartition(".")[2]
        for step in full.split(".")[:-1]:
            if type(module).__name__ not in _WRAPPERS:
                parts.append(step)
            module = module._modules[step]
        if own.endswith("_orig") and own.removesuffix("_orig") + "_mask" in module._buffers:
            own = own.removesuffix("_orig")
        public = _public(module, own)
        behind = parts[-2:-1] == ["parametrizations"] and public.startswith("original")
        if behind and parameter.numel() == max(p.numel() for p in module.parameters(recurse=False)):
            parts, public = parts[:-2], parts[-1]
        yield ".".join([*parts, public]), module, own, parameter


def _owner(model, path):
    """The submodule at a public path."""
    for step in [None, *filter(None, path.split("."))]:
        model = model if step is None else model._modules[step]
        while type(model).__name__ in _WRAPPERS:
            model = next(model.children())
    return model


def _is_weight(model, name, parameter):
    """Whether a parameter is a weight of a linear map: no bias, norm, token, position, scale or gain."""
    path, _, own = name.rpartition(".")
    module = _owner(model, path)
    known = isinstance(module, _KINDS[0][0] + _LAYERS)
    scales = "Norm" in type(module).__name__ or parameter.numel() == max(parameter.shape, default=0)
    if parameter.ndim < 2 or not parameter.is_floating_point() or scales and not known:
        return False
    weights, none = next(rest for kind, *rest in _KINDS if isinstance(module, kind))
    return bool(re.match(weights, own)) and not re.search(none, path)


def choose(model, parameters=None):
    """What of `named_parameters` is asked for: by None (weights of linear maps), names, patterns or (module, name).

    Raises ValueError for no torch.nn.Module, parameters without values, what fits nothing, and no floating type.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is of type {type(model).__name__}; allowed: torch.nn.Module")
    for name, p in model.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter) or p.is_meta:
            why = "on meta, without values" if p.is_meta else "not yet initialised: run the model on one batch first"
            raise ValueError(f"{name} is {why}; allowed: a model whose parameters have values")
    known = named_parameters(model)
    if parameters is None:
        return {n: v for n, v in known.items() if _is_weight(model, n, v[2])}
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        parameters = [parameters]
    names = {(id(module), own): name for name, (module, own, _) in known.items()}
    names |= {(id(_owner(model, name.rpartition(".")[0])), name.rpartition(".")[2]): name for name in known}
    chosen = {}
    for asked in parameters:
        if isinstance(asked, str):
            fits = [n for n in known if fnmatchcase(n, asked)]
        else:
            module, own = asked if isinstance(asked, tuple) and len(asked) == 2 else (None, None)
            fits = [names[id(module), own]] if (id(module), own) in names else []
        if not fits:
            allowed = f"(module, name) pairs, and names or patterns of {', '.join(known) or 'a model with parameters'}"
            raise ValueError(f"parameters holds {asked!r}, which fits nothing in the model; allowed: {allowed}")
        chosen |= {n: known[n] for n in fits}
    for name, (*_, p) in chosen.items():
        if not p.is_floating_point():
            raise ValueError(f"{name} is of type {p.dtype}; allowed: real floating point")
    return chosen


def find_optimizer(given):
    """The torch.optim.Optimizer in what may wrap one. Raises ValueError if there is none, as in a scheduler."""
    optimizer = given
    while not isinstance(given, optim.lr_scheduler.LRScheduler) and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    if not isinstance(optimizer, optim.Optimizer):
        why = "; attach when training begins, as there is none before" if given is None else ""
        raise ValueError(f"optimizer is of type {type(given).__name__}; allowed: one torch.optim.Optimizer{why}")
    return optimizer
