"""Training as a map of the parameters, maps whose chaos is known, and the Lyapunov exponent of such a map itself.

A map is a callable (state, t) -> next state in operations of torch, whose states are rows that do not see each other.
"""

import numpy as np
import torch

from legc_utils.protocols import check, check_finite, is_whole
from legc_utils.training import count_weights, one_hot
from study.networks import forward


def tangent_lyapunov(step, state, n_steps, discard=0, local=False, seed=0):
    """Largest finite-time Lyapunov exponent of a map itself, by Jacobian–vector products (Benettin et al. 1980).

    A tangent vector is carried along by the derivative of the map and normalised after every iterate; the mean log of
    its growth is the exponent. Nothing is estimated from a series: this is what a windowed exponent is held against.

    Parameters
    ----------
    step : callable, (state, t) -> next state
        The map, in operations of torch that can be differentiated; t counts iterates from 0. A gradient step of
        training is such a map (`torch.func.grad` may be used inside).
    state : float array (d,) or (n, d)
        Where to start; n independent copies are followed together, if `step` treats rows by themselves.
    n_steps : int
        Iterates over which the growth is averaged.
    discard : int
        Iterates before that, for the state to reach its attractor and the tangent vector its direction.
    local : bool
        Return the log growth of each iterate instead of the mean.
    seed : int
        Of the first tangent vector.

    Returns
    -------
    float64 () or (n,), nats per iterate; with `local`, (n_steps,) or (n_steps, n). −inf where the derivative vanishes.

    Raises
    ------
    ValueError
        For a step count below 1, a state that is not finite, or a map that leaves the finite numbers or changes shape.
    """
    check(n_steps=n_steps)
    if not is_whole(discard, 0):
        raise ValueError(f"discard={discard!r} is not allowed; give a whole number of at least 0")
    x = torch.as_tensor(np.asarray(state, dtype=np.float64))
    check_finite(state=x.numpy())
    v = torch.as_tensor(np.random.default_rng(seed).normal(size=x.shape))
    growth = torch.empty(n_steps, *x.shape[:-1], dtype=torch.float64)
    for t in range(discard + n_steps):
        v = v / v.norm(dim=-1, keepdim=True).clamp(min=np.finfo(float).tiny)
        y, v = torch.func.jvp(lambda s, t=t: step(s, t), (x,), (v,))
        if y.shape != x.shape or not torch.isfinite(y).all():
            raise ValueError(
                f"step gives a state of shape {tuple(y.shape)} at t={t}; allowed: finite, {tuple(x.shape)}"
            )
        x = y.detach()
        if t >= discard:
            growth[t - discard] = v.norm(dim=-1).log()
    return growth.numpy() if local else growth.mean(dim=0).numpy()[()]


def follow(step, state, begin, end):
    """States of a map from iterate `begin`, where it starts, to `end`: (end − begin + 1, n, d)."""
    states = [torch.as_tensor(state)]
    for t in range(begin, end):
        states.append(step(states[-1], t))
    return torch.stack(states).numpy()


def logistic(x, t):
    """The logistic map at full chaos, (n, 1); its exponent is ln 2."""
    return 4 * x * (1 - x)


def henon(s, t):
    """Hénon's map, (n, 2)."""
    x, y = s.unbind(-1)
    return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], -1)


def lorenz(s, t, h=0.03):
    """Lorenz's flow, (n, 3), over a time of h by the midpoint rule."""

    def flow(s):
        x, y, z = s.unbind(-1)
        return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)

    return s + h * flow(s + h / 2 * flow(s))


CHAOTIC = {"logistic map": (logistic, 1), "Hénon map": (henon, 2), "Lorenz system": (lorenz, 3)}  # map, coordinates


def largest_eigenvalue(gradient, state, iterations=60):
    """Eigenvalue of largest modulus of the Hessian at each row of `state`, by power iteration: float64 (n,).

    gradient : callable, state -> its gradient by rows; the Hessian is met in Jacobian–vector products only. NaN where
    it vanishes.
    """
    state = torch.as_tensor(state)
    v = torch.as_tensor(np.random.default_rng(0).normal(size=state.shape))
    for _ in range(iterations):
        v = v / v.norm(dim=-1, keepdim=True)
        product = torch.func.jvp(gradient, (state,), (v,))[1]
        value, v = (v * product).sum(dim=-1), product
    return value.numpy()


def sgd_map(split, layers, protocol, rates, full_batch=False):
    """One step of training as a map of the parameters, for `maps.tangent_lyapunov` and Hessian products.

    Parameters
    ----------
    split : datasets.Split
    layers : tuple
        As `layer_sizes` gives them.
    protocol : protocols.Protocol
        Its loss and outputs; samples come one at a time in a fixed order, as published.
    rates : float array (n,)
        Learning rate of each row of the state.
    full_batch : bool
        Gradient descent on all samples instead: the map does not depend on t.

    Returns
    -------
    (step, gradient) : callables (state (n, n_weights + n_biases), t) -> (n, n_weights + n_biases), float64 tensors.
    Iterating `step` gives the weights of `train_ensemble`.
    """
    X, T = torch.as_tensor(split.X_train), torch.as_tensor(one_hot(split.y_train, layers[-1]))
    rates = torch.as_tensor(rates, dtype=torch.float64)[:, None]
    n_weights = count_weights(layers)

    def loss(state, t):
        now = slice(None) if full_batch else slice(t % len(X), t % len(X) + 1)
        error = (forward(state[:, :n_weights], state[:, n_weights:], X[now], layers, protocol.output) - T[now]).square()
        return (error.mean(-1) if protocol.loss == "mean" else error.sum(-1)).mean(-1).sum()

    gradient = torch.func.grad(loss)
    return (lambda state, t: state - rates * gradient(state, t)), gradient
