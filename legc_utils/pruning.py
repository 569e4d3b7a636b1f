"""LEGC as pruning methods of torch: single weights, or whole neurons, filters and attention heads (section 3.6).

What they need beside is here to import as well: the rule (`selection`) and the recorder of p-values (`recorder`).
"""

import numpy as np
import torch
from scipy import stats
from torch.nn.utils import prune

from legc_utils.protocols import CHOICES, check, is_number, is_whole, numbers
from legc_utils.recorder import LEGCRecorder as LEGCRecorder
from legc_utils.recorder import named_parameters
from legc_utils.selection import find_masks as find_masks
from legc_utils.selection import legc_mask

COMBINE = CHOICES["combine"]


class _Copyable:
    """A forward hook by which a module can be deep-copied although gradients flow through its pruned weight.

    torch refuses to copy a tensor that is a result, and so any model in which a weight is pruned, until the pruning is
    made permanent. A module's hooks are copied before its tensors: this one has the copy take the weight's values.
    """

    def __init__(self, name):
        self.name, self.weight = name, None

    def __call__(self, module, inputs=None, output=None):
        if type(getattr(module, self.name)) is torch.Tensor:  # not the stand-in that torch.export traces with
            self.weight = getattr(module, self.name)

    def __deepcopy__(self, memo):
        twin = _Copyable(self.name)
        if self.weight is not None:
            twin.weight = memo[id(self.weight)] = self.weight.detach().clone()
        return twin


class _ByPvalues(prune.BasePruningMethod):
    """What both LEGC methods share: scores are p-values, and a pruned module can be copied and saved at any time."""

    @classmethod
    def _apply(cls, module, name, scores, *choices):
        cls(*choices)
        legc_mask(scores.cpu().numpy().ravel())  # p-values only; torch would drop earlier prunings first
        method = super().apply(module, name, *choices, importance_scores=scores)
        mask, weight = getattr(module, f"{name}_mask"), getattr(module, name)
        setattr(module, f"{name}_mask", mask.to(weight.dtype))  # stacked, it comes in that of the scores
        module._forward_hooks.setdefault(f"copy {name}", _Copyable(name))(module)
        return method

    def compute_mask(self, t, default_mask):
        """`default_mask` without what the p-values `t` (same shape) condemn."""
        if t.numel() == 0:  # earlier prunings left nothing
            return default_mask
        keep = self._keep(t.detach().double().cpu().numpy(), (default_mask != 0).cpu().numpy())
        return default_mask * torch.as_tensor(keep, dtype=default_mask.dtype, device=default_mask.device)

    def remove(self, module):
        """Make the pruning permanent; called by `torch.nn.utils.prune.remove`."""
        super().remove(module)
        module._forward_hooks.pop(f"copy {self._tensor_name}", None)

    @staticmethod
    def _scores(module, name, pvalues):
        """p-values in the shape and on the device of the weight; several lags are reduced to the smallest."""
        known = [own for owner, own, _ in named_parameters(module).values() if owner is module]
        if name not in known:
            allowed = f"{', '.join(known) or 'none'}; what a parametrisation computes is pruned in its original"
            raise ValueError(f"{name!r} is no parameter of {type(module).__name__}; allowed: {allowed}")
        weight = getattr(module, name)
        shape, flat = tuple(weight.shape), (weight.numel(),)
        p = numbers(pvalues=pvalues.detach().double().cpu() if isinstance(pvalues, torch.Tensor) else pvalues)
        if p.shape not in (shape, flat) and p.shape[1:] == flat:
            p = p.min(axis=0)
        if p.shape not in (shape, flat):
            allowed = f"{shape}, {flat} or (max_lag, {flat[0]})"
            raise ValueError(f"pvalues has shape {p.shape}; allowed for {name}: {allowed}")
        return torch.as_tensor(p, device=weight.device).reshape(shape)


class LEGCUnstructured(_ByPvalues):
    """LEGC as a torch pruning method: the importance scores are p-values, one a weight.

    Works on any parameter of any module, stacks with other prunings, and `prune.remove` makes it permanent.
    With `torch.nn.utils.prune.global_unstructured`, pass the p-values as `importance_scores`.

    alpha, rule, correction : as in `legc_mask`
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, alpha=0.05, rule="noncausal", correction=None):
        check(alpha=alpha, rule=rule, correction=correction)
        self.alpha, self.rule, self.correction = alpha, rule, correction

    def _keep(self, p, left):
        return legc_mask(p.ravel(), self.alpha, self.rule, self.correction).reshape(p.shape)

    @classmethod
    def apply(cls, module, name, pvalues, alpha=0.05, rule="noncausal", correction=None):
        """Prune `module.<name>` by p-values of its shape, flat, or (max_lag, n_weights); returns the method.

        Raises ValueError, and leaves the module as it was, if the p-values do not fit or a choice is unknown.
        """
        return cls._apply(module, name, cls._scores(module, name, pvalues), alpha, rule, correction)


def _units(groups, size):
    groups = np.asarray(groups)
    if groups.shape != (size,) or groups.dtype.kind not in "iu" or (groups < 0).any():
        raise ValueError(f"groups={groups.tolist()!r} is not allowed; give {size} whole numbers from 0 on")
    return groups


def combine_pvalues(pvalues, groups, combine="stouffer"):
    """One p-value a unit, from those of its weights (scipy.stats.combine_pvalues).

    pvalues : float array (n,), of weights; NaN (not followed, or no test) is left out
    groups : int array (n,); the unit of each weight, 0, 1, …
    combine : str
        One of `COMBINE`. They take weights for independent, which those of one unit are not: read the outcome as a
        score to rank units by rather than as a level.

    Returns float64 (n_units,); NaN for a unit without any p-value.
    """
    check(combine=combine)
    p = numbers(pvalues=pvalues).ravel()
    legc_mask(p)  # or they are no p-values
    groups = _units(groups, p.size)
    p = p.clip(1e-12, 1 - 1e-12)  # rounded to 0 or 1, one weight would outvote all others
    units = np.full(groups.max() + 1, np.nan)
    for unit in np.unique(groups[~np.isnan(p)]):
        units[unit] = stats.combine_pvalues(p[(groups == unit) & ~np.isnan(p)], method=combine).pvalue
    return units


class LEGCStructured(_ByPvalues):
    """Whole neurons, filters, channels or attention heads at a time, by the combined p-values of their weights.

    dim : int, the dimension that counts units: 0 for neurons and filters, 1 for inputs and input channels
    amount : int or float, optional
        How many units to prune, or which share of those that are left: the ones with the weakest evidence. None: those
        that `alpha` and `rule` condemn.
    alpha, rule : as in `legc_mask`, of a unit's combined p-value
    combine : str, as in `combine_pvalues`
    groups : int array (size of dim,), optional
        Which unit each index along dim belongs to, as from `attention_heads`; None: each is a unit.

    A unit without any p-value was not tested: the last to go, or treated as `legc_mask` treats such a weight. Weights
    that earlier prunings took have no say.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, dim=0, amount=None, alpha=0.05, rule="noncausal", combine="stouffer", groups=None):
        check(alpha=alpha, rule=rule, combine=combine)
        if not (amount is None or is_whole(amount, 0) or (is_number(amount) and 0 <= amount <= 1)):
            raise ValueError(f"amount={amount!r} is not allowed; give None, a whole number, or a share from 0 to 1")
        self.dim, self.amount, self.alpha, self.rule = dim, amount, alpha, rule
        self.combine, self.groups = combine, None if groups is None else np.asarray(groups)

    def _keep(self, p, left):
        dim = range(p.ndim)[self.dim]
        member = np.arange(p.shape[dim]) if self.groups is None else self.groups
        groups = np.broadcast_to(np.expand_dims(member, [k for k in range(p.ndim) if k != dim]), p.shape)
        present = np.unique(groups[left])
        p = combine_pvalues(np.where(left, p, np.nan).ravel(), groups.ravel(), self.combine)
        keep = np.ones(len(p), bool)
        if self.amount is None:
            keep = legc_mask(p, self.alpha, self.rule)
        else:
            n = self.amount if isinstance(self.amount, int | np.integer) else round(self.amount * len(present))
            weakest = np.nan_to_num(p[present] if self.rule == "noncausal" else -p[present], nan=-np.inf)
            keep[present[np.argsort(-weakest, kind="stable")[: min(n, len(present))]]] = False
        return keep[groups]

    @classmethod
    def apply(
        cls, module, name, pvalues, dim=0, amount=None, alpha=0.05, rule="noncausal", combine="stouffer", groups=None
    ):
        """Prune units of `module.<name>` by the p-values of its weights, as `LEGCUnstructured.apply` takes them.

        Raises ValueError, and leaves the module as it was, if p-values, dim, amount or groups do not fit.
        """
        scores = cls._scores(module, name, pvalues)
        if not is_whole(dim, -scores.ndim, scores.ndim - 1):
            raise ValueError(f"dim={dim!r} is not allowed; {name} has the dimensions 0 to {scores.ndim - 1}")
        size = scores.shape[dim]
        groups = _units(range(size) if groups is None else groups, size)
        n_units = len(np.unique(groups))
        if isinstance(amount, int | np.integer) and amount > n_units:
            raise ValueError(f"amount={amount} is not allowed; {name} has {n_units} units along dimension {dim}")
        mask = getattr(module, f"{name}_mask", None)
        if mask is not None:  # torch hands over only what earlier prunings left of the dimension
            groups = groups[(mask.movedim(dim, 0).reshape(size, -1).sum(1) != 0).cpu().numpy()]
        return cls._apply(module, name, scores, dim, amount, alpha, rule, combine, groups)


def attention_heads(n_heads, width, projections=1):
    """`groups` for `LEGCStructured`: the head to which each index of an attention projection belongs.

    width : int, the size of the embedding. projections : int, how many projections lie on top of each other, 3 in the
    in_proj_weight of torch.nn.MultiheadAttention. With dim=0 for queries, keys and values, dim=1 for the output.

    Returns int (projections · width,). Raises ValueError unless n_heads divides width.
    """
    check(n_heads=n_heads, width=width, projections=projections)
    if width % n_heads:
        raise ValueError(f"n_heads={n_heads!r} is not allowed; give a divisor of width={width}")
    return np.tile(np.repeat(np.arange(n_heads), width // n_heads), projections)


def follow_forward(parent, module):
    """Mask a pruned module's weights whenever `parent` runs, for a parent that reads them without calling the module.

    torch.nn.MultiheadAttention does so with its `out_proj`: pruned by whatever method, its mask would stay behind while
    training goes on. Returns the handle of the hook; remove it together with the pruning.
    """

    def mask(_parent, _inputs):
        for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod | _Copyable):
                hook(module, None)

    return parent.register_forward_pre_hook(mask)


def prune_parameters(model, pvalues, method=LEGCUnstructured, **options):
    """Prune every named parameter of a model by its p-values, as `LEGCRecorder.pvalues` gives them.

    model : torch.nn.Module
    pvalues : dict of name -> p-values of the parameter's shape
    method : LEGCUnstructured or LEGCStructured
    **options
        Of the method's `apply`. A correction counts the weights of each parameter by itself; for all of them together
        use torch.nn.utils.prune.global_unstructured.

    Returns dict of name -> bool tensor, the mask; True = keep
    Raises ValueError for a name that the model does not have, and as `apply`; the model is left as it was.
    """
    known = named_parameters(model)
    if unknown := [name for name in pvalues if name not in known]:
        raise ValueError(f"the model has no parameter {unknown[0]!r}; allowed: {', '.join(known)}")
    for name, p in pvalues.items():  # all on a stand-in first, so that all are pruned or none
        _, own, parameter = known[name]
        stand_in = torch.nn.Module()
        stand_in.register_parameter(own, torch.nn.Parameter(parameter.detach().clone(), requires_grad=False))
        try:
            method.apply(stand_in, own, p, **options)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    for name, p in pvalues.items():
        method.apply(*known[name][:2], p, **options)
    return {name: getattr(known[name][0], f"{known[name][1]}_mask") != 0 for name in pvalues}
