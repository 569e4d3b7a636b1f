"""Other people's answers to "which weights matter?", and what masks of any origin have in common.

Scores are float64 (n_networks, n_weights), the higher the more a weight is worth keeping. Masks are bool, True = keep,
flat, in the order of `training`.
"""

from bisect import bisect_left

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import prune

from legc_utils import protocols, training
from legc_utils.selection import find_masks
from study import maps, networks
from study.randomness import derived_seed

AT_ONCE = 2**24  # numbers that `test_loss` holds: 128 MiB


def surprise(pvalues, reverse=False, untested=np.inf):
    """LEGC's score: the evidence −ln p that a weight is causal; with `reverse` the other way round.

    A weight whose p-value is undefined was not tested. The published rule keeps it (`selection.legc_mask`), and so do
    both rankings: it scores +inf and is the last to go, unless `untested` is another score. pvalues : float array of
    any shape; float64 of that shape.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    evidence = -np.log(p.clip(min=1e-300))
    return np.where(np.isnan(p), untested, -evidence if reverse else evidence)


def calibrated(own, placebos):
    """Evidence beyond what placebos give: `surprise` of own p-values (…, n) minus its mean over placebos (draws, …, n).

    A test that is undefined with some placebos is left out of their mean. A weight that was not tested, with its own
    error or with any placebo, scores +inf as in `surprise`.
    """
    tested = ~np.isnan(placebos)
    total = np.where(tested, surprise(placebos), 0).sum(axis=0)
    return np.where(tested.any(axis=0), surprise(own) - total / np.maximum(tested.sum(axis=0), 1), np.inf)


def snip(split, layers, protocol, weights, biases):
    """Connection sensitivity |w · ∂L/∂w| on the whole training set (Lee, Ajanthan & Torr 2019, equation 5).

    weights (n, n_weights), biases (n, n_biases): of n untrained networks. L is the protocol's loss.
    """
    gradient = maps.SGDMap(split, layers, protocol, full_batch=True).gradient(np.hstack([weights, biases]))
    return np.abs(weights * gradient[:, : weights.shape[1]])


def grasp(split, layers, protocol, weights, biases):
    """Gradient signal preservation w · (H ∂L/∂w) (Wang, Zhang & Grosse 2020, equation 8, with the sign of a score).

    H is the Hessian of the loss on the whole training set over the weights, without the biases, as in the authors'
    code; arguments as in `snip`.
    """
    on_all, state = maps.SGDMap(split, layers, protocol, full_batch=True), np.hstack([weights, biases])
    direction = on_all.gradient(state)
    direction[:, weights.shape[1] :] = 0
    return weights * on_all.product(state, direction)[:, : weights.shape[1]]


def synflow(weights, layers):
    """Synaptic flow |w| · ∂R/∂|w|, R the sum of the outputs of the linear network of |w| for inputs of one.

    Tanaka et al. 2020, equation 2; without data, biases and activations.
    """
    shaped = [np.abs(weights[:, at]).reshape(-1, *shape) for at, _, shape in training.layer_slices(layers)]
    into = [np.ones((len(weights), 1, layers[0]))]
    for w in shaped[:-1]:
        into.append((w @ into[-1].mT).mT)
    out, found = np.ones((len(weights), layers[-1], 1)), []
    for w, x in zip(reversed(shaped), reversed(into)):
        found.append((w * out * x).reshape(len(w), -1))
        out = w.mT @ out
    return np.hstack(found[::-1])


def synflow_masks(weights, layers, sparsity, rounds=100):
    """SynFlow as it is used: `rounds` prunings on an exponential schedule, each scored anew (Tanaka et al. 2020)."""
    masks = np.ones(weights.shape, bool)
    for k in range(1, rounds + 1):
        scores = np.where(masks, synflow(weights * masks, layers), -np.inf)
        masks = keep_highest(scores, 1 - (1 - sparsity) ** (k / rounds))
    return masks


def keep_highest(scores, sparsity, layers=None, ties=None):
    """Masks that keep the highest scores, as torch.nn.utils.prune.L1Unstructured keeps the highest ranks.

    Parameters
    ----------
    scores : float array (n_networks, n_weights)
    sparsity : float
        Share of weights to prune, from 0 to 1; the number is rounded, and one weight at least is kept.
    layers : tuple, optional
        Prune this share of every layer, instead of the lowest scores wherever they are.
    ties : float array as scores, optional
        Of weights that score the same, the one with less goes first; without it, the one that comes first. The weights
        that come first are the first layer's: a network of which no weight could be tested would lose all paths.

    Raises
    ------
    ValueError
        For a sparsity outside 0 to 1, or NaN scores.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity={sparsity!r} is not allowed; give a share from 0 to 1")
    if np.isnan(scores).any():
        raise ValueError("scores holds NaN; allowed: numbers, −inf for what must go first")
    parts = [slice(None)] if layers is None else [at for at, *_ in training.layer_slices(layers)]
    masks, ties = np.ones(scores.shape, bool), np.zeros(scores.shape) if ties is None else np.asarray(ties)
    for at in parts:
        order = np.lexsort((ties[:, at], scores[:, at]))  # of each row
        n = order.shape[1]
        np.put_along_axis(masks[:, at], order[:, : min(round(sparsity * n), n - 1)], False, axis=1)
    return masks


def by_unit(scores, layers):
    """Scores of a network with one hidden layer, averaged over all weights into and out of each weight's hidden unit.

    Weights of one unit keep their order, by a billionth of their own score. Those that score +inf (not tested) have no
    say, and a unit of nothing else scores +inf itself.
    """
    (into, _, (units, inputs)), (out, *_) = training.layer_slices(layers)
    of_unit = lambda x: x[:, into].reshape(-1, units, inputs).sum(2) + x[:, out].reshape(-1, layers[-1], units).sum(1)
    tested = np.isfinite(scores)
    own = np.where(tested, scores, 0)
    n = of_unit(tested)
    mean = np.where(n > 0, of_unit(own) / np.maximum(n, 1), np.inf)
    last = own.max(axis=1, keepdims=True)
    own = np.where(tested, scores, last)
    return np.hstack([np.repeat(mean, inputs, axis=1), np.tile(mean, (1, layers[-1]))]) + 1e-9 * own


def shuffle_within_layers(masks, layers, rng):
    """Masks or scores, each row in random places of the same layer: what is left is what it takes of each layer."""
    found = masks.copy()
    for at, *_ in training.layer_slices(layers):
        found[:, at] = rng.permuted(masks[:, at], axis=1)
    return found


def effective_masks(masks, layers):
    """Masks without the weights that lie on no path from an input to an output (Vysogorets & Kempe 2023).

    Such weights are kept by name only: a unit without inputs sends a constant, one without outputs is not heard.
    """
    shaped = [masks[:, at].reshape(-1, *shape) for at, _, shape in training.layer_slices(layers)]
    alive = np.ones((len(masks), layers[0]), bool)
    for k, keep in enumerate(shaped):
        shaped[k] = keep & alive[:, None, :]
        alive = shaped[k].any(axis=2)
    alive = np.ones((len(masks), layers[-1]), bool)
    for k in reversed(range(len(shaped))):
        shaped[k] = shaped[k] & alive[:, :, None]
        alive = shaped[k].any(axis=1)
    return np.hstack([keep.reshape(len(masks), -1) for keep in shaped])


def compact_operations(masks, layers):
    """Multiply–adds of a sample once every unit and input on no path is cut out of its network: int (n,).

    What a mask saves without kernels that skip zeros: a unit that nothing reaches sends a constant, which a bias can
    hold, and one that no output hears can go.
    """
    shaped = [
        effective_masks(masks, layers)[:, at].reshape(-1, *shape) for at, _, shape in training.layer_slices(layers)
    ]
    return sum(keep.any(axis=1).sum(axis=1) * keep.any(axis=2).sum(axis=1) for keep in shaped)


def connected(masks, layers):
    """Whether every output of a mask lies on a path from some input: bool (n_masks,)."""
    at, _, shape = training.layer_slices(layers)[-1]
    return effective_masks(masks, layers)[:, at].reshape(-1, *shape).any(axis=2).all(axis=1)


def connected_sparsities(layers, number=5, least=0.2, share=0.9, draws=2000):
    """Shares of weights to prune at which a mask can still be told from another, because random ones keep their paths.

    Beyond, networks say the same of every sample, whatever method chose the mask.

    Parameters
    ----------
    layers : tuple of int
        The grid depends on nothing else: all splits, seeds and methods of a data set have the same.
    number, least : int, float
        So many equidistant shares from `least` on, in whole per cent.
    share, draws : float, int
        The last one is the largest at which this share of so many random masks is `connected`.

    Returns
    -------
    list of float

    Raises
    ------
    ValueError
        If masks fall apart before `least` of the weights are gone.
    """
    n = training.count_weights(layers)
    rng = np.random.default_rng(derived_seed("connected masks"))
    order = rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    too_many = lambda pruned: connected(order >= pruned, layers).mean() < share
    most = 100 * (bisect_left(range(n), True, key=too_many) - 1) // n / 100
    if most <= least:
        raise ValueError(f"{layers=} is not allowed; at {least} pruned less than {share} of random masks keep a path")
    return np.linspace(least, most, number).round(2).tolist()


def test_loss(runs, split):
    """Mean squared error of each network's outputs on the test set, after the last epoch: float64 (M,)."""
    target = training.one_hot(split.y_test, runs.layers[-1])
    together = max(1, AT_ONCE // (len(target) * max(runs.layers[1:])))
    found = []
    for k in range(0, len(runs.members), together):
        some = slice(k, k + together)
        given = runs.final_weights[some], runs.final_biases[some], split.X_test, runs.layers, runs.protocol.output
        found.append(np.square(networks.forward(*given).numpy() - target).mean(axis=(1, 2)))
    return np.concatenate(found)


def retrain(split, hidden, seeds, protocol, masks, stops=True, **options):
    """Train every mask from each seed's initial weights, all at once.

    Parameters
    ----------
    split, hidden, seeds, protocol, options
        As `training.train_ensemble` takes them.
    masks : dict from (method, sparsity asked for, draw) to bool (n_seeds, n_weights)
    stops : bool
        Whether to read the protocol's stop as well.

    Returns
    -------
    (rows, runs) : DataFrame, one row a mask and seed, and `training.Runs`. accuracy, f1 and loss (`test_loss`) are of
    the last epoch; at_stop (accuracy) and epoch (counted from 1) of the protocol's stop. An accuracy is the share of
    samples whose class has the largest output (of one output: is on its side of one half), whatever the protocol counts
    as right: a network that says the same of every sample has the share of the class it names.
    """
    together = np.stack(list(masks.values()), axis=1)
    evaluate = "stop" if stops else [protocol.recorded_epochs + protocol.extra_epochs]
    runs = training.train_ensemble(split, hidden, seeds, protocol, masks=together, evaluate=evaluate, **options)
    end = runs.at_stop(benchmark=np.inf)  # that is never reached
    kept = together.reshape(-1, together.shape[-1])
    names = pd.DataFrame(list(masks), columns=["method", "target", "draw"]).iloc[end["mask"]]
    rows = names.reset_index(drop=True).assign(
        seed=end.seed, sparsity=1 - kept.mean(axis=1), effective=1 - effective_masks(kept, runs.layers).mean(axis=1),
        accuracy=(runs.test_labels[-1] == runs.y_test).mean(axis=1), loss=test_loss(runs, split), f1=end.f1,
    )  # fmt: skip
    if stops:
        stop = runs.at_stop().epoch
        at = stop.fillna(len(runs.test_labels) - 1).astype(int), range(len(stop))
        rows = rows.assign(at_stop=(runs.test_labels[at] == runs.y_test).mean(axis=1), epoch=stop + 1)
    return rows, runs


def iterative_magnitude(split, hidden, seeds, protocol, trained, sparsities, **options):
    """Iterative magnitude pruning (Frankle & Carbin 2019): drop the smallest of what is left, rewind, train, and so on.

    trained (n_seeds, n_weights) : of the dense networks; the others as in `retrain`, sparsities rising. Returns
    (rows of `retrain`, masks as it takes them), method "IMP".
    """
    left, rows, masks = np.ones(trained.shape, bool), [], {}
    for sparsity in sparsities:
        left = keep_highest(np.where(left, np.abs(trained), -np.inf), sparsity)
        masks["IMP", sparsity, 0] = left
        found, runs = retrain(split, hidden, seeds, protocol, {("IMP", sparsity, 0): left}, **options)
        trained = runs.final_weights
        rows.append(found)
    return pd.concat(rows, ignore_index=True), masks


def torch_mask(method, amount, weights):
    """What a method of torch.nn.utils.prune keeps of flat weights (n,) when it prunes `amount` of them: bool (n,)."""
    scores = torch.as_tensor(np.asarray(weights, dtype=np.float64))
    if amount == 0:  # torch refuses an amount of 0 in some methods; nothing to prune is a fair request
        return np.ones(len(scores), bool)
    return method(int(amount)).compute_mask(scores, torch.ones_like(scores)).numpy().astype(bool)


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


def model_masks(split, hidden, seeds, protocol="published", placebo=False):
    """The five models of Tables 1 to 3 for every seed.

    Random and magnitude pruning take as many weights as LEGCNet-FT does, among the same candidates; magnitude goes by
    the dense network that was trained for FT.

    Parameters
    ----------
    As `find_masks`.
    placebo : bool
        Add "random (PT)": random masks of PT's size, as "random" has FT's.

    Returns
    -------
    dict from dense, FT, PT, random, magnitude to bool (S, n_weights), True = keep
    """
    full, partial = (find_masks(split, hidden, seeds, protocol, variant) for variant in protocols.VARIANTS)
    masks = {
        "dense": np.ones_like(full.masks), "FT": full.masks, "PT": partial.masks,
        "random": random_masks(full.masks, seeds, full.candidates),
        "magnitude": magnitude_masks(full.masks, full.runs.final_weights, full.candidates),
    }  # fmt: skip
    if placebo:
        drawn = [derived_seed("random mask of PT", seed) for seed in seeds]
        masks["random (PT)"] = random_masks(partial.masks, drawn, partial.candidates)
    return masks
