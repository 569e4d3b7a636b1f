"""Follow the weights of any torch model while any optimiser trains it, as LEGCNet follows those of an MLP.

What `selection.find_masks` does for the paper's networks, for yours: windowed Lyapunov exponents of every chosen weight
(section 3.4), computed while training runs, and Granger p-values of each weight for an error of your own (section 3.6).
"""

import random
import re
import warnings
from collections.abc import Iterable
from contextlib import contextmanager
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from legc_utils import granger, lyapunov, protocols, selection
from legc_utils.compiling import announced
from legc_utils.protocols import check, check_finite

DEFAULT_SAMPLE, MANY = 100_000, 1_000_000  # weights that are followed of a model with more than so many
_ONE_LAG = dict(lag_choice="bic", test="ssr_ftest", max_lag=5, partial_max_lag=5)  # the F test has its level at any lag
_STILL = 2  # units in the last place of its type that a weight must move in a window, or it stands still
_BLOCK, _ON_DEVICE = 2**14, 2**28  # weights tested at a time; bytes of rows that are collected on an accelerator
_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "OptimizedModule",
    "FullyShardedDataParallel",
    "CheckpointWrapper",
}
_LAYERS = nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention
_TABLES = nn.Embedding, nn.EmbeddingBag


def bytes_per_weight(window, n_windows, dtype=np.float32):
    """Memory that recording takes for each followed weight: the last window's iterates, and an exponent a window."""
    check(window=window, n_windows=n_windows)
    return (window + n_windows) * np.dtype(dtype).itemsize


def _public(module, own):
    """The name that users know a parameter by: without what torch's weight_norm and spectral_norm add to it."""
    if own.endswith("_orig") and f"{own.removesuffix('_orig')}_u" in module._buffers:
        return own.removesuffix("_orig")
    direction = own.endswith("_v") and {f"{own[:-2]}_g", f"{own[:-2]}_g_orig"} & {*module._parameters}
    return own[:-2] if direction else own


def named_parameters(model):
    """Name -> (module, name in it, parameter), each parameter once, by the name that it has in the bare model.

    A pruned or parametrised parameter goes by its public name; wrappers (DataParallel, compile) add nothing to it.
    Of several tensors behind a parametrisation the largest is meant; others keep their own names.
    """
    return {name: (module, own, p) for name, module, own, p in every_parameter(model)}


def every_parameter(model, tied=False):
    """(name, module, name in it, parameter) of each parameter, under each of its names if `tied`; see above."""
    for full, parameter in model.named_parameters(remove_duplicate=not tied):
        module, parts, own = model, [], full.rpartition(".")[2]
        for step in full.split(".")[:-1]:
            if type(module).__name__ not in _WRAPPERS:
                parts.append(step)
            module = module._modules[step]
        if own.endswith("_orig") and own.removesuffix("_orig") + "_mask" in module._buffers:
            own = own.removesuffix("_orig")
        public = _public(module, own)
        if parts[-2:-1] == ["parametrizations"] and public.startswith("original"):
            others = [p.numel() for p in module.parameters(recurse=False)]
            if parameter.numel() == max(others):
                parts, public = parts[:-2], parts[-1]
        yield ".".join([*parts, public]), module, own, parameter


def _is_weight(model, name, parameter):
    """Whether a parameter is a weight of a linear map: no bias, norm, token, position, scale or gain."""
    if parameter.ndim < 2 or not parameter.is_floating_point():
        return False
    path, _, own = name.rpartition(".")
    module = _owner(model, path)
    if isinstance(module, _TABLES):
        return not re.search(r"(^|[._])(w?pe|pos|position)", path)  # tables of positions
    if isinstance(module, _LAYERS):
        return "bias" not in own and not own.endswith("_g")
    if "Norm" in type(module).__name__ or parameter.numel() == max(parameter.shape):
        return False
    return bool(re.search(r"^weight$|(^|_)proj(_weight)?$|^kernel$|^weight_(ih|hh)", own))


def _owner(model, path):
    """The submodule at a public path."""
    while type(model).__name__ in _WRAPPERS:
        model = next(model.children())
    for step in filter(None, path.split(".")):
        model = model._modules[step]
        while type(model).__name__ in _WRAPPERS:
            model = next(model.children())
    return model


def local(tensor):
    """The part of a tensor that this process holds: all of it, or its shard."""
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _choose(model, parameters):
    """What of `named_parameters` the user asked for."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is of type {type(model).__name__}; allowed: torch.nn.Module")
    for name, p in model.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter) or p.is_meta:
            why = "on meta, without values" if p.is_meta else "not yet initialised: run the model on one batch first"
            raise ValueError(f"{name} is {why}; allowed: a model whose parameters have values")
    known = named_parameters(model)
    if parameters is None:
        return {n: v for n, v in known.items() if _is_weight(model, n, v[2])}
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        parameters = [parameters]
    names = {(id(module), own): name for name, (module, own, _) in known.items()}
    names |= {(id(_owner(model, name.rpartition(".")[0])), name.rpartition(".")[2]): name for name in known}
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
    taken = [unit * fan_in + rng.permutation(fan_in)[:n] for unit, n in enumerate(each) if n]
    return torch.from_numpy(np.sort(np.concatenate(taken)))


@contextmanager
def _undisturbed(model, devices):
    """The model in evaluation mode; its modes, buffers and all random numbers are put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers() if not buffer.is_meta]
    python, old = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = [d for d in devices if d.type == "cuda"]
    try:
        with torch.random.fork_rng(devices=cuda):
            model.eval()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(old)  # noqa: NPY002
        for module, mode in modes:
            module.training = mode
        for buffer, before in buffers:
            if not torch.equal(buffer, before):  # batch norm does not count its changes as versions
                buffer.copy_(before)


class LEGCRecorder:
    """Windowed Lyapunov exponents of a model's weights while it trains, and their p-values for its error.

    `attach` it to an optimiser, train as ever, and ask for `pvalues`, as in the README; or call `step` after every
    update. It costs `bytes_per_weight` of memory, and under a microsecond for each weight and window. It leaves the
    training as it is: no random number is drawn, no gradient, buffer or mode altered.

    model : torch.nn.Module
        On any device, of any floating type; iterates are kept in float32 unless a followed parameter has float64.
    window : int, iterates (optimiser steps) per window
    overlap : float, share of a window that the next one repeats
    parameters : optional
        None: the weights of linear maps (Linear, Conv, Embedding, attention projections, recurrent layers, and what is
        called weight, proj or kernel in layers of your own; no biases, norms, tokens, positions, scales or gains). Or
        names or patterns ("layers.*.weight"), or (module, name) pairs as torch.nn.utils.prune takes them, or a list of
        these. Frozen parameters are skipped with a warning that names them.
    error : callable, optional
        Takes nothing and returns the share misclassified, or any other error; called at each window's last iterate,
        with the model in evaluation mode and without gradients. Without it, give the errors to `pvalues`.
    sample : int or "all", optional
        Follow this many weights of a parameter at most, spread over its output units. None: all, but of a model with
        more than a million only 100,000, with a warning.
    max_bytes : int, optional; follow as many weights as fit, of every larger parameter equally many; needs `n_steps`.
        It holds for `pvalues` too, but for the tensors of weights that are not followed.
    n_steps : int, optional; steps that the training will take: a window or max_lag that cannot work is refused at once
    protocol : str or protocols.Protocol, optional
        How exponents and tests are done. None: as published, but weights and p-values are not rounded, a weight stands
        still if it moves by less than two units in the last place of its type, and one lag is tested.
    variant : str
        "PT" follows the divergence for the protocol's partial_steps iterates and tests up to its partial_max_lag, as
        suits short windows; "FT" for `steps` and up to `max_lag`.
    max_lag : int, optional
        Largest lag of the test: the more, the more of nothing but noise is kept (`noise_share`). None: one lag of up to
        five, which BIC chooses by the errors alone, and an F test, so that the level is kept of noise; with a protocol
        its own, or the largest that the windows allow.
    seed : int, of the sample
    on_error : str, "raise" what `error` raises, or "skip": leave a gap, which `pvalues` leaves out, with a warning.
        Everything else is recorded either way.

    Attributes: names (list of str, the parameters that are followed, "layer.weight" and the like), skipped (frozen
    ones), n_weights, n_windows, nbytes (int; weights followed, whole windows so far, memory held for them).

    Raises ValueError if no parameter is left to follow, for a name that fits none, or for a value that is not allowed;
    while it runs, for weights or errors that are not finite and for a parameter that changes its shape.
    """

    def __init__(
        self, model, window=200, overlap=0.1, parameters=None, *, error=None, sample=None, max_bytes=None,
        n_steps=None, protocol=None, variant="PT", max_lag=None, seed=0, on_error="raise",
    ):  # fmt: skip
        own = protocol is None
        changes = dict(decimals=None, p_decimals=None) | (_ONE_LAG if max_lag is None else {})
        p = protocols.get(**changes) if own else protocols.get(protocol)
        _, _, steps, self._default_lag, _ = p.of(variant)
        lyapunov.check_window(window, overlap, steps=steps, **p.embedding)
        given = dict(sample=None if sample == "all" else sample, max_bytes=max_bytes, n_steps=n_steps, max_lag=max_lag)
        check(seed=seed, **{name: value for name, value in given.items() if value is not None})
        if not (error is None or callable(error)):
            raise ValueError(f"error={error!r} cannot be called; give a function without arguments, or None")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={on_error!r} is not allowed; give one of raise, skip")
        self.model, self.window, self.overlap, self.protocol, self.max_lag = model, window, overlap, p, max_lag
        self._error, self._skips, self._max_bytes, self._seed = error, on_error == "skip", max_bytes, seed
        self._variant, self._own = variant, own
        chosen = _choose(model, parameters)
        self.skipped = [n for n, (*_, parameter) in chosen.items() if not parameter.requires_grad]
        self._frozen = {n: chosen[n] for n in self.skipped}
        if frozen := ", ".join(self.skipped):
            warnings.warn(f"frozen, and so not followed: {frozen}", stacklevel=2)
        chosen = {n: v for n, v in chosen.items() if n not in self.skipped}
        if not chosen:
            has = f"{', '.join(named_parameters(model)) or 'no parameters'}, frozen: {frozen or 'none'}"
            raise ValueError(f"parameters={parameters!r} leaves nothing to follow; the model has: {has}")
        self.names = list(chosen)
        self._where = [v[:2] for v in chosen.values()]
        values = [local(parameter) for *_, parameter in chosen.values()]
        self._shapes, sizes = [tuple(v.shape) for v in values], [v.numel() for v in values]
        dtype = np.float64 if any(v.dtype == torch.float64 for v in values) else np.float32
        self.n_all = sum(sizes)
        most = self._most(sizes, sample, n_steps, dtype)
        rng = np.random.default_rng(seed)
        self._taken = [_stratified(s, most, rng) if n > most else None for s, n in zip(self._shapes, sizes)]
        counts = [min(n, most) for n in sizes]
        self.n_weights = sum(counts)
        self._parts = [slice(end - n, end) for n, end in zip(counts, np.cumsum(counts).tolist())]
        ulps = [_STILL * torch.finfo(v.dtype).eps for v in values]
        share = None if not own else np.float32(ulps[:1] if len({*ulps}) == 1 else np.repeat(ulps, counts))
        self._stream = lyapunov.StreamingLyapunov(
            self.n_weights, window, overlap, decimals=p.decimals, dtype=dtype, share=share, steps=steps, **p.embedding
        )
        self._devices = {v.device for v in values if v.device.type != "cpu"}
        self._rows = self._buffer(next(iter(self._devices))) if self._devices else None
        self._waiting = 0  # rows collected on the device that are still to be moved
        self._errors, self._handle, self._versions = {}, None, None  # errors by iterate: one that fails leaves a gap

    @property
    def _ring(self):
        return torch.from_numpy(self._stream._ring)

    @property
    def _row(self):
        """Where the next iterate goes."""
        return self._ring[self._stream.seen % self.window] if self._rows is None else self._rows[self._waiting]

    @property
    def seen(self):
        """Iterates taken so far, int."""
        return self._stream.seen + self._waiting

    def __repr__(self):
        sampled = "" if self.n_weights == self.n_all else f" of {self.n_all:,}"
        return (
            f"LEGCRecorder({self.n_weights:,}{sampled} weights of {len(self.names)} parameters, window={self.window}, "
            f"{self.seen} iterates, {self.n_windows} windows, {'attached' if self._handle else 'not attached'})"
        )

    def __getstate__(self):
        """A copy is not attached."""
        return self.__dict__ | {"_handle": None}

    def _buffer(self, device):
        n = max(1, min(self.window, _ON_DEVICE // (self.n_weights * self._ring.element_size())))
        return torch.empty((n, self.n_weights), dtype=self._ring.dtype, device=device)

    def _most(self, sizes, sample, n_steps, dtype):
        """How many weights of a parameter to follow at most, after a look at what the planned steps allow."""
        max_bytes, most = self._max_bytes, max(sizes) if sample in (None, "all") else sample
        if n_steps is not None:
            n_windows = len(lyapunov.window_ends(n_steps + 1, self.window, self.overlap, needed=True))
            self._lag(n_windows)
        if max_bytes is not None:
            if n_steps is None:
                raise ValueError(f"max_bytes={max_bytes} needs n_steps, as memory grows with the number of windows")
            kept = bytes_per_weight(self.window, n_windows, dtype if self._own else np.float64)
            each = kept + 8  # and a p-value
            if max_bytes < len(sizes) * each + self._work(1, n_windows):
                least = len(sizes) * each + self._work(1, n_windows)
                raise ValueError(f"max_bytes={max_bytes} is not enough; allowed here: at least {least}")
            self._block = max(1, min(_BLOCK, max_bytes // 8 // self._work(1, n_windows)))
            most = min(most, _cap(sizes, (max_bytes - self._work(self._block, n_windows)) // each))
        elif sample is None and self.n_all > MANY:
            most = _cap(sizes, DEFAULT_SAMPLE)
            warnings.warn(
                f"of {self.n_all:,} weights a sample is followed, up to {most:,} of a parameter; the others have no "
                'p-value and are kept; sample="all" or max_bytes follows more', stacklevel=4,
            )  # fmt: skip
        return most

    _block = _BLOCK

    def _work(self, n, n_windows):
        """Bytes that testing n weights at a time takes."""
        lags = 1 if self.protocol.lag_choice == "bic" else self._lag(n_windows)
        return n * 8 * (6 * n_windows + 16 * lags)

    def _lag(self, n_windows):
        """The largest lag to test, or to choose from, with so many windows."""
        difference = self.protocol.difference
        default = min(self._default_lag, max(1, granger.longest_lag(n_windows, difference)))
        return granger.check_lag(self.max_lag or default, n_windows, difference)

    def attach(self, optimizer):
        """Take the present weights as row 0, unless there are rows already, and a row after every step from now on.

        optimizer : torch.optim.Optimizer, or what wraps one as Accelerate's and Lightning's do. Returns the recorder.
        Raises ValueError for anything else, an optimiser of other parameters, and a recorder that is attached already.
        """
        given = optimizer
        while not isinstance(given, torch.optim.lr_scheduler.LRScheduler) and hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        if not isinstance(optimizer, torch.optim.Optimizer):
            why = "; attach when training begins, as there is none before" if given is None else ""
            raise ValueError(f"optimizer is of type {type(given).__name__}; allowed: one torch.optim.Optimizer{why}")
        if self._handle is not None:
            raise ValueError(f"the recorder is attached to {self._attached} already; allowed: detach() before attach")
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        left = [n for n, p in zip(self.names, self._parameters()) if id(p) not in held]
        if len(left) == len(self.names):
            raise ValueError(
                f"{type(optimizer).__name__} holds none of {', '.join(left)}; allowed: this model's optimiser"
            )
        if left:
            warnings.warn(f"{type(optimizer).__name__} does not move what is followed: {', '.join(left)}", stacklevel=2)
        if not self.seen:
            self._take()
        self._attached = type(optimizer).__name__
        self._handle = optimizer.register_step_post_hook(self._after)
        return self

    def _after(self, optimizer, *_):
        found = getattr(optimizer, "found_inf", None)  # a fused optimiser is told by GradScaler, and asks its device
        if found is None or not found.item():
            self._take()

    def detach(self):
        """Stop following the optimiser; everything recorded is kept."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def step(self):
        """Take the present weights as the next iterate; while attached, only if something else has changed them."""
        if self._handle is not None and self._versions == [p._version for p in self._parameters()]:
            warnings.warn("step() is ignored: the recorder is attached, and has this iterate already", stacklevel=2)
        else:
            self._take()

    def _parameters(self):
        """The followed parameters, as they are now; None for one that is gone."""
        return [m._parameters.get(own, m._parameters.get(f"{own}_orig")) for m, own in self._where]  # pruned since

    @torch.no_grad()
    def _take(self):
        self._in_own_threads(self._stream._complete)  # an interrupt may have come before a window's exponents
        row, parameters = self._row, self._parameters()
        for name, p, shape, taken, part in zip(self.names, parameters, self._shapes, self._taken, self._parts):
            value = None if p is None else local(p)
            if value is None or tuple(value.shape) != shape:
                now = "gone" if p is None else f"of shape {tuple(value.shape)}"
                raise ValueError(f"{name} is {now} at iterate {self.seen}; allowed: {shape}, as at the start")
            flat = value.reshape(-1)
            if taken is not None and taken.device != flat.device:
                taken = self._taken[self.names.index(name)] = taken.to(flat.device)
            row[part].copy_(flat if taken is None else flat[taken], non_blocking=True)
        self._versions = [p._version for p in parameters]
        at_end = self._stream.to_window_end() == self._waiting + 1
        if self._rows is None:
            self._check(row[None])
            self._in_own_threads(self._stream.advance)
        else:
            self._waiting += 1
            if at_end or self._waiting == len(self._rows):
                self._move()
        if at_end:
            for name, (module, own, _) in [*self._frozen.items()]:
                if (p := module._parameters.get(own)) is not None and p.requires_grad:
                    del self._frozen[name]
                    warnings.warn(
                        f"{name} was frozen at the start and is trained now; it is not followed", stacklevel=4
                    )
            if self._error is not None:
                self._ask_error()

    def _move(self):
        """What was collected on the device, in one go."""
        if self._waiting:
            rows, self._waiting = self._rows[: self._waiting].cpu(), 0
            self._check(rows)
            self._in_own_threads(self._stream.update, rows.numpy())

    def _check(self, rows):
        if rows.sum().isfinite():  # else one is not finite, or the sum is too large
            return
        for k, row in enumerate(rows):
            if not row.isfinite().all():
                bad = ", ".join(n for n, part in zip(self.names, self._parts) if not row[part].isfinite().all())
                raise ValueError(
                    f"{bad} holds NaN or infinite weights at iterate {self._stream.seen + k}; allowed: finite"
                )

    @staticmethod
    def _in_own_threads(work, *arguments):
        """numba's threads are OpenMP's, and so are torch's: their number is put back."""
        threads = torch.get_num_threads()
        try:
            work(*arguments)
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)

    def _ask_error(self):
        try:
            with _undisturbed(self.model, self._devices):
                returned = self._error()
            try:
                error = self._over_ranks(torch.as_tensor(returned, dtype=torch.float64).item())
            except (TypeError, ValueError, RuntimeError):
                error = np.nan
            if not np.isfinite(error):
                raise ValueError(f"error() is {returned!r} at iterate {self.seen - 1}; allowed: a finite number")
            self._errors[self.seen - 1] = error
        except Exception as failed:
            if not self._skips:
                raise
            warnings.warn(f"no error at iterate {self.seen - 1}, and so a gap: {failed!r}", stacklevel=5)

    @staticmethod
    def _over_ranks(error):
        """What all processes agree on; of one process its own."""
        return error

    @property
    def n_windows(self):
        return self._stream.n_windows

    @property
    def nbytes(self):
        indices = sum(taken.nbytes for taken in self._taken if taken is not None)
        return self._stream.nbytes + indices + (0 if self._rows is None else self._rows.nbytes)

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
        return {name: self._stream.result(part) for name, part in zip(self.names, self._parts)}

    def followed(self):
        """Name -> bool tensor of the parameter's shape, True where the weight is followed."""
        return self._in_shape(torch.ones(self.n_weights, dtype=torch.bool), False)

    def _in_shape(self, values, elsewhere):
        """Name -> tensor of the parameter's shape: `values` (n_weights,) where followed, and `elsewhere`."""
        found = {}
        for name, shape, taken, part in zip(self.names, self._shapes, self._taken, self._parts):
            if taken is None:
                found[name] = values[part].view(shape)
            else:
                found[name] = torch.full(shape, elsewhere, dtype=values.dtype)
                found[name].view(-1)[taken.cpu()] = values[part]
        return found

    def _target(self, error):
        """The errors (n_windows,) that were given or recorded, and where there is one."""
        if error is None:
            if self._error is None:
                raise ValueError("error=None, but the recorder was given no error function; give one error a window")
            error = self.errors
        error = torch.as_tensor(error, dtype=torch.float64).detach().cpu().numpy()
        if error.shape != (self.n_windows,):
            raise ValueError(f"error has shape {error.shape}; allowed: ({self.n_windows},), one for each window")
        has = ~np.isnan(error)
        check_finite(error=error[has] if has.any() else error)
        return error, has

    def _test(self, target, series):
        """p-values (n,): the smallest over the lags."""
        p = granger.protocol_pvalues(target, series, self.protocol, self._lag(len(target)), exact=not self._own)
        return p.min(axis=0)

    def pvalues(self, error=None):
        """Do a weight's exponents help to predict the error? The smallest p over the lags that are looked at.

        error : float array (n_windows,), optional
            The error at each window's last iterate (`window_ends`); None: what the recorder's own `error` returned.
            Windows without one (NaN) are left out, as if the neighbours met, and a warning says which.

        Returns dict of name -> float64 tensor of the parameter's shape. NaN for a weight that is not followed, and
        where the test is not defined, as for a weight that does not move: `legc_mask` keeps both. Warns if that is all
        of them, if the level would keep all or nothing, or if it would keep a fifth of pure noise (`noise_share`).
        Raises ValueError for errors of the wrong length or that are infinite, and for too few windows.
        """
        error, has = self._target(error)
        if gaps := self.window_ends[~has].tolist():
            warnings.warn(f"left out, as they have no error: the windows that end at iterates {gaps}", stacklevel=2)
        self._lag(has.sum())
        p, target = torch.empty(self.n_weights, dtype=torch.float64), error[has]
        blocks = range(0, self.n_weights, self._block)
        with announced("tests"):
            for first in tqdm(blocks, "Granger tests", disable=None, delay=2, leave=False):
                series = self._stream.result(slice(first, first + self._block))[has]
                p[first : first + self._block] = torch.from_numpy(self._test(target, series))
        tested = p[~p.isnan()].numpy()
        if not len(tested):
            flat = np.isnan(self._noise_pvalues(target)).all()
            why = "the error is flat, constant after a while at the latest" if flat else "none of them moves enough"
            warnings.warn(f"no weight has a test, and so all are kept: {why}", stacklevel=2)
        elif self._own:
            selection.warn_if_one_sided(selection.legc_mask(tested, self.protocol.alpha), "the p-values' mask")
            if (noise := self.noise_share(error=error)) > 0.2:
                lags = f"max_lag={self._lag(has.sum())} over {has.sum()} windows"
                warnings.warn(f"of pure noise {noise:.0%} would be kept with {lags}; a smaller max_lag, or None, or "
                              "more windows keep less", stacklevel=2)  # fmt: skip
        return self._in_shape(p, torch.nan)

    def noise_share(self, alpha=0.05, rule="noncausal", correction=None, error=None):
        """Which share of a thousand series of white noise `legc_mask` would keep, tested as the weights are: float.

        The noise is independent of the errors, so that a mask that keeps no more has found nothing. Always the same.
        """
        error, has = self._target(error)
        return float(selection.legc_mask(self._noise_pvalues(error[has]), alpha, rule, correction).mean())

    def _noise_pvalues(self, target):
        return self._test(target, np.random.default_rng(0).standard_normal((len(target), 1000)))

    def summary(self, error=None):
        """What was followed, what was not tested and why, and what noise would keep: str, a line each."""
        lines = [repr(self)]
        lines += [
            f"  {n}: {p.stop - p.start:,} of {np.prod(s):,}" for n, p, s in zip(self.names, self._parts, self._shapes)
        ]
        lines += [f"  frozen, not followed: {', '.join(self.skipped)}"] if self.skipped else []
        if error is None and self._error is None or not self.n_windows:
            return "\n".join([*lines, "no tests yet: no error, or no whole window"])
        with warnings.catch_warnings(action="ignore"):
            try:
                found = self.pvalues(error)
            except ValueError as why:
                return "\n".join([*lines, f"no tests yet: {why}"])
            noise = self.noise_share(error=error)
        lines += [f"{count:,} without a test: {why}" for why, count in self.untested(found).items()]
        p = torch.cat([v.flatten() for v in found.values()])
        kept = (p[~p.isnan()] < self.protocol.alpha).double().mean()
        return "\n".join([*lines, f"p below {self.protocol.alpha}: {kept:.1%} of the tested; of noise {noise:.1%}"])

    def untested(self, pvalues):
        """Why followed weights have no p-value: {"never moved", "in a unit that never moved", "not defined": int}."""
        counts = dict.fromkeys(("never moved", "in a unit that never moved", "not defined"), 0)
        for name, taken, part in zip(self.names, self._taken, self._parts):
            p = pvalues[name]
            moved = torch.zeros(p.shape, dtype=torch.bool)
            now = torch.from_numpy((self._stream.result(part) != 0).any(axis=0))
            moved.view(-1)[slice(None) if taken is None else taken.cpu()] = now
            alive = moved.flatten(1).any(1) if p.ndim > 1 else moved
            still = now.logical_not()
            dead = ~alive.repeat_interleave(p[0].numel())[slice(None) if taken is None else taken.cpu()]
            none = p.reshape(-1)[slice(None) if taken is None else taken.cpu()].isnan()
            counts["in a unit that never moved"] += int((still & dead).sum())
            counts["never moved"] += int((still & ~dead).sum())
            counts["not defined"] += int((none & ~still).sum())
        return counts

    def _settings(self):
        p = self.protocol
        fields = ("emb_dim", "lag", "min_tsep", "decimals", "test", "lag_choice", "difference", "p_decimals")
        choices = {
            "variant": self._variant,
            "max_lag": self.max_lag,
            "steps": p.of(self._variant).steps,
            "own": self._own,
        }
        choices |= {name: getattr(p, name) for name in fields}
        return {"names": self.names, "shapes": self._shapes, "window": self.window, "overlap": self.overlap} | choices

    def state_dict(self):
        """Everything recorded so far that a run still needs, for torch.save: one that loads it ends with the same bits.

        Save it together with the states of model and optimiser, between two steps.
        """
        self._move()
        stream = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
                  for k, v in self._stream.state_dict().items()}  # fmt: skip
        sample = {"counts": [part.stop - part.start for part in self._parts], "seed": self._seed}
        return self._settings() | {"sample": sample, "errors": self.errors.tolist(), "stream": stream}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in a recorder that was made with the same arguments.

        Raises ValueError, and changes nothing, if any choice differs.
        """
        for name, own in self._settings().items():
            if name not in state or state[name] != own:
                raise ValueError(f"the state has {name}={state.get(name)!r}; allowed here: {own!r}")
        counts, sample = [part.stop - part.start for part in self._parts], state["sample"]
        if sample["counts"] != counts or sample["seed"] != self._seed and self.n_weights < self.n_all:
            raise ValueError(f"the state follows {sample} weights of {self.names}; give this recorder the same sample")
        arrays = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in state["stream"].items()}
        self._stream.load_state_dict(arrays)
        self._waiting = 0
        known = len(state["errors"]) == self.n_windows  # else some failed in a version that did not say which
        self._errors = dict(zip(self.window_ends.tolist(), state["errors"])) if known else {}
