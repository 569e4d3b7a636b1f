"""What others rank the weights of a torch network by, one score a weight: the higher, the longer it stays.

What `rankings` and `successors` are for the paper's small networks, for those of chapter 13. Scores are {name of a
weight: float64 tensor of its shape} of all linear maps (`networks.linear_maps`); no network is changed.
"""

import copy

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from study import networks, operations, successors

SAMPLES = 512  # of training, that scores are taken from which need data: the first ones, as others take one batch
RATE = 1e-3  # of the pass that the successors watch, as in their code


def _weights(model):
    return {name: model.get_parameter(name) for name in networks.linear_maps(model)}


def _slopes(model, X, y):
    """(loss, its gradients by the linear maps) of a model on a batch: float, list of tensors."""
    loss = F.cross_entropy(model(X).flatten(0, -2), y.flatten())
    return loss.item(), torch.autograd.grad(loss, [*_weights(model).values()])


def _named(model, values):
    return {name: value.detach().double() for name, value in zip(_weights(model), values)}


def snip(model, task, samples=SAMPLES):
    """|w · ∂L/∂w| of an untrained network on one batch (Lee, Ajanthan & Torr 2019, equation 5)."""
    _, slopes = _slopes(model, task.X_train[:samples], task.y_train[:samples])
    return _named(model, [(w * g).abs() for w, g in zip(_weights(model).values(), slopes)])


def taylor(model, task, batch_size, samples=SAMPLES):
    """Mean of (w · ∂L/∂w)² over batches, of a trained network (Molchanov et al. 2019, equation 8, weight by weight)."""
    total = [torch.zeros_like(w) for w in _weights(model).values()]
    batches = list(zip(task.X_train[:samples].split(batch_size), task.y_train[:samples].split(batch_size)))
    for X, y in batches:
        _, slopes = _slopes(model, X, y)
        for score, w, g in zip(total, _weights(model).values(), slopes):
            score += (w.detach() * g) ** 2
    return _named(model, [score / len(batches) for score in total])


class Movement:
    """−Σ w · ∂L/∂w over the steps of a training (Sanh et al. 2020, equation 2): call it with the model before each.

    High where training drew a weight away from zero; signed. `scores` has what was summed up so far.
    """

    def __init__(self, model):
        self.scores = {name: torch.zeros_like(w, dtype=torch.float64) for name, w in _weights(model).items()}

    def __call__(self, model):
        for name, w in _weights(model).items():
            self.scores[name] -= w.detach() * w.grad


def lamp(model):
    """w² over the sum of all squares in its layer that are no smaller (Lee et al. 2021, equation 4)."""
    found = {}
    for name, w in _weights(model).items():
        squares, order = w.detach().double().square().flatten().sort()
        left = squares.flip(0).cumsum(0).flip(0).clamp(min=torch.finfo(torch.float64).tiny)
        found[name] = torch.empty_like(squares).index_copy_(0, order, squares / left).reshape(w.shape)
    return found


def wanda(model, task, samples=SAMPLES):
    """|w| · ‖x‖₂ of the input that it meets, by rank among the weights of its output (Sun et al. 2024, equation 1).

    Of a network of `Linear` maps. Weights are compared within their output alone, so that each output loses the same
    share: scores are ranks over the number of inputs, between 0 and 1.
    """
    norms, hooks = {}, []
    for name in networks.linear_maps(model):
        module = model.get_submodule(name.removesuffix(".weight"))
        watch = lambda _, given, name=name: norms.update({name: given[0].flatten(0, -2).double().norm(dim=0)})
        hooks.append(module.register_forward_pre_hook(watch))
    with operations.evaluating(model):
        model(task.X_train[:samples])
    for hook in hooks:
        hook.remove()
    scores = {name: w.detach().double().abs() * norms[name] for name, w in _weights(model).items()}
    return {name: (s.argsort(dim=1).argsort(dim=1) + 0.5) / s.shape[1] for name, s in scores.items()}


class _Flow(TorchFunctionMode):
    """Networks of weights alone: norms, activations and the order of a text are left out.

    Embeddings of all characters arrive at once. Attention without a softmax multiplies by q·k, to which one is added:
    positions that no query or key tells apart are averaged.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (F.batch_norm, F.layer_norm, F.relu, F.gelu):
            return args[0]
        if function is F.embedding:
            return args[1].sum(dim=0).expand(*args[0].shape, -1)
        if function is F.scaled_dot_product_attention:
            q, k, v = args[:3]
            return (1 + (q * k).sum(dim=-1, keepdim=True)) * v
        return function(*args, **(kwargs or {}))


def flow(model, sample):
    """Synaptic flow |w| · ∂R/∂|w|, R the sum of the outputs of the network of |w| for inputs of one.

    Tanaka et al. 2020, equation 2. Without biases, norms and activations, which are no weights; what attention becomes
    is ours: (1 + q·k) v. It is zero exactly for weights on no path from an input to an output.

    sample (1, …) : an input of the network, for its shape.
    """
    linear = copy.deepcopy(model).double()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_().mul_(parameter.ndim > 1)
    ones = torch.ones_like(sample, dtype=torch.float64 if sample.is_floating_point() else None)
    ones = ones if sample.is_floating_point() else ones[:, :1]  # of a text one place: all are alike
    weights = [*_weights(linear).values()]
    with _Flow():
        slopes = torch.autograd.grad(linear(ones).sum(), weights)
    return _named(linear, [w * g for w, g in zip(weights, slopes)])


def synflow(model, sample, amount, rounds=100):
    """Synaptic flow after all but the last of so many prunings on an exponential schedule (Tanaka et al. 2020).

    What went in an earlier round scores zero. To be pruned to the share `amount` by these scores, the last round.
    """
    model = copy.deepcopy(model)
    for k in range(1, rounds):
        scores = flow(model, sample)
        flat = torch.cat([s.flatten() for s in scores.values()])
        n = round((1 - (1 - amount) ** (k / rounds)) * len(flat))
        keep = torch.ones(len(flat)).index_fill_(0, flat.topk(n, largest=False).indices, 0)
        with torch.no_grad():
            for w, own in zip(_weights(model).values(), keep.split([s.numel() for s in scores.values()])):
                w.mul_(own.reshape(w.shape))
    return flow(model, sample)


def effective_sparsity(model, sample):
    """Share of the weights that are zero or lie on no path from an input to an output (Vysogorets & Kempe 2023)."""
    paths = copy.deepcopy(model)
    with torch.no_grad():
        for w in _weights(paths).values():
            w.copy_(w != 0)
    return torch.cat([s.flatten() == 0 for s in flow(paths, sample).values()]).double().mean().item()


def one_pass(model, task, batch_size, seed, rate=RATE):
    """One epoch of plain gradient descent from a trained network, as the successors watch it: `successors.Steps`.

    The loss is that of the batch of each step, before and after it, in training mode.
    """
    model = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    squares, change, predicted = [], [], []
    for rows in torch.randperm(len(task.X_train), generator=torch.Generator().manual_seed(seed)).split(batch_size):
        loss = lambda rows=rows: F.cross_entropy(model(task.X_train[rows]).flatten(0, -2), task.y_train[rows].flatten())
        optimizer.zero_grad()
        before = loss()
        before.backward()
        squares.append(torch.cat([w.grad.flatten() for w in _weights(model).values()]).double().numpy() ** 2)
        predicted.append(-rate * sum(p.grad.double().square().sum().item() for p in model.parameters()))
        optimizer.step()
        with torch.no_grad():
            change.append(loss().item() - before.item())
    return successors.Steps(*(np.stack(values)[:, None] for values in (squares, change, predicted)))


def successor_scores(model, steps):
    """Scores of "Granger" and "causal" as their code fits them, and of "Fisher": {ranking: scores}.

    steps : `one_pass`
    """
    flat = {
        "Granger": np.abs(successors.granger_fit(steps)), "causal": np.abs(successors.causal_fit(steps)[0]),
        "Fisher": successors.fisher(steps),
    }  # fmt: skip
    shapes = [w.shape for w in _weights(model).values()]
    parts = lambda v: torch.from_numpy(v[0]).split([shape.numel() for shape in shapes])
    return {k: _named(model, [p.reshape(s) for p, s in zip(parts(v), shapes)]) for k, v in flat.items()}


def shuffled(scores, seed):
    """Scores in random places of the same layer: what is left is how much they take of each."""
    chance = torch.Generator().manual_seed(seed)
    return {n: s.flatten()[torch.randperm(s.numel(), generator=chance)].reshape(s.shape) for n, s in scores.items()}
