"""What a network loses without a single weight, and how well a statistic of the weights foretells it."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from legc_utils import training
from study import maps, networks


class Knockouts(NamedTuple):
    """What `knock_out` measures of S networks."""

    effects: dict  # "retrained" and "zeroed" to float64 (S, n_left_out), training loss gained without each weight
    initial: np.ndarray  # float64 (S, n_weights), weights of the dense networks before training
    weights: np.ndarray  # the same after training
    biases: np.ndarray  # float64 (S, n_biases), after training


def losses(split, layers, output, weights, biases):
    """Mean squared error on the training set: float64 (n_networks,).

    weights (n_networks, n_weights), biases (n_networks, n_biases); layers, output : as `networks.forward` takes them
    """
    out = networks.forward(weights, biases, split.X_train, layers, output)
    off = out.numpy() - training.one_hot(split.y_train, layers[-1])
    return np.square(off).mean(axis=(1, 2))


def knock_out(split, seeds, protocol, which=slice(None)):
    """Leave out each weight in turn, of a new training and of the trained network.

    "retrained" is trained from the same initial weights without the weight, "zeroed" loses it after training. An effect
    is the gain in training loss (mean squared error) over the dense network of the same seed.

    Parameters
    ----------
    split : datasets.Split
    seeds : list of int
    protocol : protocols.Protocol, its hidden layers included
    which : index of the flat weights to leave out, each by itself; all of them by default

    Returns
    -------
    Knockouts
    """
    layers = training.layer_sizes(split, protocol.hidden)
    n_weights = training.count_weights(layers)
    masks = np.vstack([np.ones(n_weights), (1 - np.eye(n_weights))[which]]).astype(bool)
    together = np.stack([masks] * len(seeds))
    runs = training.train_ensemble(split, protocol.hidden, seeds, protocol, masks=together, evaluate=())
    retrained = losses(split, layers, protocol.output, runs.final_weights, runs.final_biases)
    dense = runs.members["mask"] == 0
    w, b = runs.final_weights[dense], runs.final_biases[dense]
    apart = (w[:, None] * masks).reshape(-1, n_weights), b.repeat(len(masks), axis=0)
    lost = dict(retrained=retrained, zeroed=losses(split, layers, protocol.output, *apart))
    lost = {how: x.reshape(len(seeds), -1) for how, x in lost.items()}
    gained = {how: x[:, 1:] - x[:, :1] for how, x in lost.items()}
    return Knockouts(gained, runs.initial_weights[dense], w, b)


def taylor(split, layers, protocol, weights, biases):
    """What the first two terms of Taylor's series say of setting each weight to zero: two arrays (S, n_weights).

    |w ∂L/∂w| (Molchanov et al. 2017), and w² H_ii / 2, H the exact Hessian (LeCun, Denker & Solla 1990: optimal brain
    damage, without its approximation of the diagonal). L is the protocol's loss on the whole training set; weights
    (S, n_weights), biases (S, n_biases).
    """
    on_all = maps.SGDMap(split, layers, protocol, full_batch=True)
    state, n = np.hstack([weights, biases]), weights.shape[1]
    slope = on_all.gradient(state)[:, :n]
    along = np.tile(np.eye(n, state.shape[1]), (len(state), 1))
    curved = on_all.product(state.repeat(n, axis=0), along).reshape(len(state), n, -1)
    return np.abs(weights * slope), weights**2 * np.diagonal(curved, axis1=1, axis2=2) / 2


def rank(x, y):
    """Spearman correlation over the weights that were tested (not NaN); NaN where there is nothing to rank."""
    both = ~np.isnan(x) & ~np.isnan(y)
    if both.sum() < 3 or not np.ptp(x[both]) * np.ptp(y[both]):
        return np.nan
    return stats.spearmanr(x[both], y[both]).statistic


def partial_rank(x, y, given):
    """Spearman's partial correlation of x and y given a third, each (n_weights,), over what is not NaN.

    The correlation of the ranks' residuals after a regression on the ranks of `given`. NaN where there is nothing to
    rank, or where `given` leaves nothing of x or y.
    """
    known = ~(np.isnan(x) | np.isnan(y) | np.isnan(given))
    if known.sum() < 4:
        return np.nan
    x, y, given = (stats.rankdata(each[known]) - (known.sum() + 1) / 2 for each in (x, y, given))
    if (power := given @ given) > 0:
        x, y = (each - given * (each @ given) / power for each in (x, y))
    left, least = (x @ x) * (y @ y), 1e-9 * known.sum() ** 3  # of ranks, whose squares add up to some n³ / 12
    return x @ y / np.sqrt(left) if min(x @ x, y @ y) > least else np.nan
