"""From p-values to masks, and the whole LEGC selection in one call (sections 2.2, 3.6).

Masks are bool with True = keep, flat, in the order of `training`: W1 row by row, then W2, ….
"""

import warnings
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.multitest import multipletests

from legc_utils import granger, lyapunov, protocols, training


def legc_mask(pvalues, alpha=0.05, rule="noncausal", correction=None):
    """Which weights to keep, given their Granger p-values.

    pvalues : float array (max_lag, n_weights) or (n_weights,); the smallest p over the lags counts (gc_tests.ipynb)
    alpha : float, level of the test
    rule : str
        "noncausal" prunes weights whose p is at least alpha (sections 2.2 and 3.6, Table 1); "causal" prunes
        the others (the wording of section 4). With a correction, a p that just meets its level counts as causal,
        as in statsmodels.
    correction : str, optional; bonferroni, fdr_bh or fdr_by over the weights (statsmodels' multipletests)

    Returns bool (n_weights,), True = keep. A weight without a p-value in some lag (NaN: the test is not defined) was
    not tested: no correction counts it. It is kept under "noncausal" and pruned under "causal", as the authors' code
    counts an exception as p = 0.
    Raises ValueError for p-values outside [0, 1], or an unknown rule or correction.
    """
    protocols.check(alpha=alpha, rule=rule, correction=correction)
    p = np.atleast_2d(protocols.numbers(pvalues=pvalues))
    if p.ndim != 2 or p.size == 0:
        raise ValueError(f"pvalues has shape {np.shape(pvalues)}; allowed: (n_weights,) or (max_lag, n_weights)")
    defined = ~np.isnan(p)
    if ((p[defined] < 0) | (p[defined] > 1)).any():
        raise ValueError(f"pvalues lie in [{np.nanmin(p):.3g}, {np.nanmax(p):.3g}]; allowed: 0 to 1, or NaN")
    tested = defined.all(axis=0)
    p, causal = p[:, tested].min(axis=0), np.ones(p.shape[1], bool)
    if p.size:
        causal[tested] = p < alpha if correction is None else multipletests(p, alpha, correction)[0]
    return causal if rule == "noncausal" else ~causal


def warn_if_one_sided(keep, what="the mask"):
    """Warn if a mask keeps everything or nothing; of a dict of name -> mask, all of it or nothing of one. Returns it.

    keep : bool array or tensor, True = keep, or a dict of these
    """
    named = keep if isinstance(keep, dict) else {"": keep}
    if all(bool(mask.all()) for mask in named.values()):
        warnings.warn(f"{what} keeps everything", stacklevel=3)
    elif empty := [name for name, mask in named.items() if not bool(mask.any())]:
        warnings.warn(f"{what} keeps nothing{' of ' * any(empty)}{', '.join(empty)}", stacklevel=3)
    return keep


def horizon(split, protocol, variant="FT"):
    """What a variant, FT or PT, looks at on a data set: `protocols.Settings`, with `rows`.

    Raises ValueError for an unknown variant, a window that does not fit the run, or too few windows for max_lag.
    """
    protocol = protocols.get(protocol, split.name)
    chosen = protocol.of(variant)
    lyapunov.check_window(chosen.window, protocol.overlap, steps=chosen.steps, **protocol.embedding)
    n_rows = chosen.epochs * -(-len(split.X_train) // protocol.batch_size) + 1
    rows = lyapunov.window_ends(n_rows, chosen.window, protocol.overlap, needed=True)
    granger.check_lag(chosen.max_lag, len(rows), protocol.difference)
    return chosen._replace(rows=rows)


@dataclass
class Selection:
    """What LEGC saw and what it chose, for S seeds."""

    horizon: protocols.Settings
    runs: training.Runs  # the dense training that was followed
    candidates: slice  # of the flat weights: those that may be pruned, n_candidates of them
    exponents: np.ndarray  # float64 (n_windows, S, n_candidates), nats per iterate
    target: np.ndarray  # float64 (n_windows, S), misclassified share at each window's last iterate
    pvalues: np.ndarray  # float64 (S, n_candidates), the smallest over the lags that the protocol looks at
    masks: np.ndarray  # bool (S, n_weights), True = keep


def find_masks(split, hidden, seeds, protocol="published", variant="FT", initial=None):
    """Train the dense networks, follow every weight, test it, and choose: LEGCNet-FT or LEGCNet-PT.

    variant : "FT" follows the protocol's recorded epochs, "PT" only its first partial_epochs. The other arguments are
    those of `training.train_ensemble`. Returns a `Selection`. Raises ValueError as `horizon` and `train_ensemble` do,
    before training starts.
    """
    protocol = protocols.get(protocol, split.name)
    look = horizon(split, protocol, variant)
    layers = training.layer_sizes(split, hidden)
    n_weights = training.count_weights(layers)
    first = layers[0] * layers[1] if protocol.candidates == "after_first" else 0
    candidates, n_candidates = slice(first, n_weights), n_weights - first
    protocols.check(seeds=seeds)
    seeds = np.atleast_1d(seeds).tolist()
    stream = lyapunov.StreamingLyapunov(
        len(seeds) * n_candidates, look.window, protocol.overlap, decimals=protocol.decimals,
        steps=look.steps, **protocol.embedding,
    )  # fmt: skip
    runs = training.train_ensemble(
        split, hidden, seeds, protocol, epochs=look.epochs, rows=look.rows, initial=initial,
        errors=(protocol.target,), evaluate=(), record_from=first,
        record=lambda piece: stream.update(piece.reshape(len(piece), -1)),
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
