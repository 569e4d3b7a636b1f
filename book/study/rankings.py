"""Other people's answers to "which weights matter?", and what masks of any origin have in common.

Scores are float64 (n_networks, n_weights), the higher the more a weight is worth keeping. Masks are bool, True = keep,
flat, in the order of `training`.
"""

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import prune

from legc_utils import protocols, training
from legc_utils.selection import find_masks
from study import maps
from study.randomness import derived_seed


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
    w = torch.as_tensor(np.abs(weights)).requires_grad_()
    flow = torch.ones(len(w), layers[0], 1, dtype=w.dtype)
    for at, _, shape in training.layer_slices(layers):
        flow = w[:, at].unflatten(1, shape) @ flow
    (slope,) = torch.autograd.grad(flow.sum(), w)
    return (w * slope).detach().numpy()


def synflow_masks(weights, layers, sparsity, rounds=100):
    """SynFlow as it is used: `rounds` prunings on an exponential schedule, each scored anew (Tanaka et al. 2020)."""
    masks = np.ones(weights.shape, bool)
    for k in range(1, rounds + 1):
        scores = np.where(masks, synflow(weights * masks, layers), -np.inf)
        masks = keep_highest(scores, 1 - (1 - sparsity) ** (k / rounds))
    return masks


def keep_highest(scores, sparsity, layers=None):
    """Masks that keep the highest scores, by torch.nn.utils.prune.

    Parameters
    ----------
    scores : float array (n_networks, n_weights); ties go to the weight that comes later.
    sparsity : float
        Share of weights to prune, from 0 to 1; the number is rounded, and one weight at least is kept.
    layers : tuple, optional
        Prune this share of every layer, instead of the lowest scores wherever they are.

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
    masks = np.ones(scores.shape, bool)
    for row, keep in zip(scores, masks):
        for at in parts:
            rank = row[at].argsort(kind="stable").argsort() + 1  # torch ranks by size, not by sign
            keep[at] = torch_mask(prune.L1Unstructured, min(round(sparsity * len(rank)), len(rank) - 1), rank)
    return masks


def by_unit(scores, layers):
    """Scores of a network with one hidden layer, averaged over all weights into and out of each weight's hidden unit.

    Weights of one unit keep their order, by a billionth of their own score.
    """
    (into, _, (units, inputs)), (out, *_) = training.layer_slices(layers)
    total = scores[:, into].reshape(-1, units, inputs).sum(2) + scores[:, out].reshape(-1, layers[-1], units).sum(1)
    mean = total / (inputs + layers[-1])
    return np.hstack([np.repeat(mean, inputs, axis=1), np.tile(mean, (1, layers[-1]))]) + 1e-9 * scores


def shuffle_within_layers(masks, layers, rng):
    """Each mask with its keeps and prunes in random places of the same layer: what is left is each layer's sparsity."""
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


def retrain(split, hidden, seeds, protocol, masks, **options):
    """Train every mask from each seed's initial weights, all at once.

    Parameters
    ----------
    split, hidden, seeds, protocol, options
        As `training.train_ensemble` takes them.
    masks : dict from (method, sparsity asked for, draw) to bool (n_seeds, n_weights)

    Returns
    -------
    (rows, runs) : DataFrame, one row a mask and seed, and `training.Runs`. accuracy and f1 are of the last epoch;
    at_stop and epoch (counted from 1) of the protocol's stop.
    """
    together = np.stack(list(masks.values()), axis=1)
    runs = training.train_ensemble(split, hidden, seeds, protocol, masks=together, evaluate="stop", **options)
    stop, end = runs.at_stop(), runs.at_stop(benchmark=np.inf)  # a benchmark that is never reached
    kept = together.reshape(-1, together.shape[-1])
    names = pd.DataFrame(list(masks), columns=["method", "target", "draw"]).iloc[end["mask"]]
    return names.reset_index(drop=True).assign(
        seed=end.seed, sparsity=1 - kept.mean(axis=1), accuracy=end.accuracy, f1=end.f1, at_stop=stop.accuracy,
        effective=1 - effective_masks(kept, runs.layers).mean(axis=1), epoch=stop.epoch + 1,
    ), runs  # fmt: skip


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
