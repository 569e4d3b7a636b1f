"""Training as it was before networks stood side by side: one after another, and by torch's matrix products."""

import numpy as np
import torch
from numba import njit, prange

from study.networks import forward


@njit(cache=True, error_model="numpy")
def _activate(w, b, a, layers):
    """Forward pass of one sigmoid network: fills a (all units) behind the inputs that stand at its start."""
    wo, bo, ao = 0, 0, 0
    for layer in range(layers.size - 1):
        fan_in, fan_out = layers[layer], layers[layer + 1]
        for i in range(fan_out):
            z = b[bo + i]
            for j in range(fan_in):
                z += w[wo + i * fan_in + j] * a[ao + j]
            a[ao + fan_in + i] = 1.0 / (1.0 + np.exp(-z))
        wo, bo, ao = wo + fan_in * fan_out, bo + fan_out, ao + fan_in


@njit(cache=True, parallel=True, error_model="numpy")
def sgd_by_sample(weights, biases, masks, X, T, layers, start, stop, rate):
    """Advance every member from iterate `start` to `stop` in place; iterate k has seen sample k mod n.

    weights (M, n_weights), masks the same or (M, 0) for none. Squared error, sigmoid layers; plain SGD, one sample a
    step.
    """
    n_layers = layers.size - 1
    n_units = layers.sum()
    for m in prange(weights.shape[0]):
        w, b = weights[m], biases[m]
        a, delta = np.empty(n_units), np.empty(n_units)
        for step in range(start, stop):
            x, t = X[step % len(X)], T[step % len(X)]
            a[: layers[0]] = x
            _activate(w, b, a, layers)
            wo, bo, ao = w.size, b.size, n_units - layers[-1]
            for i in range(layers[-1]):
                y = a[ao + i]
                delta[ao + i] = 2 * (y - t[i]) * y * (1 - y)
            for layer in range(n_layers - 1, -1, -1):
                fan_in, fan_out = layers[layer], layers[layer + 1]
                wo, bo, an = wo - fan_in * fan_out, bo - fan_out, ao - fan_in
                if layer > 0:  # the error passes back through the weights as they were before the step
                    delta[an:ao] = 0.0
                    for i in range(fan_out):
                        for j in range(fan_in):
                            delta[an + j] += w[wo + i * fan_in + j] * delta[ao + i]
                    for j in range(fan_in):
                        delta[an + j] *= a[an + j] * (1 - a[an + j])
                for i in range(fan_out):
                    g = rate * delta[ao + i]
                    b[bo + i] -= g
                    for j in range(fan_in):
                        w[wo + i * fan_in + j] -= g * a[an + j]
                ao = an
            if masks.shape[1]:
                for i in range(w.size):
                    w[i] *= masks[m, i]


def sgd_by_batch(weights, biases, X, T, layers, rate, output, batches):
    """The same by mini-batches, int (n_steps, size) numbers of samples, in torch; the loss is the mean square."""
    weights, biases = torch.as_tensor(weights).requires_grad_(), torch.as_tensor(biases).requires_grad_()
    X, T = torch.as_tensor(X), torch.as_tensor(T)
    for batch in torch.as_tensor(batches)[:, None]:
        out = forward(weights, biases, X[batch], layers, output)
        error = (out - T[batch]).square().sum(-1).mean(-1)
        (error.sum() / out.shape[-1]).backward()
        with torch.no_grad():
            for parameter in (weights, biases):
                parameter -= rate * parameter.grad
                parameter.grad = None
