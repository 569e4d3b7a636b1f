"""Follow the weights of any torch model while any optimiser trains it, as LEGCNet follows those of an MLP.

What `selection.find_masks` does for the paper's networks, for yours: windowed Lyapunov exponents of every chosen weight
(section 3.4), computed while training runs, and Granger p-values of each weight for an error of your own (section 3.6).
"""

import warnings
from collections.abc import Iterable
from fnmatch import fnmatchcase

import numpy as np
import torch

from legc_utils import granger, lyapunov, protocols
from legc_utils.protocols import check, check_finite


def bytes_per_weight(window, n_windows, dtype=np.float32):
    """Memory that recording takes for each followed weight: the last window's iterates, and an exponent a window."""
    check(window=window, n_windows=n_windows)
    return window * np.dtype(dtype).itemsize + 8 * n_windows


def named_parameters(model):
    """Name -> (module, name in it, parameter), each parameter once; a pruned one goes by the name it had before."""
    found = {}
    for full, parameter in model.named_parameters():
        path, _, own = full.rpartition(".")
        module = model.get_submodule(path)
        if own.endswith("_orig") and own.removesuffix("_orig") + "_mask" in module._buffers:
            own, full = own.removesuffix("_orig"), full.removesuffix("_orig")
        found[full] = module, own, parameter
    return found


def _choose(model, parameters):
    """What of `named_parameters` the user asked for."""
    known = named_parameters(model)
    if parameters is None:
        return {n: v for n, v in known.items() if v[2].ndim >= 2 and v[2].is_floating_point()}
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        parameters = [parameters]
    names = {(id(module), own): name for name, (module, own, _) in known.items()}
    chosen = {}
    for asked in parameters:
        if isinstance(asked, str):
            fits = [n for n in known if fnmatchcase(n, asked)]
        else:
            module, own = asked if isinstance(asked, tuple) and len(asked) == 2 else (None, None)
            fits = [names[id(module), own]] if (id(module), own) in names else []
        if not fits:
            allowed = f"(module, name) pairs, and names or patterns of {', '.join(known) or 'a model with parameters'}"
            raise ValueError(f"parameters holds {asked!r}, which fits nothing in the model; allowed: {allowed}")
        chosen |= {n: known[n] for n in fits}
    if whole := [n for n, v in chosen.items() if not v[2].is_floating_point()]:
        raise ValueError(f"{whole[0]} is of type {chosen[whole[0]][2].dtype}; allowed: real floating point")
    return chosen


def _cap(sizes, budget):
    """The largest c for which min(size, c) over all sizes sums to the budget at most."""
    left = sorted(sizes)
    while left and left[0] * len(left) <= budget:
        budget -= left.pop(0)
    return budget // len(left) if left else max(sizes)


def _stratified(shape, size, rng):
    """Flat indices of `size` weights, sorted, spread evenly over the output units (dimension 0) and random in them."""
    units, fan_in = shape[0], int(np.prod(shape[1:], dtype=int))
    each = np.full(units, size // units)
    each[rng.permutation(units)[: size % units]] += 1
    taken = [unit * fan_in + rng.permutation(fan_in)[:n] for unit, n in enumerate(each)]
    return torch.from_numpy(np.sort(np.concatenate(taken)))


class LEGCRecorder:
    """Windowed Lyapunov exponents of a model's weights while it trains, and their p-values for its error.

    `attach` it to an optimiser, train as ever, and ask for `pvalues`, as in the README; or call `step` after every
    update. It costs `bytes_per_weight` of memory, and a few microseconds for each weight and window. It
    leaves the training as it is: no random number is drawn, no gradient changed, no module's mode left altered.

    model : torch.nn.Module
        On any device, of any floating type; iterates are kept in float32 unless a followed parameter has float64.
    window : int, iterates (optimiser steps) per window
    overlap : float, share of a window that the next one repeats
    parameters : optional
        None: every parameter with two or more dimensions (weights of Linear, Conv, Embedding, attention projections;
        no biases, no norms). Or names or patterns ("layers.*.weight"), or (module, name) pairs as torch.nn.utils.prune
        takes them, or a list of these. Frozen parameters are skipped with a warning that names them.
    error : callable, optional
        Takes nothing and returns the share misclassified, or any other error; called at each window's last iterate,
        without gradients. Without it, give the errors to `pvalues`. If it fails, step does, and everything else is
        recorded as ever: that window is a gap, which `pvalues` leaves out with a warning.
    sample : int, optional; follow this many weights of a parameter at most, spread over its output units
    max_bytes : int, optional; follow as many weights as fit, of every larger parameter equally many; needs `n_steps`
    n_steps : int, optional; steps that the training will take: a window or max_lag that cannot work is refused at once
    protocol : str or protocols.Protocol, says how exponents and tests are done
    variant : str
        "PT" follows the divergence for the protocol's partial_steps iterates and tests up to its partial_max_lag, as
        suits short windows; "FT" for `steps` and up to `max_lag`.
    max_lag : int, optional; largest lag of the test; None: the protocol's, or the largest that the windows allow
    seed : int, of the sample

    Attributes: names (list of str, the parameters that are followed, "layer.weight" and the like), skipped (frozen
    ones), n_weights, n_windows, nbytes (int; weights followed, whole windows so far, memory held for them).

    Raises ValueError if no parameter is left to follow, for a name that fits none, or for a value that is not allowed;
    while it runs, for weights or errors that are not finite and for a parameter that changes its shape.
    """

    def __init__(
        self, model, window=200, overlap=0.1, parameters=None, *, error=None, sample=None, max_bytes=None,
        n_steps=None, protocol="published", variant="PT", max_lag=None, seed=0,
    ):  # fmt: skip
        p = protocols.get(protocol)
        _, _, steps, self._default_lag, _ = p.of(variant)
        lyapunov.check_window(window, overlap, steps=steps, **p.embedding)
        given = dict(sample=sample, max_bytes=max_bytes, n_steps=n_steps, max_lag=max_lag, seed=seed)
        check(**{name: value for name, value in given.items() if value is not None or name == "seed"})
        if not (error is None or callable(error)):
            raise ValueError(f"error={error!r} cannot be called; give a function without arguments, or None")
        self.model, self.window, self.overlap, self.protocol, self.max_lag = model, window, overlap, p, max_lag
        self._error = error
        chosen = _choose(model, parameters)
        self.skipped = [n for n, (*_, parameter) in chosen.items() if not parameter.requires_grad]
        if frozen := ", ".join(self.skipped):
            warnings.warn(f"frozen, and so not followed: {frozen}", stacklevel=2)
        chosen = {n: v for n, v in chosen.items() if n not in self.skipped}
        if not chosen:
            has = f"{', '.join(named_parameters(model)) or 'no parameters'}, frozen: {frozen or 'none'}"
            raise ValueError(f"parameters={parameters!r} leaves nothing to follow; the model has: {has}")
        self.names = list(chosen)
        self._where = [chosen[n][:2] for n in self.names]
        self._shapes = [tuple(chosen[n][2].shape) for n in self.names]
        dtype = np.float64 if any(v[2].dtype == torch.float64 for v in chosen.values()) else np.float32
        sizes = [chosen[n][2].numel() for n in self.names]
        most = self._most(sizes, sample, max_bytes, n_steps, dtype)
        rng = np.random.default_rng(seed)
        self._taken = [_stratified(s, most, rng) if n > most else None for s, n in zip(self._shapes, sizes)]
        counts = [min(n, most) for n in sizes]
        self.n_weights = sum(counts)
        self._parts = [slice(end - n, end) for n, end in zip(counts, np.cumsum(counts).tolist())]
        self._row = torch.empty(self.n_weights, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
        self._stream = lyapunov.StreamingLyapunov(
            self.n_weights, window, overlap, decimals=p.decimals, dtype=dtype, steps=steps, **p.embedding
        )
        self._errors, self._handle = {}, None  # iterate -> error, so that one that fails leaves all others in place

    def _most(self, sizes, sample, max_bytes, n_steps, dtype):
        """How many weights of a parameter to follow at most, after a look at what the planned steps allow."""
        most = max(sizes) if sample is None else sample
        if n_steps is not None:
            n_windows = len(lyapunov.window_ends(n_steps + 1, self.window, self.overlap, needed=True))
            self._lag(n_windows)
        if max_bytes is not None:
            if n_steps is None:
                raise ValueError(f"max_bytes={max_bytes} needs n_steps, as memory grows with the number of windows")
            each = bytes_per_weight(self.window, n_windows, dtype)
            if max_bytes < len(sizes) * each:
                raise ValueError(f"max_bytes={max_bytes} is not enough; allowed here: at least {len(sizes) * each}")
            most = min(most, _cap(sizes, max_bytes // each))
        return most

    def _lag(self, n_windows):
        """The largest lag to test with so many windows."""
        difference = self.protocol.difference
        default = min(self._default_lag, max(1, granger.longest_lag(n_windows, difference)))
        return granger.check_lag(self.max_lag or default, n_windows, difference)

    def attach(self, optimizer):
        """Take the present weights as row 0, unless there are rows already, and a row after every step from now on.

        optimizer : torch.optim.Optimizer. Returns the recorder.
        """
        self.detach()
        if not self._stream.seen:
            self.step()
        self._handle = optimizer.register_step_post_hook(lambda *_: self.step())
        return self

    def detach(self):
        """Stop following the optimiser; everything recorded is kept."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    @torch.no_grad()
    def step(self):
        """Take the present weights as the next iterate."""
        followed = zip(self.names, self._where, self._shapes, self._taken, self._parts)
        for name, (module, own), shape, taken, part in followed:
            parameter = module._parameters.get(own, module._parameters.get(f"{own}_orig"))  # pruned since
            if parameter is None or tuple(parameter.shape) != shape:
                now = "gone" if parameter is None else f"of shape {tuple(parameter.shape)}"
                raise ValueError(f"{name} is {now} at iterate {self._stream.seen}; allowed: {shape}, as at the start")
            flat = parameter.reshape(-1)
            self._row[part].copy_(flat if taken is None else flat[taken.to(flat.device)])
        if not torch.isfinite(self._row).all():
            bad = ", ".join(n for n, part in zip(self.names, self._parts) if not self._row[part].isfinite().all())
            raise ValueError(f"{bad} holds NaN or infinite weights at iterate {self._stream.seen}; allowed: finite")
        at_end, threads = self._stream.to_window_end() == 1, torch.get_num_threads()
        try:
            self._stream.update(self._row.numpy())
        finally:  # numba's threads are OpenMP's, and so are torch's
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
        if at_end and self._error is not None:
            self._errors[self._stream.seen - 1] = self._ask_error()

    def _ask_error(self):
        modes = [(module, module.training) for module in self.model.modules()]
        try:
            with torch.random.fork_rng(devices=[]):
                returned = self._error()
        finally:
            for module, mode in modes:
                module.training = mode
        try:
            error = torch.as_tensor(returned, dtype=torch.float64).item()
        except (TypeError, ValueError, RuntimeError):
            error = np.nan
        if not np.isfinite(error):
            raise ValueError(f"error() is {returned!r} at iterate {self._stream.seen - 1}; allowed: a finite number")
        return error

    @property
    def n_windows(self):
        return self._stream.n_windows

    @property
    def nbytes(self):
        indices = sum(taken.nbytes for taken in self._taken if taken is not None)
        return self._stream.nbytes + self._row.nbytes + indices

    @property
    def window_ends(self):
        """Iterates at which windows ended so far, int (n_windows,); the weights before the first step are iterate 0."""
        return lyapunov.window_ends(self._stream.seen, self.window, self.overlap)

    @property
    def errors(self):
        """What `error` returned at each window's last iterate, float64 (n_windows,); NaN where it failed."""
        return np.array([self._errors.get(end, np.nan) for end in self.window_ends.tolist()])

    def exponents(self):
        """Name -> float64 (n_windows, n_followed), nats per iterate, in the flat order of the followed weights."""
        found = self._stream.result()
        return {name: found[:, part] for name, part in zip(self.names, self._parts)}

    def followed(self):
        """Name -> bool tensor of the parameter's shape, True where the weight is followed."""
        return self._in_shape(torch.ones(self.n_weights, dtype=torch.bool), False)

    def _in_shape(self, values, elsewhere):
        """Name -> tensor of the parameter's shape: `values` (n_weights,) where followed, and `elsewhere`."""
        found = {}
        for name, shape, taken, part in zip(self.names, self._shapes, self._taken, self._parts):
            found[name] = torch.full(shape, elsewhere, dtype=values.dtype)
            found[name].view(-1)[slice(None) if taken is None else taken] = values[part]
        return found

    def pvalues(self, error=None):
        """Do a weight's exponents help to predict the error? The smallest p over the lags that the protocol looks at.

        error : float array (n_windows,), optional
            The error at each window's last iterate (`window_ends`); None: what the recorder's own `error` returned.
            Windows without one (NaN) are left out, as if the neighbours met, and a warning says which.

        Returns dict of name -> float64 tensor of the parameter's shape. NaN for a weight that is not followed, and
        where the test is not defined, as for a weight that does not move: `legc_mask` keeps both.
        Raises ValueError for errors of the wrong length or that are infinite, and for too few windows.
        """
        if error is None:
            if self._error is None:
                raise ValueError("error=None, but the recorder was given no error function; give one error a window")
            error = self.errors
        error = torch.as_tensor(error, dtype=torch.float64).detach().cpu().numpy()
        if error.shape != (self.n_windows,):
            raise ValueError(f"error has shape {error.shape}; allowed: ({self.n_windows},), one for each window")
        has = ~np.isnan(error)
        check_finite(error=error[has] if has.any() else error)
        if gaps := self.window_ends[~has].tolist():
            warnings.warn(f"left out, as they have no error: the windows that end at iterates {gaps}", stacklevel=2)
        max_lag = self._lag(has.sum())
        p = granger.protocol_pvalues(error[has], self._stream.result()[has], self.protocol, max_lag).min(axis=0)
        return self._in_shape(torch.from_numpy(p), torch.nan)

    def _settings(self):
        return {"names": self.names, "shapes": self._shapes, "window": self.window, "overlap": self.overlap}

    def state_dict(self):
        """Everything recorded so far, for torch.save: a run that loads it ends with the same bits.

        Save it together with the states of model and optimiser, between two steps.
        """
        return self._settings() | {
            "taken": self._taken, "errors": self.errors.tolist(),
            "stream": {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
                       for k, v in self._stream.state_dict().items()},
        }  # fmt: skip

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in a recorder that was made with the same arguments.

        Raises ValueError, and changes nothing, if parameters, shapes, window or overlap differ.
        """
        for name, own in self._settings().items():
            if state.get(name) != own:
                raise ValueError(f"the state has {name}={state.get(name)!r}; allowed here: {own!r}")
        counts = [int(np.prod(s)) if t is None else len(t) for s, t in zip(self._shapes, state["taken"])]
        if counts != [part.stop - part.start for part in self._parts]:
            raise ValueError(f"the state follows {counts} weights of {self.names}; give this recorder the same sample")
        arrays = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in state["stream"].items()}
        self._stream.load_state_dict(arrays)
        known = len(state["errors"]) == self.n_windows  # else some failed in a version that did not say which
        self._errors = dict(zip(self.window_ends.tolist(), state["errors"])) if known else {}
        self._taken = list(state["taken"])
