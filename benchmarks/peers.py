"""What users would write without `legc_utils`: the same results, by the usual libraries and loops."""

import warnings

import numpy as np
import torch
from scipy import stats
from statsmodels.tsa.stattools import grangercausalitytests
from torch.func import functional_call, grad, stack_module_state, vmap

from study import networks

with warnings.catch_warnings():  # nolds imports the deprecated pkg_resources
    warnings.simplefilter("ignore")
    import neurokit2
    import nolds


def nolds_divergence(x, steps):
    """S(0 … steps) of one window by nolds.lyap_r, emb_dim 2, lag 1, min_tsep 1."""
    _, (_, S, _) = nolds.lyap_r(
        x, emb_dim=2, lag=1, min_tsep=1, tau=1, trajectory_len=steps + 1, fit="poly", debug_data=True
    )
    return np.asarray(S)


def neurokit_divergence(x, steps):
    """The same by neurokit2.complexity_lyapunov (method of Rosenstein)."""
    _, found = neurokit2.complexity_lyapunov(
        x, delay=1, dimension=2, separation=1, len_trajectory=steps + 1, method="rosenstein1993"
    )
    return np.asarray(found["Divergence_Rate"])


def statsmodels_pvalues(target, series, max_lag):
    """ssr_chi2test p-values (max_lag,) of one series by grangercausalitytests."""
    found = grangercausalitytests(np.column_stack([target, series]), max_lag)
    return np.array([found[lag][0]["ssr_chi2test"][1] for lag in range(1, max_lag + 1)])


def lstsq_pvalues(target, series, max_lag):
    """The same by two plain least-squares fits a lag, without statsmodels' overhead."""
    p = np.empty(max_lag)
    for lag in range(1, max_lag + 1):
        n = len(target) - lag
        past = lambda x, lag=lag: [x[lag - k : len(x) - k] for k in range(1, lag + 1)]
        own = np.column_stack([np.ones(n), *past(target)])
        _, (restricted,), *_ = np.linalg.lstsq(own, target[lag:])
        _, (joint,), *_ = np.linalg.lstsq(np.column_stack([own, *past(series)]), target[lag:])
        p[lag - 1] = stats.chi2.sf(n * (restricted - joint) / joint, lag)
    return p


def plain_loop(runs, m, X, T, X_test, batches):
    """Final weights of member m, trained for an epoch as one torch model; like `runs`, it then reads all outputs."""
    model = networks.mlp(runs.initial_weights[m], runs.initial_biases[m], runs.layers, runs.protocol.output)
    optimiser = torch.optim.SGD(model.parameters(), lr=runs.protocol.rate)
    for batch in batches:
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(X[batch]), T[batch]).backward()
        optimiser.step()
    with torch.no_grad():
        model(X), model(X_test)
        return torch.cat([layer.weight.reshape(-1) for layer in model[::2]]).numpy()


def vmap_ensemble(runs, X, T, X_test, batches):
    """The same for all members (M, n_weights) by torch.func: stack_module_state, then vmap over grad."""
    p, layers = runs.protocol, runs.layers
    models = [networks.mlp(w, b, layers, p.output) for w, b in zip(runs.initial_weights, runs.initial_biases)]
    parameters, buffers = stack_module_state(models)
    base = models[0].to("meta")
    outputs = lambda parameters, buffers, x: functional_call(base, (parameters, buffers), (x,))
    loss = lambda parameters, buffers, x, t: torch.nn.functional.mse_loss(outputs(parameters, buffers, x), t)
    gradients = vmap(grad(loss), in_dims=(0, 0, None, None))
    with torch.no_grad():
        for batch in batches:
            found = gradients(parameters, buffers, X[batch], T[batch])
            parameters = {name: value - p.rate * found[name] for name, value in parameters.items()}
        for x in (X, X_test):
            vmap(outputs, in_dims=(0, 0, None))(parameters, buffers, x)
    return torch.cat([v.flatten(1) for name, v in parameters.items() if name.endswith("weight")], 1).numpy()
