"""From p-values to masks, and the whole LEGC selection in one call (sections 2.2, 3.6).

Masks are bool with True = keep, flat, in the order of `training`: W1 row by row, then W2, ….
"""

from dataclasses import dataclass

import numpy as np
import torch
from statsmodels.stats.multitest import multipletests
from torch.nn.utils import prune

from legc_utils import granger, lyapunov, protocols, training


def _check_rule(alpha, rule, correction):
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r} is not allowed; give a level between 0 and 1")
    protocols.check_choices(rule=rule, correction=correction)


def legc_mask(pvalues, alpha=0.05, rule="noncausal", correction=None):
    """Which weights to keep, given their Granger p-values.

    Parameters
    ----------
    pvalues : float array (max_lag, n_weights) or (n_weights,)
        Several lags are reduced to the smallest p, as the authors' gc_tests.ipynb does.
    alpha : float
        Level of the test.
    rule : str
        "noncausal" prunes weights whose p is at least alpha (sections 2.2 and 3.6, Table 1); "causal" prunes
        the others (the wording of section 4). With a correction, a p that just meets its level counts as causal,
        as in statsmodels.
    correction : str, optional
        bonferroni, fdr_bh or fdr_by over the weights (statsmodels' multipletests).

    Returns
    -------
    bool (n_weights,), True = keep. A weight without a p-value in some lag (NaN: the test is not defined) is kept
    under "noncausal" and pruned under "causal": the authors' code counts an exception as p = 0.

    Raises
    ------
    ValueError
        For p-values outside [0, 1], or an unknown rule or correction.
    """
    _check_rule(alpha, rule, correction)
    p = np.atleast_2d(np.asarray(pvalues, dtype=np.float64))
    if p.ndim != 2 or p.size == 0:
        raise ValueError(f"pvalues has shape {np.shape(pvalues)}; allowed: (n_weights,) or (max_lag, n_weights)")
    defined = ~np.isnan(p)
    if ((p[defined] < 0) | (p[defined] > 1)).any():
        raise ValueError(f"pvalues lie in [{np.nanmin(p):.3g}, {np.nanmax(p):.3g}]; allowed: 0 to 1, or NaN")
    p = np.where(defined.all(axis=0), p.min(axis=0), 0.0)
    causal = p < alpha if correction is None else multipletests(p, alpha, correction)[0]
    return causal if rule == "noncausal" else ~causal


class LEGCUnstructured(prune.BasePruningMethod):
    """LEGC as a torch pruning method: the importance scores are p-values, one a weight.

    Works on any parameter of any module, stacks with other prunings, and `prune.remove` makes it permanent.
    With `torch.nn.utils.prune.global_unstructured`, pass the p-values as `importance_scores`.

    Parameters
    ----------
    alpha, rule, correction
        As in `legc_mask`.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = LEGCUnstructured.apply(layer, "weight", pvalues=[0.01, 0.60])
    >>> layer.weight_mask
    tensor([[1., 0.]])
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, alpha=0.05, rule="noncausal", correction=None):
        _check_rule(alpha, rule, correction)
        self.alpha, self.rule, self.correction = alpha, rule, correction

    def compute_mask(self, t, default_mask):
        """`default_mask` without the weights that the p-values `t` (same shape) condemn."""
        if t.numel() == 0:  # earlier prunings left nothing
            return default_mask
        keep = legc_mask(t.detach().cpu().numpy().ravel(), self.alpha, self.rule, self.correction)
        keep = torch.as_tensor(keep, device=default_mask.device).reshape(default_mask.shape)
        return default_mask * keep.to(default_mask.dtype)

    @classmethod
    def apply(cls, module, name, pvalues, alpha=0.05, rule="noncausal", correction=None):
        """Prune `module.<name>` by p-values of its shape, flat, or (max_lag, n_weights); returns the method.

        Raises ValueError, and leaves the module as it was, if the p-values do not fit or a choice is unknown.
        """
        weight = getattr(module, name)
        p = np.asarray(torch.as_tensor(pvalues, dtype=torch.float64))
        if p.size != weight.numel() and p.ndim == 2 and p.shape[1] == weight.numel():
            p = p.min(axis=0)
        if p.size != weight.numel():
            raise ValueError(
                f"pvalues has shape {p.shape}; allowed for {name}: {tuple(weight.shape)}, ({weight.numel()},) "
                f"or (max_lag, {weight.numel()})"
            )
        legc_mask(p.ravel(), alpha, rule, correction)  # torch drops earlier prunings before it would notice
        scores = torch.as_tensor(p, device=weight.device).reshape(weight.shape)
        return super().apply(module, name, alpha, rule, correction, importance_scores=scores)


@dataclass(frozen=True)
class Horizon:
    """What one variant, FT or PT, of LEGCNet looks at: how long, through which windows, with which lags."""

    epochs: int
    window: int
    steps: int
    max_lag: int
    rows: np.ndarray  # the last iterate of every window


def horizon(split, protocol, variant="FT"):
    """The `Horizon` of a variant on a data set (section 3.1, Table 2).

    Raises
    ------
    ValueError
        For an unknown variant, a window that does not fit the run, or too few windows for max_lag.
    """
    if variant not in protocols.VARIANTS:
        raise ValueError(f"variant={variant!r} is unknown; allowed: {', '.join(protocols.VARIANTS)}")
    p = protocol
    fields = {
        "FT": (p.recorded_epochs, p.window, p.steps, p.max_lag),
        "PT": (p.partial_epochs, p.partial_window, p.partial_steps, p.partial_max_lag),
    }[variant]
    epochs, window, steps, max_lag = fields
    lyapunov.check_window(window, p.overlap, p.emb_dim, p.lag, p.min_tsep, steps)
    n_rows = epochs * -(-len(split.X_train) // p.batch_size) + 1
    if window > n_rows:
        raise ValueError(f"window={window} is longer than the {n_rows} recorded iterates of LEGCNet-{variant}")
    rows = lyapunov.window_ends(n_rows, window, p.overlap)
    usable = len(rows) - p.difference  # differencing costs one
    if usable <= 3 * max_lag + 1:
        raise ValueError(
            f"max_lag={max_lag} needs more than {3 * max_lag + 1} windows, but LEGCNet-{variant} has {usable} of "
            f"{window} iterates; allowed here: max_lag up to {max(0, (usable - 2) // 3)}"
        )
    return Horizon(*fields, rows)


@dataclass
class Selection:
    """What LEGC saw and what it chose, for S seeds.

    runs : training.Runs, the dense training that was followed
    candidates : slice of the flat weights that may be pruned, n_candidates of them
    exponents : float64 (n_windows, S, n_candidates), nats per iterate
    target : float64 (n_windows, S), misclassified share at each window's last iterate
    pvalues : float64 (S, n_candidates), the smallest over the lags that the protocol looks at
    masks : bool (S, n_weights), True = keep
    """

    horizon: Horizon
    runs: training.Runs
    candidates: slice
    exponents: np.ndarray
    target: np.ndarray
    pvalues: np.ndarray
    masks: np.ndarray


def find_masks(split, hidden, seeds, protocol="published", variant="FT", initial=None):
    """Train the dense networks, follow every weight, test it, and choose: LEGCNet-FT or LEGCNet-PT.

    Parameters
    ----------
    split : datasets.Split
    hidden : int or sequence of int
    seeds : sequence of int
    protocol : str or protocols.Protocol
    variant : str
        "FT" follows the protocol's recorded epochs, "PT" only its first partial_epochs.
    initial : (weights, biases), optional
        As in `training.train_ensemble`.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        As `horizon` and `train_ensemble`, before training starts.
    """
    protocol = protocols.get(protocol, split.name)
    look = horizon(split, protocol, variant)
    layers = training.layer_sizes(split, hidden)
    n_weights = training.count_weights(layers)
    first = layers[0] * layers[1] if protocol.candidates == "after_first" else 0
    candidates, n_candidates = slice(first, n_weights), n_weights - first
    seeds = list(np.atleast_1d(seeds))
    stream = lyapunov.StreamingLyapunov(
        len(seeds) * n_candidates, look.window, protocol.overlap, decimals=protocol.decimals,
        emb_dim=protocol.emb_dim, lag=protocol.lag, min_tsep=protocol.min_tsep, steps=look.steps,
    )  # fmt: skip
    runs = training.train_ensemble(
        split, hidden, seeds, protocol, epochs=look.epochs, rows=look.rows, initial=initial,
        record=lambda piece: stream.update(piece[..., candidates].reshape(len(piece), -1)),
    )  # fmt: skip
    exponents = stream.result().reshape(len(look.rows), len(seeds), n_candidates)
    target = runs.target_error
    pvalues = np.empty((len(seeds), n_candidates))
    masks = np.ones((len(seeds), n_weights), bool)
    for s in range(len(seeds)):
        p = granger.protocol_pvalues(target[:, s], exponents[:, s], protocol, look.max_lag)
        pvalues[s] = p.min(axis=0)
        masks[s, candidates] = legc_mask(p, protocol.alpha, protocol.rule, protocol.correction)
    return Selection(look, runs, candidates, exponents, target, pvalues, masks)


def placebo_targets(split, hidden, n_runs, protocol, look):
    """The Granger target of n_runs other dense networks, which the weights under test cannot have caused.

    Seeds 1000, 1001, …; the same data in the same order. look : Horizon. Returns float64 (n_windows, n_runs).
    """
    seeds = [1000 + run for run in range(n_runs)]
    return training.train_ensemble(split, hidden, seeds, protocol, epochs=look.epochs, rows=look.rows).target_error


def random_masks(masks, seeds, candidates=slice(None)):
    """Random masks with each row's number of pruned weights, by torch.nn.utils.prune. bool, as `masks` (S, n).

    Only weights of the slice `candidates` are pruned, as in `Selection`.
    """
    found = np.ones_like(masks)
    for s, seed in enumerate(seeds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed))
            among = masks[s, candidates]
            found[s, candidates] = torch_mask(prune.RandomUnstructured, (~among).sum(), np.ones(len(among)))
    return found


def magnitude_masks(masks, weights, candidates=slice(None)):
    """Masks that drop each row's number of smallest |weights| (S, n), by torch.nn.utils.prune. bool (S, n)."""
    found = np.ones_like(masks)
    for s in range(len(masks)):
        amount = (~masks[s, candidates]).sum()
        found[s, candidates] = torch_mask(prune.L1Unstructured, amount, weights[s, candidates])
    return found


def model_masks(split, hidden, seeds, protocol="published"):
    """The five models of Tables 1 to 3 for every seed.

    Random and magnitude pruning take as many weights as LEGCNet-FT does, among the same candidates; magnitude goes by
    the dense network that was trained for FT.

    Parameters
    ----------
    As `find_masks`.

    Returns
    -------
    dict from dense, FT, PT, random, magnitude to bool (S, n_weights), True = keep
    """
    full, partial = (find_masks(split, hidden, seeds, protocol, variant) for variant in protocols.VARIANTS)
    return {
        "dense": np.ones_like(full.masks), "FT": full.masks, "PT": partial.masks,
        "random": random_masks(full.masks, seeds, full.candidates),
        "magnitude": magnitude_masks(full.masks, full.runs.final_weights, full.candidates),
    }  # fmt: skip


def torch_mask(method, amount, weights):
    """What a method of torch.nn.utils.prune keeps of flat weights (n,) when it prunes `amount` of them: bool (n,)."""
    scores = torch.as_tensor(np.asarray(weights, dtype=np.float64))
    if amount == 0:  # torch refuses an amount of 0 in some methods; nothing to prune is a fair request
        return np.ones(len(scores), bool)
    return method(int(amount)).compute_mask(scores, torch.ones_like(scores)).numpy().astype(bool)
