"""Prune a torch network of any kind by LEGC, by magnitude and at random, rewind it, and train it again.

What `training` and `rankings` are for the paper's small networks, one network at a time. Every random draw comes from
the seed of the network: its initial weights, the order of its samples, its random masks.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, isqrt
from typing import NamedTuple

import pandas as pd
import torch
from torch.nn import functional as F
from torch.nn.utils import prune

from legc_utils import datasets, pruning
from study import criteria, networks, operations, rankings, results, texts
from study.randomness import derived_seed

RANKINGS = ("LEGC", "magnitude", "random")
PLACEBO = ", shuffled"  # after a ranking's name: its scores shuffled within layers
EVERYWHERE = (*RANKINGS, "LEGC" + PLACEBO)  # at every sparsity; most others, for the time they take, at the largest
NOT_RETRAINED = "magnitude, not retrained"
_COMMON = ("SNIP", "SynFlow", "movement", "Taylor", "LAMP")
SUCCESSORS = ("Granger", "causal")  # which the ledger judges: at every sparsity, with their placebos
OTHERS = {  # of each network
    "resnet": (*_COMMON, "Fisher", *SUCCESSORS, *(name + PLACEBO for name in SUCCESSORS)),
    "densenet": _COMMON,
    "transformer": (*_COMMON, "Wanda"),
}
SCORES = ("accuracy", "loss")  # of `measure`
MOST_UNITS = 0.8  # of a layer: beyond that narrow layers would lose all
COST_STEPS = 110  # of training, when costs are compared: an epoch of the images, and a few windows
TOGETHER = 20  # networks that train side by side at most, for the sake of memory
CONTEXT = 32  # characters that the transformer reads at a time


class Case(NamedTuple):
    """What sets one of the book's networks apart: how it is trained, what it is made of, by what it is judged."""

    rate: float
    batch_size: int
    units: str  # what can be left out of it as a whole
    score: str  # of one network: a column of `compare`
    score_unit: str
    gain: str  # of a ranking over another: a column of `advantages`
    gain_unit: str
    better: str  # than zero: where a gain is one


_ACCURACY = ("accuracy", "share", "points", "accuracy (points)", "above")
_LOSS = ("perplexity", "characters", "loss", "loss (nats per character)", "below")
CASES = {  # as in parameters.NETWORKS; rates and batch sizes are chosen by how the dense network trains
    "resnet": Case(0.05, 32, "filters", *_ACCURACY),
    "densenet": Case(0.05, 32, "channels", *_ACCURACY),
    "transformer": Case(1.0, 16, "heads and neurons", *_LOSS),
}


class Task(NamedTuple):
    """What a network is to learn: inputs X, one sample a row, and a class for each sample, or for each part of it."""

    X_train: torch.Tensor
    y_train: torch.Tensor
    X_test: torch.Tensor
    y_test: torch.Tensor


def image_task(split):
    """Square grey images of a `datasets.Split` as a `Task`: X float32 (n, 1, side, side), y int64 (n,).

    Pixels are scaled to mean 0 and deviation 1 over the training set. Raises ValueError if the features do not make up
    a square.
    """
    side = isqrt(split.X_train.shape[1])
    if side**2 != split.X_train.shape[1]:
        raise ValueError(f"{split.name} has {split.X_train.shape[1]} features; allowed: a square number of pixels")
    mean, sd = split.X_train.mean(), split.X_train.std()
    images = [torch.tensor((X - mean) / sd).float().reshape(-1, 1, side, side) for X in (split.X_train, split.X_test)]
    return Task(images[0], torch.tensor(split.y_train), images[1], torch.tensor(split.y_test))


def text_task(text, context):
    """A text as a `Task`, to predict each character from those before it, and its characters, sorted.

    X and y int64 (n, context), numbers of characters, y one character ahead. The text is cut into pieces that do not
    overlap; every tenth is for test. Raises ValueError for a text shorter than ten pieces.
    """
    characters = sorted(set(text))
    number = {c: k for k, c in enumerate(characters)}
    n = len(text) // (context + 1)
    if n < 10:
        raise ValueError(f"the text has {len(text)} characters; allowed: at least {10 * (context + 1)}")
    pieces = torch.tensor([number[c] for c in text[: n * (context + 1)]]).reshape(n, context + 1)
    for_test = torch.arange(n) % 10 == 9
    train, test = pieces[~for_test], pieces[for_test]
    return Task(train[:, :-1], train[:, 1:], test[:, :-1], test[:, 1:]), tuple(characters)


def prepare(network, protocol):
    """One of the book's networks, and what it is to learn.

    Parameters
    ----------
    network : str, one of `CASES`
    protocol : protocols.Protocol
        Names the data set.

    Returns
    -------
    (build, task, protocol) : callable, () -> torch.nn.Module; Task; the protocol with the rate and batch size of the
    case, and p-values that are not rounded, or they could not be ranked
    """
    case = CASES[network]
    protocol = replace(protocol, rate=case.rate, batch_size=case.batch_size, p_decimals=None)
    if network == "transformer":
        task, characters = text_task(texts.load(protocol.dataset), CONTEXT)
        return partial(networks.Transformer, len(characters), CONTEXT), task, protocol
    build = {"resnet": networks.ResNet, "densenet": networks.DenseNet}[network]
    return build, image_task(datasets.load(protocol.dataset, protocol)), protocol


def measure(model, X, y):
    """How well a network does, in evaluation mode: dict of accuracy (share) and loss (cross-entropy, nats per class).

    The exponential of the loss is the perplexity.
    """
    return measure_all(model, X, y, 1)[0]


def measure_all(model, X, y, copies):
    """What `measure` says of each of the networks that are side by side in a model: list of dict."""
    with operations.evaluating(model):
        logits = torch.cat([model(part).flatten(0, -2) for part in X.split(500)])
    found = []
    for own in logits.chunk(copies, dim=-1):
        right = own.argmax(dim=-1) == y.flatten()
        found.append({"accuracy": right.double().mean().item(), "loss": F.cross_entropy(own, y.flatten()).item()})
    return found


def n_steps(task, protocol):
    """SGD steps of a training: the protocol's recorded epochs, the last batch of each being smaller."""
    return protocol.recorded_epochs * ceil(len(task.X_train) / protocol.batch_size)


def train(model, task, protocol, seed, recorder=None, copies=1, masks=None, watch=None):
    """Train a network in place by plain SGD on the cross-entropy, and return it.

    Parameters
    ----------
    model : torch.nn.Module, inputs of the task -> logits (…, n_classes)
    task : Task
    protocol : protocols.Protocol
        Its recorded_epochs, batch_size and rate count; samples come in a new order each epoch.
    seed : int
        Of that order.
    recorder : pruning.LEGCRecorder, optional
        Follows the steps.
    copies : int
        Networks that are side by side in the model; each learns by its own loss.
    masks : {name of a parameter: tensor of its shape}, optional
        Parameters are multiplied by them after every step.
    watch : callable, model -> None, optional
        Called before every step, when gradients are there.
    """
    masked = [(model.get_parameter(name), mask) for name, mask in (masks or {}).items()]
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=protocol.rate)
    if recorder is not None:
        recorder.attach(optimizer)
    model.train()
    for _ in range(protocol.recorded_epochs):
        for rows in torch.randperm(len(task.X_train), generator=order).split(protocol.batch_size):
            optimizer.zero_grad()
            logits = model(task.X_train[rows]).unflatten(-1, (copies, -1)).flatten(0, -2)
            (copies * F.cross_entropy(logits, task.y_train[rows].flatten().repeat_interleave(copies))).backward()
            if watch is not None:
                watch(model)
            optimizer.step()
            with torch.no_grad():
                for parameter, mask in masked:
                    parameter.mul_(mask)
    if recorder is not None:
        recorder.detach()
    return model


def draw(build, seed):
    """An untrained network, `build()`, whose initial weights come from `seed`; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def record(model, task, protocol, seed=0, **changes):
    """A `LEGCRecorder` of all linear maps of a model, as the protocol says: its windows, lags, test and target.

    The target is the misclassified share of the protocol's set, test or train. `changes` go to the recorder as they
    are. Raises ValueError, before any training, where the windows of the planned steps are too few for the lags.
    """
    part = (task.X_test, task.y_test) if protocol.target == "test" else (task.X_train, task.y_train)
    options = dict(
        protocol=protocol, max_lag=protocol.max_lag, n_steps=n_steps(task, protocol), seed=seed,
        error=lambda: 1 - measure(model, *part)["accuracy"],
    )  # fmt: skip
    names = networks.linear_maps(model)
    return pruning.LEGCRecorder(model, protocol.window, protocol.overlap, names, **options | changes)


@dataclass
class Followed:
    """A network before and after a training that was followed, and what LEGC makes of it.

    build : callable, copies=k -> torch.nn.Module
    recorder : pruning.LEGCRecorder, with all that it saw
    pvalues : {name of a parameter: float64 tensor of its shape}, the smallest over the lags; NaN where undefined
    movement : the same, scores of `criteria.Movement`
    """

    build: Callable
    seed: int
    initial: torch.nn.Module
    trained: torch.nn.Module
    recorder: pruning.LEGCRecorder
    pvalues: dict
    movement: dict | None = None

    @property
    def undefined(self):
        """Share of the weights that no test was possible for."""
        return torch.cat([p.flatten() for p in self.pvalues.values()]).isnan().double().mean().item()


def follow(build, task, protocol, seed):
    """Draw a network, train it with every linear map recorded, and test each weight.

    Parameters
    ----------
    build : callable, () -> torch.nn.Module
    task : Task
    protocol : protocols.Protocol
    seed : int

    Returns
    -------
    Followed
    """
    initial = draw(build, seed)
    model = copy.deepcopy(initial)
    recorder = record(model, task, protocol, seed)
    movement = criteria.Movement(model)
    train(model, task, protocol, seed, recorder, watch=movement)
    return Followed(build, seed, initial, model, recorder, recorder.pvalues(), movement.scores)


def importance(followed, ranking, number=0):
    """The higher, the longer a weight stays: {name: float64 tensor of the parameter's shape}.

    LEGC is `rankings.surprise`; magnitude is that after training; random is drawn from the network's seed and `number`;
    "LEGC, shuffled" is LEGC's shuffled within layers. Raises ValueError for an unknown ranking.
    """
    if ranking not in EVERYWHERE:
        raise ValueError(f"ranking={ranking!r} is unknown; allowed: {', '.join(EVERYWHERE)}")
    if ranking.endswith(PLACEBO):
        return criteria.shuffled(importance(followed, "LEGC"), derived_seed("shuffled LEGC", followed.seed))
    if ranking == "LEGC":
        return {name: torch.from_numpy(rankings.surprise(p.numpy())) for name, p in followed.pvalues.items()}
    if ranking == "magnitude":
        return {name: followed.trained.get_parameter(name).detach().abs() for name in followed.pvalues}
    chance = torch.Generator().manual_seed(derived_seed("random ranking", followed.seed, number))
    return {name: torch.rand(p.shape, generator=chance, dtype=p.dtype) for name, p in followed.pvalues.items()}


def others(followed, task, protocol, names, amount):
    """Scores of the rankings in `OTHERS`, as `importance` returns them: {ranking: scores}.

    Movement is summed up over the training that was followed. SNIP and SynFlow look at the untrained network, the rest
    at the trained one. SynFlow depends on the share `amount` that is to go.

    Raises
    ------
    ValueError
        For an unknown ranking.
    """
    known = sorted({name for group in OTHERS.values() for name in group})
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"rankings={unknown} are unknown; allowed: {', '.join(known)}")
    trained, sample, batch = followed.trained, task.X_test[:1], protocol.batch_size
    ways = {
        "SNIP": lambda: criteria.snip(followed.initial, task), "LAMP": lambda: criteria.lamp(trained),
        "SynFlow": lambda: criteria.synflow(followed.initial, sample, amount), "movement": lambda: followed.movement,
        "Taylor": lambda: criteria.taylor(trained, task, batch), "Wanda": lambda: criteria.wanda(trained, task),
    }  # fmt: skip
    found = {name: way() for name, way in ways.items() if name in names}
    if any(name.removesuffix(PLACEBO) in ("Fisher", *SUCCESSORS) for name in names):
        steps = criteria.one_pass(trained, task, batch, derived_seed("pass of the successors", followed.seed))
        found |= criteria.successor_scores(trained, steps)
    shuffle = lambda name: derived_seed(f"shuffled {name.removesuffix(PLACEBO)}", followed.seed)
    made = lambda name: criteria.shuffled(found[name.removesuffix(PLACEBO)], shuffle(name))
    return {name: made(name) if name.endswith(PLACEBO) else found[name] for name in names}


def _place(model, name):
    """Module and name of a parameter, as torch.nn.utils.prune wants them."""
    module, _, parameter = name.rpartition(".")
    return model.get_submodule(module), parameter


def prune_weights(model, scores, amount):
    """Prune the share `amount` of all weights that have scores, lowest first, wherever they are."""
    least = min(min(score.min().item() for score in scores.values()), 0)  # torch ranks by size, not by sign
    places = {_place(model, name): score - least for name, score in scores.items()}
    prune.global_unstructured(places, prune.L1Unstructured, places, amount=amount)


def prune_units(model, scores, units, amount):
    """Prune the share `amount` of the units of each weight, those of least mean score (torch's LnStructured, n = 1).

    units : {name of a parameter: number of its units}, equal groups of rows: filters, neurons or heads.
    """
    for name, n_units in units.items():
        by_unit = scores[name].reshape(n_units, -1)
        mask = prune.LnStructured(amount, n=1, dim=0).compute_mask(by_unit, torch.ones_like(by_unit))
        prune.custom_from_mask(*_place(model, name), mask.reshape(scores[name].shape))


def prune_units_by_pvalues(model, pvalues, units, amount):
    """The same by LEGC: the units whose combined p-value is largest go (`pruning.LEGCStructured`)."""
    for name, n_units in units.items():
        heads = pruning.attention_heads(n_units, len(pvalues[name]))  # of one row each, or of several
        pruning.LEGCStructured.apply(*_place(model, name), pvalues[name], amount=float(amount), groups=heads)


def pruned_share(model, names):
    """Share of the weights of these names that are zero."""
    weights = [getattr(*_place(model, name)) for name in names]
    return torch.cat([weight.flatten() == 0 for weight in weights]).double().mean().item()


def retrain(followed, task, protocol, cuts):
    """Rewind to the initial weights, prune in each of several ways, and train all again in the same order.

    The networks train side by side (`networks.side_by_side`), each as if it were alone but for rounding.

    Parameters
    ----------
    followed : Followed
    task, protocol
        As in `follow`.
    cuts : sequence of callable, model -> None
        Each prunes the network that it is given by torch.nn.utils.prune.

    Returns
    -------
    list of dict, one a cut: what `count` says, and accuracy and loss on the test set.
    """
    models, masks = [], []
    for cut in cuts:
        model = copy.deepcopy(followed.initial)
        cut(model)
        models.append(model)
        masks.append(_fix_masks(model, followed.pvalues))
    work = [count(model, task, followed.pvalues) for model in models]
    many = networks.side_by_side(followed.build, models)
    together = {}
    for name in followed.pvalues:
        mask = torch.cat([own[name] for own in masks])
        together[name] = torch.empty_like(many.get_parameter(name)).copy_(mask)  # laid out like the weights
    train(many, task, protocol, followed.seed, copies=len(models), masks=together)
    found = measure_all(many, task.X_test, task.y_test, len(models))
    return [counts | scores for counts, scores in zip(work, found)]


def _fix_masks(model, names):
    """The masks of the weights of these names, whose prunings are made permanent: {name: tensor}."""
    masks = {}
    for name in names:
        module, own = _place(model, name)
        masks[name] = getattr(module, f"{own}_mask", torch.ones_like(getattr(module, own))).detach()
        if hasattr(module, f"{own}_mask"):
            prune.remove(module, own)
    return masks


def count(model, task, names):
    """What masks leave of a network whose pruned weights are zero: dict.

    sparsity and effective (share of the weights of these names; with those on no path, `criteria.effective_sparsity`),
    multiply_adds and skippable (share of them that a machine could skip which skips every zero) for one sample.
    """
    sample = task.X_test[:1]
    work, skippable = operations.multiply_adds(model, sample), operations.skippable_multiply_adds(model, sample)
    shares = {"sparsity": pruned_share(model, names), "effective": criteria.effective_sparsity(model, sample)}
    return shares | {"multiply_adds": work, "skippable": skippable / work}


def compare(followed, task, protocol, sparsities, draws=1, rivals=()):
    """Every ranking at every sparsity, weight by weight and unit by unit, and LEGC's own rule: DataFrame of tidy rows.

    Parameters
    ----------
    followed : Followed
    task, protocol
        As in `follow`.
    sparsities : sequence of float
        Shares of the weights to prune. Units go at the shares up to `MOST_UNITS`, as every layer loses that share.
    draws : int
        Random masks a sparsity.
    rivals : sequence of str
        Rankings of `others`, of single weights; but for the successors at the last sparsity alone.

    Returns
    -------
    DataFrame: by (weights or units), kind (dense, rule or sweep), method, target (share asked for), draw, seed, and
    what `retrain` returns. The dense network is the one that was followed; LEGC prunes units by
    `pruning.LEGCStructured`. `NOT_RETRAINED` is the followed network, pruned by magnitude and left so.
    """
    p, units = followed.pvalues, followed.initial.units
    rule = partial(pruning.prune_parameters, pvalues=p, alpha=protocol.alpha, rule=protocol.rule)
    rows, cuts = [dict(by="weights", kind="rule", method="LEGC", target=float("nan"), draw=0)], [rule]
    for method, number in [(m, n) for m in EVERYWHERE for n in range(draws if m == "random" else 1)]:
        scores = importance(followed, method, number)
        by_unit = partial(prune_units, scores=scores)
        if method == "LEGC":
            by_unit = partial(prune_units_by_pvalues, pvalues=p)
        for amount in sparsities:
            chosen = dict(kind="sweep", method=method, target=amount, draw=number)
            rows.append({"by": "weights"} | chosen)
            cuts.append(partial(prune_weights, scores=scores, amount=amount))
            if amount <= MOST_UNITS and method in RANKINGS:
                rows.append({"by": "units"} | chosen)
                cuts.append(partial(by_unit, units=units, amount=amount))
    for method, scores in others(followed, task, protocol, rivals, sparsities[-1]).items():
        for amount in sparsities if method.removesuffix(PLACEBO) in SUCCESSORS else sparsities[-1:]:
            rows.append(dict(by="weights", kind="sweep", method=method, target=amount, draw=0))
            cuts.append(partial(prune_weights, scores=scores, amount=amount))
    found = []
    for k in range(0, len(cuts), TOGETHER):
        found += retrain(followed, task, protocol, cuts[k : k + TOGETHER])
    rows = [row | f for row, f in zip(rows, found)]
    for kind, method, amount in (("dense", "dense", 0.0), *(("sweep", NOT_RETRAINED, s) for s in sparsities)):
        model = copy.deepcopy(followed.trained)
        prune_weights(model, importance(followed, "magnitude"), amount)
        _fix_masks(model, p)
        row = dict(by="weights", kind=kind, method=method, target=amount, draw=0)
        rows.append(row | count(model, task, p) | measure(model, task.X_test, task.y_test))
    table = pd.DataFrame(rows).assign(seed=followed.seed)
    first = ["by", "kind", "method", "target", "draw", "seed", "sparsity", "effective", *SCORES]
    return table[[*first, "multiply_adds", "skippable"]]


def advantages(rows):
    """What a ranking gains over another at the same sparsity, averaged over those that both have, one row a seed.

    Of the rankings at every sparsity each pair that matters; of all others, by single weights, over random masks and
    over magnitude. rows : DataFrame of `compare`, of any number of seeds.

    Returns
    -------
    DataFrame: by, seed, kind ("advantage"), method, over (the other ranking), points (difference in accuracy, per cent)
    and loss (difference in nats: below zero is better).
    """
    sweep = rows[rows.kind == "sweep"].pivot_table(
        index=["by", "seed", "target"], columns="method", values=["accuracy", "loss"]
    )
    methods, found = rows[rows.kind == "sweep"].method.unique(), []
    pairs = [("LEGC", "random"), ("magnitude", "random"), ("LEGC", "magnitude"), ("LEGC", "LEGC" + PLACEBO)]
    pairs += [(m, over) for m in methods if m not in RANKINGS for over in ("random", "magnitude")]
    for method, over in [pair for pair in pairs if set(pair) <= {*methods}]:
        gain = sweep.xs(method, axis=1, level="method") - sweep.xs(over, axis=1, level="method")
        gain = gain.dropna().groupby(["by", "seed"], sort=False).mean().reset_index()
        gain["points"] = 100 * gain.pop("accuracy")
        found.append(gain.assign(kind="advantage", method=method, over=over))
    return pd.concat(found, ignore_index=True)


def quoted(gains, quantity):
    """`results.interval_text` of `advantages` by name, as pages quote them: {"LEGC_random_weights": "1.20 (…)"}."""
    groups = gains.groupby(["method", "over", "by"])[quantity]
    key = lambda names: "_".join(names).replace(",", "").replace(" ", "_")
    return {key(names): results.interval_text(values) for names, values in groups}


def shares_by_layer(followed, amount):
    """What each ranking takes of each weight when the share `amount` of all goes: DataFrame by name, a column each."""
    found = {}
    for method in RANKINGS:
        model = copy.deepcopy(followed.initial)
        prune_weights(model, importance(followed, method), amount)
        found[method] = {name: pruned_share(model, [name]) for name in followed.pvalues}
    return pd.DataFrame(found)


def cost_runs(build, task, protocol, followed, amount):
    """Computations to weigh against each other (`footprint.compare`), all from one seed: {name: callable}.

    `COST_STEPS` steps of training as it is; recorded; recorded with the error that LEGC predicts asked at each window's
    end; the tests of the whole run; and as many steps of a network of which magnitude pruning took the share `amount`.
    """
    seed, protocol = followed.seed, replace(protocol, recorded_epochs=1)
    n = COST_STEPS * protocol.batch_size
    task = task._replace(X_train=task.X_train[:n], y_train=task.y_train[:n])

    def recorded(**changes):
        model = draw(build, seed)
        # No plan: so few steps need not have the windows for a test
        train(model, task, protocol, seed, record(model, task, protocol, seed, n_steps=None, **changes))

    def pruned():
        model = draw(build, seed)
        prune_weights(model, importance(followed, "magnitude"), amount)
        train(model, task, protocol, seed)

    return {
        "plain": lambda: train(draw(build, seed), task, protocol, seed),
        "recorded": partial(recorded, error=None),
        "recorded, error asked": recorded,
        "tests": followed.recorder.pvalues,
        "pruned": pruned,
    }
