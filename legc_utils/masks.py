"""Masks on a model: torch's own prunings, so that it can be copied, saved, loaded, exported and trained on.

What is here works with the masks of any pruning method of torch.
"""

import copy

import numpy as np
import torch
from torch.nn.utils import prune

from legc_utils import shards
from legc_utils.naming import every_parameter, named_parameters


class _Masks(prune.PruningContainer):
    """torch's container of prunings, for a module that can be copied, and loaded where this package is missing.

    torch refuses to copy a tensor that is a result, and so any model in which a weight is pruned, until the pruning is
    made permanent. A module's hooks are copied before its tensors: this one has the copy take the weight's values.
    """

    weight = None

    def apply_mask(self, module):
        weight = super().apply_mask(module)
        if type(weight) is torch.Tensor:  # not the stand-in that torch.export traces with
            self.weight = weight
        return weight

    def __deepcopy__(self, memo):
        twin = memo[id(self)] = _Masks()
        twin.__dict__ |= self.__dict__
        if self.weight is not None:
            twin.weight = memo[id(self.weight)] = self.weight.detach().clone()
        return twin

    def __reduce__(self):
        return prune.CustomFromMask, (None,), {"_tensor_name": self._tensor_name}


class _Reader:
    """A hook of a module that reads the weights of another without calling it: their masks are applied before."""

    def __init__(self, read):
        self.read = read

    def __call__(self, module, inputs):
        for hook in self.read._forward_pre_hooks.values():
            if isinstance(hook, prune.BasePruningMethod):
                hook(self.read, None)

    def __deepcopy__(self, memo):
        twin = memo[id(self)] = _Reader(None)
        twin.read = copy.deepcopy(self.read, memo)
        return twin

    def __reduce__(self):  # to a hook that does nothing and needs no package
        return getattr, ({}, "get")


def cover(module, name):
    """Put `_Masks` in the place of the hook by which torch prunes `module.<name>`, its mask in the weight's type."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name:
            masks = module._forward_pre_hooks[key] = _Masks()
            masks._tensor_name = name
            for method in hook if isinstance(hook, prune.PruningContainer) else [hook]:
                masks.add_pruning_method(method)
            mask, weight = getattr(module, f"{name}_mask"), getattr(module, f"{name}_orig")
            setattr(module, f"{name}_mask", mask.to(weight.dtype))  # stacked, it comes in that of the scores
            masks(module, None)


def left(module, name):
    """What earlier prunings left of `module.<name>`: bool array."""
    mask = getattr(module, f"{name}_mask", None)
    return np.ones(getattr(module, name).shape, bool) if mask is None else (mask != 0).cpu().numpy()


def follow_forward(parent, module):
    """Mask a pruned module's weights whenever `parent` runs, which reads them without calling the module.

    torch.nn.MultiheadAttention so reads its `out_proj`. `prune_parameters` and `apply_masks` see to it by themselves;
    torch's own methods do not. Returns the handle of the hook, to remove with the pruning, unless by `finalize`.
    """
    return parent.register_forward_pre_hook(_Reader(module))


def places(model):
    """Name, of tied parameters each one -> all (module, name in it) that hold the parameter."""
    held, names = {}, {}
    for name, module, own, parameter in every_parameter(model, tied=True):
        names[name] = id(parameter)
        held.setdefault(id(parameter), {})[module, own] = None
    return {name: list(held[parameter]) for name, parameter in names.items()}


def known(model, held, names):
    """Raise ValueError unless all names are among those of `places`, and none is a shard."""
    if unknown := [name for name in names if name not in held]:
        raise ValueError(f"the model has no parameter {unknown[0]!r}; allowed: {', '.join(named_parameters(model))}")
    for name in names:
        if shards.is_shard(getattr(*held[name][0])):
            raise ValueError(f"{name} is sharded, which torch cannot prune; allowed: the model before fully_shard")


def put(model, keep):
    """Masks on parameters, name -> bool array, and on all that are tied to them. Returns what is kept by now."""
    held, modules = places(model), dict(model.named_modules())
    paths = {module: path for path, module in modules.items()}
    for name, mask in keep.items():
        for module, own in held[name]:
            prune.custom_from_mask(module, own, torch.as_tensor(mask, device=getattr(module, own).device))
            cover(module, own)
            path, parent = paths[module], module
            while path and (parent is module or type(parent).forward is torch.nn.Module.forward):  # a list cannot run
                path = path.rpartition(".")[0]
                parent = modules[path]
            hooks = [hook.read for hook in parent._forward_pre_hooks.values() if isinstance(hook, _Reader)]
            calls = torch.nn.Module.forward, torch.nn.Sequential.forward
            if parent is not module and type(parent).forward not in calls and module not in hooks:
                follow_forward(parent, module)
    return {name: torch.as_tensor(left(*held[name][0])) for name in keep}


def finalize(model):
    """Make every pruning of a model permanent: plain weights, no masks, no hooks. Returns the model."""
    for module in model.modules():
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(module, hook._tensor_name)
            elif isinstance(hook, _Reader):
                del module._forward_pre_hooks[key]
    return model


def save_masks(model, path):
    """Write a model's masks for `apply_masks`: .safetensors by that library, else by torch.save. ValueError if none."""
    state = model.state_dict()
    masks = {k: v.bool() for k, v in state.items() if k.endswith("_mask") and f"{k[:-5]}_orig" in state}
    if not masks:
        raise ValueError("the model has no masks to save; allowed: a pruned model, before finalize")
    save = torch.save
    if str(path).endswith(".safetensors"):
        from safetensors.torch import save_file as save
    save(masks, path)


def apply_masks(model, masks):
    """Prune a model, a fresh one as well, by masks.

    masks : dict of name -> mask, as `prune_parameters` returns it, or a state dict of a pruned model, or the path to a
    file with one of these: of `save_masks`, torch.save, or safetensors

    Returns dict of name -> bool tensor. Raises ValueError, before anything is pruned, for a name or shape that does not
    fit the model, or if there is no mask.
    """
    if not isinstance(masks, dict):
        load = torch.load
        if str(masks).endswith(".safetensors"):
            from safetensors.torch import load_file as load
        masks = load(masks)
    ends = {name.removesuffix("_mask"): mask for name, mask in masks.items() if name.endswith("_mask")}
    masks, held = ends or masks, places(model)
    known(model, held, masks)
    for name, mask in masks.items():
        if (own := tuple(getattr(*held[name][0]).shape)) != tuple(mask.shape):
            raise ValueError(f"the mask of {name} has shape {tuple(mask.shape)}; allowed: {own}")
    return put(model, masks)
