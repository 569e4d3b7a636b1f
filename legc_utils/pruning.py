"""LEGC as pruning methods of torch: single weights, or whole neurons, filters and attention heads (section 3.6).

What they need beside is here to import as well: the rule (`selection`) and the recorder of p-values (`recorder`).
"""

from fnmatch import fnmatchcase

import numpy as np
import torch
from scipy import stats
from torch.nn.utils import prune

from legc_utils import masks, shrinking, units
from legc_utils.masks import apply_masks, finalize, follow_forward, save_masks  # noqa: F401
from legc_utils.naming import named_parameters
from legc_utils.protocols import CHOICES, check, is_number, is_whole, numbers
from legc_utils.recorder import LEGCRecorder  # noqa: F401
from legc_utils.selection import find_masks, legc_mask, warn_if_one_sided  # noqa: F401
from legc_utils.shrinking import shrink  # noqa: F401
from legc_utils.units import attention_heads  # noqa: F401

COMBINE = CHOICES["combine"]


def _check_amount(amount):
    if not (amount is None or is_whole(amount, 0) or (is_number(amount) and 0 <= amount <= 1)):
        raise ValueError(f"amount={amount!r} is not allowed; give None, a whole number, or a share from 0 to 1")


def _spare(p, left, amount, rule, most=None):
    """Which of flat `p` to keep: all but `amount` of what is `left`, the weakest evidence first, no test last."""
    present = np.flatnonzero(left)
    n = amount if is_whole(amount) else round(amount * len(present))
    weakest = np.nan_to_num(p[present] if rule == "noncausal" else -p[present], nan=-np.inf)
    keep = np.ones(len(p), bool)
    keep[present[np.argsort(-weakest, kind="stable")[: n if most is None else min(n, most)]]] = False
    return keep


class _ByPvalues(prune.BasePruningMethod):
    """What both LEGC methods share: scores are p-values, and a pruned module can be copied and saved at any time."""

    @classmethod
    def _apply(cls, module, name, scores, *choices):
        cls(*choices)
        legc_mask(scores.cpu().numpy().ravel())  # p-values only; torch would drop earlier prunings first
        method = super().apply(module, name, *choices, importance_scores=scores)
        masks.cover(module, name)
        return method

    def compute_mask(self, t, default_mask):
        """`default_mask` without what the p-values `t` (same shape) condemn."""
        if t.requires_grad:
            allowed = "importance_scores with the p-values of every (module, name)"
            raise ValueError(f"the scores hold weights, which are no p-values; allowed: {allowed}")
        if t.numel() == 0:  # earlier prunings left nothing
            return default_mask
        p = t.detach().double().cpu().numpy()
        legc_mask(p.ravel())  # or they are no p-values
        keep = self._keep(p, (default_mask != 0).cpu().numpy())
        return default_mask * torch.as_tensor(keep, dtype=default_mask.dtype, device=default_mask.device)

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
    """LEGC as a torch pruning method, of any parameter: the importance scores are p-values, one a weight.

    alpha, rule, correction : as in `legc_mask`
    amount : int or float, optional
        How many weights to prune, or which share of those that are left, whatever alpha: the ones with the weakest
        evidence, those without a test last, of equals the first. None: those that `alpha` and `rule` condemn.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, alpha=0.05, rule="noncausal", correction=None, amount=None):
        check(alpha=alpha, rule=rule, correction=correction)
        _check_amount(amount)
        self.alpha, self.rule, self.correction, self.amount = alpha, rule, correction, amount

    def _keep(self, p, left):
        if self.amount is None:
            return legc_mask(p.ravel(), self.alpha, self.rule, self.correction).reshape(p.shape)
        if is_whole(self.amount) and self.amount > left.sum():
            raise ValueError(f"amount={self.amount} is not allowed; {left.sum()} weights are left")
        return _spare(p.ravel(), left.ravel(), self.amount, self.rule).reshape(p.shape)

    @classmethod
    def apply(cls, module, name, pvalues, alpha=0.05, rule="noncausal", correction=None, amount=None):
        """Prune `module.<name>` by p-values of its shape, flat, or (max_lag, n_weights); returns the method.

        Raises ValueError, and leaves the module as it was, if the p-values do not fit or a choice is unknown.
        """
        scores = cls._scores(module, name, pvalues)
        if is_whole(amount):
            cls(amount=amount)._keep(np.empty(scores.shape), masks.left(module, name))
        return cls._apply(module, name, scores, alpha, rule, correction, amount)


def combine_pvalues(pvalues, groups, combine="stouffer"):
    """One p-value a unit, from those of its weights (scipy.stats.combine_pvalues), in linear time.

    pvalues : float array (n,), of weights; NaN (not followed, or no test) is left out
    groups : int array (n,); the unit of each weight, 0, 1, …
    combine : str, of `COMBINE`. They take weights for independent, which those of a unit are not: the outcome ranks.

    Returns float64 (n_units,); NaN for a unit without any p-value.
    """
    check(combine=combine)
    p = numbers(pvalues=pvalues).ravel()
    legc_mask(p)  # or they are no p-values
    groups = units.numbered(groups, p.size)
    found, tested = np.full(groups.max() + 1, np.nan), ~np.isnan(p)
    order = np.argsort(groups[tested], kind="stable")
    p = p[tested][order].clip(1e-12, 1 - 1e-12)  # rounded to 0 or 1, one weight would outvote all others
    counts = np.bincount(groups[tested], minlength=len(found))
    ends = np.cumsum(counts)
    for n in np.unique(counts[counts > 0]):  # units of as many weights at once
        rows = p[ends[counts == n, None] - np.arange(n, 0, -1)]
        found[counts == n] = stats.combine_pvalues(rows, method=combine, axis=1).pvalue
    return found


class LEGCStructured(_ByPvalues):
    """Whole neurons, filters, channels or attention heads at a time, by the combined p-values of their weights.

    dim : int, the dimension that counts units: 0 for neurons and filters, 1 for inputs and input channels
    amount : as in `LEGCUnstructured`, of units. A share below 1 leaves one at least.
    alpha, rule : as in `legc_mask`, of a unit's combined p-value
    combine : str, as in `combine_pvalues`
    groups : int array (size of dim,), optional
        Which unit each index along dim belongs to, as from `attention_heads`; None: each is a unit.

    A unit without any p-value counts as a weight without a test. Weights that earlier prunings took have no say.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, dim=0, amount=None, alpha=0.05, rule="noncausal", combine="stouffer", groups=None):
        check(alpha=alpha, rule=rule, combine=combine)
        _check_amount(amount)
        self.dim, self.amount, self.alpha, self.rule = dim, amount, alpha, rule
        self.combine, self.groups = combine, None if groups is None else np.asarray(groups)

    def _keep(self, p, left):
        dim = range(p.ndim)[self.dim]
        member = np.arange(p.shape[dim]) if self.groups is None else self.groups
        groups = np.broadcast_to(units.along(member, dim, p.ndim), p.shape)
        return self._choose(p.ravel(), groups.ravel(), left.ravel())[groups]

    def _choose(self, p, groups, left):
        """Which units to keep: bool (n_units,). All flat: p-values, the unit of each, and what is left of them."""
        present = np.bincount(groups[left], minlength=groups.max() + 1) > 0
        p = combine_pvalues(np.where(left, p, np.nan), groups, self.combine)
        if self.amount is None:
            return legc_mask(p, self.alpha, self.rule)
        whole = is_whole(self.amount, 0) or self.amount == 1
        return _spare(p, present, self.amount, self.rule, None if whole else max(present.sum() - 1, 0))

    @classmethod
    def apply(
        cls, module, name, pvalues, dim="out", amount=None, alpha=0.05, rule="noncausal", combine="stouffer",
        groups=None,
    ):  # fmt: skip
        """Prune units of `module.<name>` by the p-values of its weights, as `LEGCUnstructured.apply` takes them.

        dim : as above, or "out": the dimension that counts outputs, 1 in transposed convolutions and layers (Conv1D of
        transformers), else 0. Raises ValueError, and leaves the module as it was, if p-values, dim, amount or groups
        do not fit.
        """
        scores = cls._scores(module, name, pvalues)
        dim = units.output_dim(module, name, dim)
        size = scores.shape[dim]
        groups = units.numbered(range(size) if groups is None else groups, size)
        n_units = len(np.unique(groups))
        if is_whole(amount) and amount > n_units:
            raise ValueError(f"amount={amount} is not allowed; {name} has {n_units} units along dimension {dim}")
        mask = getattr(module, f"{name}_mask", None)
        if mask is not None:  # torch hands over only what earlier prunings left of the dimension
            groups = groups[(mask.movedim(dim, 0).reshape(size, -1).sum(1) != 0).cpu().numpy()]
        return cls._apply(module, name, scores, dim, amount, alpha, rule, combine, groups)


def prune_parameters(
    model, pvalues=None, method=LEGCUnstructured, *, amount=None, scope=None, exclude=(), importance_scores=None,
    biases=True, example_inputs=None, **options,
):  # fmt: skip
    """Prune every named parameter of a model by its p-values, as `LEGCRecorder.pvalues` gives them.

    pvalues : dict of name -> p-values of the parameter's shape
    method : LEGCUnstructured or LEGCStructured
    amount : int or float, optional; as in the method
    scope : str, optional
        "global": the amount counts the weights of all parameters together, the default of LEGCUnstructured. "layer":
        of each by itself, as LEGCStructured always counts.
    exclude : str or list of str; names or patterns ("*.head.weight") of parameters to leave out
    importance_scores : dict of name -> scores of the parameter's shape, optional
        Instead of p-values: the least go. Needs an amount.
    biases : bool; with LEGCStructured, biases of pruned units go as well, and weight and bias of a batch norm after it
    example_inputs : tensor, tuple or dict, optional
        With LEGCStructured: units are what `shrinking.units` traces with these inputs, and go with all that computes
        and uses them, so that `shrink` can cut them out. Others stay.
    **options : of the method's `apply`. A correction counts the weights of each parameter by itself.

    With LEGCStructured, unless `dim` or `groups` say otherwise, units are outputs, and in an attention heads: queries,
    keys, values and output together. Tied parameters are masked together. Modules that read a weight without calling
    its module, as attention does, read it masked. Warns if the masks keep everything, or nothing of a parameter.

    Returns dict of name -> bool tensor, the mask; True = keep
    Raises ValueError for a name that the model does not have, and as `apply`; the model is left as it was.
    """
    structured, scored = issubclass(method, LEGCStructured), importance_scores is not None
    if scored == (pvalues is not None) or (scored and amount is None):
        names = list(importance_scores) if scored else None
        raise ValueError(f"importance_scores={names!r} is not allowed; give p-values, or scores and amount")
    if scope not in (None, "layer", "global")[: 2 if structured else 3]:
        raise ValueError(f"scope={scope!r} is not allowed; give {'layer' if structured else 'global or layer'}")
    held, given, asked = masks.places(model), {}, importance_scores if scored else pvalues
    masks.known(model, held, asked)
    for pattern in [exclude] if isinstance(exclude, str) else exclude:
        if not (fits := [name for name in held if fnmatchcase(name, pattern)]):
            raise ValueError(f"exclude holds {pattern!r}, which fits nothing; allowed: {', '.join(held)}")
        asked = {name: p for name, p in asked.items() if name not in fits}
    units_of = {name: options.pop(name) for name in ("dim", "groups") if structured and name in options}
    rule = method(amount=amount, **options)
    for name, p in asked.items():
        try:
            place = held[name][0]
            given[place] = method._scores(*place, p).double().cpu().numpy()
            if not scored:
                legc_mask(given[place].ravel())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    flat = lambda arrays: np.concatenate([a.ravel() for a in arrays.values()])
    split = lambda values: {place: part.reshape(given[place].shape) for place, part in zip(
        given, np.split(values, np.cumsum([p.size for p in given.values()])))}  # fmt: skip
    if scored and given:  # as p-values: the largest score has the smallest
        ranks = stats.rankdata(-flat(given), "dense", nan_policy="omit")
        given = split(ranks / (np.nanmax(ranks) + 1))
    left = {place: masks.left(*place) for place in given}
    if structured:
        traced = example_inputs is not None
        sets = shrinking.units(model, example_inputs) if traced else units.layers(model, given, biases, **units_of)
        keep = _keep_units(sets, given, left, rule)
    elif amount is None or scope == "layer":
        keep = {place: rule._keep(p, left[place]) for place, p in given.items()}
    else:
        keep = split(rule._keep(flat(given), flat(left)))
    names = {place: name for name, places in reversed(held.items()) for place in places}
    names |= {held[name][0]: name for name in asked}
    found = masks.put(model, {names[place]: mask for place, mask in keep.items()})
    warn_if_one_sided({names[place]: found[names[place]] for place in given if place in keep})
    return found


def _keep_units(sets, given, left, rule):
    """(module, name) -> bool array, what is kept when each of several sets of units loses what the rule says."""
    keep = {}
    for parts in sets:
        own = [part for part in parts if part.makes and part[:2] in given]
        if not own:
            continue
        p, member, there = (np.concatenate([a.ravel() for a in arrays]) for arrays in zip(
            *((given[part[:2]], part.units(), left[part[:2]]) for part in own)))  # fmt: skip
        n_units = max(part.member.max() for part in parts) + 1
        if is_whole(rule.amount) and rule.amount > n_units:
            raise ValueError(f"amount={rule.amount} is not allowed; {own[0].name} has {n_units} units")
        stays = np.ones(n_units + 1, bool)  # the last stands for what is in no unit
        chosen = rule._choose(p[member >= 0], member[member >= 0], there[member >= 0])
        stays[: len(chosen)] = chosen
        for part in parts:
            keep[part[:2]] = keep.get(part[:2], True) & stays[part.units()]
    return keep
