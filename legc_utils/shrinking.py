"""From masks to smaller networks: units that are masked as a whole are cut out, with all that computes and uses them.

What belongs together, Torch-Pruning's dependency graph says (Fang et al. 2023); the extra `shrink` installs it. It is
cut here, for that library knows no Conv1D, takes an LSTM's rows for a quarter of what they are, and does not say what
it kept, as the optimiser's state needs.
"""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.modules import batchnorm, conv, instancenorm

from legc_utils import masks
from legc_utils.protocols import is_whole
from legc_utils.units import HEADS, Part, heads, inputs, is_transposed, outputs

SIZES = ("out_features", "out_channels", "num_features", "nf", "hidden_size"), (
    "in_features", "in_channels", "nx", "input_size")  # fmt: skip
WIDTHS = ("split_size", "all_head_size", "inner_dim")  # attributes of attentions that are heads times their width


def _run(model, example_inputs):
    if isinstance(example_inputs, Mapping):
        return model(**example_inputs)
    return model(*example_inputs) if isinstance(example_inputs, tuple | list) else model(example_inputs)


def _tensors(found):
    """All floating tensors in what a model returns."""
    if isinstance(found, torch.Tensor):
        return [found] if found.is_floating_point() else []
    parts = found.values() if isinstance(found, Mapping) else found if isinstance(found, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _parts(module, member, makes):
    """What of a module belongs to a unit that passes: a list of parts, or None if it cannot be cut."""
    if isinstance(module, torch.nn.LSTM):
        if module.num_layers > 1 or module.bidirectional or module.proj_size:
            return None
        if not makes:
            return [Part(module, "weight_ih_l0", 1, member, False)]
        rows = [Part(module, name, 0, np.tile(member, 4)) for name in module._flat_weights_names]
        return [*rows, Part(module, "weight_hh_l0", 1, member, False)]
    if isinstance(module, conv._ConvNd) and module.groups > 1:  # depthwise: as a norm
        each = module.groups == module.out_channels == module.in_channels and not module.transposed
        return outputs(module, member) if each else None
    if isinstance(module, conv._ConvNd | torch.nn.Linear) or is_transposed(module):
        return outputs(module, member) if makes else inputs(module, member)
    if isinstance(module, batchnorm._BatchNorm | instancenorm._InstanceNorm):
        return outputs(module, member) if module.affine else None
    return None if next(iter(module.parameters()), None) is not None else []


def units(model, example_inputs):
    """Sets of units that can be cut out, each a list of `legc_utils.units.Part`: heads, and what the graph couples.

    Left out is what a layer norm, a table of embeddings or a parameter of the model's own runs along, grouped
    convolutions, torch.nn.MultiheadAttention and LSTMs of several layers or directions, and what the model returns.
    Raises ImportError, naming the extra, without Torch-Pruning.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise ImportError("this needs Torch-Pruning, an extra: pip install legc-utils[shrink]") from error
    twin = masks.finalize(copy.deepcopy(model))
    for parameter in twin.parameters():
        parameter.requires_grad_(parameter.is_floating_point())  # the graph is autograd's
    for path, module in twin.named_modules():
        if isinstance(module, torch.nn.RNNBase) and module.bidirectional:
            why = f"{path} is a bidirectional {module.mode}, which the graph cannot follow"
            raise ValueError(f"{why}; allowed: one way")
    mine, theirs = dict(model.named_modules()), {module: path for path, module in twin.named_modules()}
    own = lambda parts: [part._replace(module=mine[theirs[part.module]]) for part in parts]
    attention = [heads(module) for module in twin.modules() if not [*module.parameters(recurse=False)]]
    found = [own(parts) for parts in attention if parts]
    ends = {part.module for parts in attention for part in parts if part.makes}  # no heads, but widths of them

    class Opaque(torch_pruning.pruner.function.BasePruningFunc):
        """A layer that the graph does not know, by the shape of its weight; what is done to it is our own."""

        prune_out_channels = lambda self, layer, idxs: layer
        prune_in_channels = lambda self, layer, idxs: layer
        get_out_channels = lambda self, layer: getattr(layer, "hidden_size", None) or layer.weight.shape[1]
        get_in_channels = lambda self, layer: getattr(layer, "input_size", None) or layer.weight.shape[0]

    recurrent = torch.nn.GRU, torch.nn.RNN
    unknown = {type(m) for m in twin.modules() if isinstance(m, recurrent) or type(m).__name__ == "Conv1D"}
    graph = torch_pruning.DependencyGraph().build_dependency(
        twin, example_inputs, _run, _tensors, customized_pruners={kind: Opaque() for kind in unknown}, verbose=False
    )
    roots = conv._ConvNd, torch.nn.Linear, torch.nn.LSTM, *unknown
    for group in graph.get_all_groups(root_module_types=roots):
        parts = _coupled(graph, group, ends)
        if parts and not all(part.makes for part in parts):  # else it is what the model returns
            found.append(own(parts))
    held = [place for places in masks.places(model).values() if len(places) > 1 for place in places]
    return [parts for parts in found if not any(part[:2] in held for part in parts)]


def _coupled(graph, group, attention):
    """The parts of a group of the dependency graph, units by the channels of its root; [] if it cannot be cut."""
    found = []
    for item in group:
        module, makes = item.dep.target.module, graph.is_out_channel_pruning_fn(item.dep.handler)
        op = str(getattr(module, "_grad_fn", "")).lower()
        if module in attention and makes or any(word in op for word in ("bmm", "dotproduct", "attention", "softmax")):
            return []
        if type(module) is torch.nn.Parameter or type(module).__name__ == "_OutputOp":
            return []
        size = graph.get_out_channels(module) if makes else graph.get_in_channels(module)
        if size is None:  # an operation without parameters
            continue
        member = np.full(size, -1)
        member[item.idxs] = item.root_idxs
        if (parts := _parts(module, member, makes)) is None:
            return []
        found += parts
    return found


def _dead(parts, strict):
    """Which units of a set compute nothing but zeros, or are not used by any; strict: the latter only. One stays."""
    size = max(part.member.max() for part in parts) + 1
    used = {True: np.zeros(size, bool), False: np.zeros(size, bool)}
    for module, name, dim, member, makes in parts:
        weight = getattr(module, name).detach().movedim(dim, 0)
        alive = member[(weight.reshape(len(weight), -1) != 0).any(1).cpu().numpy()]
        used[makes][alive[alive >= 0]] = True
    dead = ~used[False] if strict else ~used[False] | ~used[True]
    dead[np.setdiff1d(np.arange(size), np.concatenate([part.member for part in parts]))] = False
    if dead.all():
        dead[0] = False
    return dead


def _resize(module):
    """What a layer says of its own size, after a cut."""
    if isinstance(module, torch.nn.LSTM):
        out, into = module.weight_hh_l0.shape[1], module.weight_ih_l0.shape[1]
    else:
        out, into = (*module.weight.shape, 0)[:2][:: -1 if is_transposed(module) else 1]
    if getattr(module, "groups", 1) > 1:  # depthwise
        module.groups = into = out
    for names, size in zip(SIZES, (out, into)):
        module.__dict__.update({name: size for name in names if name in module.__dict__})


def _cut(sets, strict):
    """Cut the dead units out of a model without prunings: {id of an old parameter: (new, the index that took it)}."""
    stays, done = {}, {}
    for parts in sets:
        dead = np.append(_dead(parts, strict), False)  # the last stands for what is in no unit
        for module, name, dim, member, _ in parts:
            kept = stays.setdefault((module, name), [np.ones(n, bool) for n in getattr(module, name).shape])
            kept[dim] &= ~dead[member]
    for (module, name), kept in stays.items():
        old, index = getattr(module, name), np.ix_(*kept)
        new = torch.nn.Parameter(old.detach()[index], old.requires_grad)
        setattr(module, name, new)
        done[id(old)] = new, index
        if name == "weight" and getattr(module, "running_mean", None) is not None:
            module.running_mean, module.running_var = module.running_mean[index], module.running_var[index]
    for module in {module for module, _ in stays}:
        _resize(module)
    return done


def _follow(optimizer, new):
    """Have an optimiser go on with new parameters, its state cut as they are. new : as `_cut` returns it."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.numel() > 1 and value.shape != parameter.shape:
                shapes = f"{tuple(value.shape)}; allowed: {tuple(parameter.shape)}, as its parameter, or a number"
                raise ValueError(f"optimizer={type(optimizer).__name__} keeps {name} of shape {shapes}")
    for group in optimizer.param_groups:
        for k, old in enumerate(group["params"]):
            if id(old) in new:
                group["params"][k], index = new[id(old)]
                if old in optimizer.state:
                    alike = lambda v, shape=old.shape: isinstance(v, torch.Tensor) and v.shape == shape
                    state = optimizer.state.pop(old).items()
                    optimizer.state[group["params"][k]] = {n: v[index] if alike(v) else v for n, v in state}


def shrink(model, example_inputs, *, optimizer=None):
    """A smaller dense model, without the units that masks take as a whole, and with the same outputs.

    model : torch.nn.Module, pruned, as by `prune_parameters(…, LEGCStructured, example_inputs=…)`; left as it is
    example_inputs : tensor, tuple of arguments or dict of keywords, as the model takes them
    optimizer : torch.optim.Optimizer of the model, optional; goes on with the smaller one, its state cut alike

    A unit goes if all that computes it, or all that uses it, is zero; what remains of other masks are zeros. What
    cannot be cut, `units` says. Heads of an attention are cut where it keeps their number in an attribute of its own.

    Returns the model, without masks or hooks, in the mode (training or evaluation) that it came in. Raises ImportError
    without Torch-Pruning, and ValueError if the outputs for `example_inputs`, in evaluation, differ by more than 1e-5
    (of the largest, if that is over 1), as when a function of zero is not zero, or if the state cannot be cut.
    """
    whole = masks.finalize(copy.deepcopy(model)).eval()
    with torch.no_grad():
        expected = _tensors(_run(whole, example_inputs))
    for strict in (False, True):
        small = copy.deepcopy(whole)
        sets = units(small, example_inputs)
        attention = {module: parts[-1] for module in small.modules() if (parts := heads(module))}
        widths = {module: getattr(*part[:2]).shape[part.dim] for module, part in attention.items()}
        old = {name: id(getattr(*held[0])) for name, held in masks.places(small).items()}
        done = _cut(sets, strict)
        for module, part in attention.items():
            share = getattr(*part[:2]).shape[part.dim] / widths[module]
            own = [name for name in HEADS + WIDTHS if is_whole(getattr(module, name, None))]
            module.__dict__.update({name: round(share * getattr(module, name)) for name in own})
        try:
            with torch.no_grad():
                found = _tensors(_run(small, example_inputs))
            apart = max(((a - b).abs().max() / b.abs().max().clamp(1)).item() for a, b in zip(found, expected))
        except RuntimeError as error:
            apart = str(error)
        if isinstance(apart, float) and apart <= 1e-5:
            break
    else:
        raise ValueError(f"example_inputs give other outputs when the units are cut ({apart}); allowed: within 1e-5")
    for mine, cut in zip(model.modules(), small.modules()):
        cut.training = mine.training
    if optimizer is not None:
        now, new = masks.places(small), {}
        for name, ((module, own), *_) in masks.places(model).items():
            parameter = module._parameters.get(own, module._parameters.get(f"{own}_orig"))
            new[id(parameter)] = done.get(old[name], (getattr(*now[name][0]), ()))
        _follow(optimizer, new)
    return small
