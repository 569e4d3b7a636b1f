"""Follow the weights of any torch model while any optimiser trains it, as LEGCNet follows those of an MLP.

What `selection.find_masks` does for the paper's networks, for yours: windowed Lyapunov exponents of every chosen weight
(section 3.4), computed while training runs, and Granger p-values of each weight for an error of your own (section 3.6).
"""

import warnings

import numpy as np
import torch
from tqdm import tqdm

from legc_utils import granger, lyapunov, protocols, sampling, selection, shards, undisturbed
from legc_utils.compiling import announced
from legc_utils.naming import choose, find_optimizer, named_parameters
from legc_utils.protocols import check, check_finite

DEFAULT_SAMPLE, MANY = 100_000, 1_000_000  # weights that are followed of a model with more than so many
_ONE_LAG = dict(lag_choice="bic", test="ssr_ftest", max_lag=5, partial_max_lag=5)  # the F test has its level at any lag
_STILL = 2  # units in the last place of its type that a weight must move in a window, or it stands still
_BLOCK, _ON_DEVICE = 2**14, 2**28  # weights tested at a time; bytes of rows that are collected on an accelerator


def bytes_per_weight(window, n_windows, dtype=np.float32):
    """Memory that recording takes for each followed weight: the last window's iterates, and an exponent a window."""
    check(window=window, n_windows=n_windows)
    return (window + n_windows) * np.dtype(dtype).itemsize


class LEGCRecorder:
    """Windowed Lyapunov exponents of a model's weights while it trains, and their p-values for its error.

    `attach` it to an optimiser, train as ever, and ask for `pvalues`, as in the README; or call `step` after every
    update. It takes `bytes_per_weight` of memory, and under half a microsecond for each weight and window, and leaves
    the training as it is: no random number is drawn, no gradient, buffer or mode altered. Of processes that train one
    model together each makes one and calls it alike: errors are averaged, shards (fully_shard) followed where they are.

    model : torch.nn.Module, on any device, of any floating type; iterates are float32, or float64 if any parameter is
    window, overlap : int, iterates (optimiser steps) per window, and float, share of one that the next repeats
    parameters : optional; names or patterns ("layers.*.weight"), or (module, name) pairs as torch.nn.utils.prune takes
        them, or a list of these. None: the weights of linear maps (Linear, Conv, Embedding, attention projections,
        recurrent layers, and what is called weight, proj or kernel in layers of your own; no biases, norms, tokens,
        positions, scales or gains). Frozen parameters are skipped with a warning that names them.
    error : callable, optional; takes nothing and returns the share misclassified, or any other error, at each window's
        last iterate, with the model in evaluation mode and without gradients. None: give the errors to `pvalues`.
    sample : int or "all", optional; weights of a parameter to follow at most, spread over its output units. None: all,
        but of a model with more than a million only 100,000, with a warning.
    max_bytes : int, optional; follow as many weights as fit, of every larger parameter equally many; needs `n_steps`.
        It holds for `pvalues` too, but for the tensors of weights that are not followed.
    n_steps : int, optional; steps that the training will take: a window or max_lag that cannot work is refused at once
    protocol : str or protocols.Protocol, optional; how exponents and tests are done. None: as published, but nothing is
        rounded, a weight stands still if it moves by less than two units in the last place of its type, and one lag is
        tested.
    variant : str, "PT", which follows the divergence for the protocol's partial_steps iterates and tests up to its
        partial_max_lag, as suits short windows, or "FT": for `steps` and up to `max_lag`
    max_lag : int, optional; largest lag of the test: the more, the more of nothing but noise is kept (`noise_share`).
        None: one lag of up to five, which BIC chooses by the errors alone, and an F test, so that the level is kept of
        noise; with a protocol its own, or the largest that the windows allow.
    seed : int, of the sample
    on_error : str, "raise" what `error` raises, all else being recorded, or "skip": warn, and leave a gap for `pvalues`

    Attributes: names (list of str, the parameters that are followed, "layer.weight" and the like), skipped (frozen
    ones), n_weights, n_windows, nbytes (int; weights followed here, whole windows so far, memory held for them).

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
        self._variant, self._own, self._block = variant, own, _BLOCK
        chosen = choose(model, parameters)
        self._frozen = {n: v for n, v in chosen.items() if not v[2].requires_grad}
        self.skipped, self.names = [*self._frozen], [n for n in chosen if n not in self._frozen]
        if frozen := ", ".join(self.skipped):
            warnings.warn(f"frozen, and so not followed: {frozen}", stacklevel=2)
        if not self.names:
            has = f"{', '.join(named_parameters(model)) or 'no parameters'}, frozen: {frozen or 'none'}"
            raise ValueError(f"parameters={parameters!r} leaves nothing to follow; the model has: {has}")
        self._where = [chosen[n][:2] for n in self.names]
        self._sharded = [
            module for module in model.modules() if hasattr(module, "reshard") and hasattr(module, "unshard")
        ]
        whole = self._parameters()
        values = [shards.local(p) for p in whole]
        self._shapes, self._here = [tuple(p.shape) for p in whole], [tuple(v.shape) for v in values]
        dtype = np.float64 if any(v.dtype == torch.float64 for v in values) else np.float32
        most = self._most([p.numel() for p in whole], sample, n_steps, dtype)
        rng = np.random.default_rng(seed)
        draw = lambda p: shards.taken(p, sampling.stratified(p.shape, most, rng)) if p.numel() > most else None
        self._taken = [draw(p) for p in whole]
        counts = [v.numel() if taken is None else len(taken) for v, taken in zip(values, self._taken)]
        self.n_weights, self.n_all = sum(counts), sum(v.numel() for v in values)
        self._parts = [slice(end - n, end) for n, end in zip(counts, np.cumsum(counts).tolist())]
        ulps = [_STILL * torch.finfo(v.dtype).eps for v in values]
        ulps = ulps[:1] if len({*ulps}) == 1 or not self.n_weights else np.repeat(ulps, counts)
        how = dict(decimals=p.decimals, dtype=dtype, share=np.float32(ulps) if own else None, steps=steps) | p.embedding
        self._stream = lyapunov.StreamingLyapunov(max(1, self.n_weights), window, overlap, **how)
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
        weights = f"{self.n_weights:,}{sampled} weights of {len(self.names)} parameters, window={self.window}"
        state = f"{self.seen} iterates, {self.n_windows} windows, {'' if self._handle else 'not '}attached"
        return f"LEGCRecorder({weights}, {state})"

    def __getstate__(self):
        return self.__dict__ | {"_handle": None}  # a copy is not attached

    def _buffer(self, device):
        n = max(1, min(self.window, _ON_DEVICE // self._ring[:1].nbytes))
        return torch.empty((n, self._ring.shape[1]), dtype=self._ring.dtype, device=device)

    def _most(self, sizes, sample, n_steps, dtype):
        """How many weights of a parameter to follow at most, after a look at what the planned steps allow."""
        max_bytes, most = self._max_bytes, max(sizes) if sample in (None, "all") else sample
        if n_steps is not None:
            n_windows = len(lyapunov.window_ends(n_steps + 1, self.window, self.overlap, needed=True))
            self._lag(n_windows)
        if max_bytes is not None:
            if n_steps is None:
                raise ValueError(f"max_bytes={max_bytes} needs n_steps, as memory grows with the number of windows")
            each = bytes_per_weight(self.window, n_windows, dtype if self._own else np.float64) + 8  # and a p-value
            fits, self._block = sampling.budget(sizes, max_bytes, each, self._work(1, n_windows), _BLOCK)
            most = min(most, fits)
        elif sample is None and sum(sizes) > MANY:
            most = sampling.cap(sizes, DEFAULT_SAMPLE)
            said = f"of {sum(sizes):,} weights a sample is followed, up to {most:,} of a parameter; the others have no "
            warnings.warn(f'{said}p-value and are kept; sample="all" or max_bytes follows more', stacklevel=4)
        return most

    def _work(self, n, n_windows):
        """Bytes that testing n weights at a time takes."""
        lags = 1 if self.protocol.lag_choice == "bic" else self._lag(n_windows)
        return n * 8 * (6 * n_windows + 16 * lags)

    def _lag(self, n_windows):
        """The largest lag to test, or to choose from, with so many windows."""
        default = min(self._default_lag, max(1, granger.longest_lag(n_windows, self.protocol.difference)))
        return granger.check_lag(self.max_lag or default, n_windows, self.protocol.difference)

    def attach(self, optimizer):
        """Take the present weights as row 0, unless there are rows already, and a row after every step from now on.

        optimizer : torch.optim.Optimizer, or what wraps one as Accelerate's and Lightning's do. Returns the recorder.
        Raises ValueError for anything else, an optimiser of other parameters, and a recorder that is attached already.
        """
        optimizer = find_optimizer(optimizer)
        if self._handle is not None:
            raise ValueError(f"the recorder is attached to {self._attached} already; allowed: detach() before attach")
        held, name = {id(p) for group in optimizer.param_groups for p in group["params"]}, type(optimizer).__name__
        left = [n for n, p in zip(self.names, self._parameters()) if id(p) not in held]
        if len(left) == len(self.names):
            raise ValueError(f"{name} holds none of {', '.join(left)}; allowed: this model's optimiser")
        if left:
            warnings.warn(f"{name} does not move what is followed: {', '.join(left)}", stacklevel=2)
        if not self.seen:
            self._take()
        self._attached, self._handle = name, optimizer.register_step_post_hook(self._after)
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
        for module in self._sharded:  # whole after an evaluation, until they are looked at or trained
            module.reshard()
        return [m._parameters.get(own, m._parameters.get(f"{own}_orig")) for m, own in self._where]  # pruned since

    @torch.no_grad()
    def _take(self):
        with undisturbed.threads():
            self._stream._complete()  # an interrupt may have come before a window's exponents
        row, parameters = self._row, self._parameters()
        for k, (name, p, shape, part) in enumerate(zip(self.names, parameters, self._here, self._parts)):
            value = None if p is None else shards.local(p)
            if value is None or tuple(value.shape) != shape:
                now = "gone" if p is None else f"of shape {tuple(value.shape)}"
                raise ValueError(f"{name} is {now} at iterate {self.seen}; allowed: {shape}, as at the start")
            if self._taken[k] is not None:
                self._taken[k] = self._taken[k].to(value.device)
                value, shape = value.reshape(-1)[self._taken[k]], (-1,)
            row[part].view(shape).copy_(value, non_blocking=True)
        self._versions = [p._version for p in parameters]
        at_end = self._stream.to_window_end() == self._waiting + 1
        if self._rows is None:
            self._check(row[None])
            with undisturbed.threads():
                self._stream.advance()
        else:
            self._waiting += 1
            if at_end or self._waiting == len(self._rows):
                self._move()
        if at_end:
            for name, (module, own, _) in [*self._frozen.items()]:
                if getattr(module._parameters.get(own), "requires_grad", False):
                    del self._frozen[name]
                    said = f"{name} was frozen at the start and is trained now; it is not followed"
                    warnings.warn(said, stacklevel=4)
            if self._error is not None:
                self._ask_error()

    def _move(self):
        """What was collected on the device, in one go."""
        if self._waiting:
            rows, self._waiting = self._rows[: self._waiting].cpu(), 0
            self._check(rows)
            with undisturbed.threads():
                self._stream.update(rows.numpy())

    def _check(self, rows):
        if not rows.sum().isfinite():  # one is not finite, or the sum is too large
            for k, row in enumerate(rows):
                if bad := [n for n, part in zip(self.names, self._parts) if not row[part].isfinite().all()]:
                    said = f"{', '.join(bad)} holds NaN or infinite weights at iterate {self._stream.seen + k}"
                    raise ValueError(f"{said}; allowed: finite")

    def _ask_error(self):
        at, failed, returned = self.seen - 1, None, None
        try:
            with undisturbed.evaluation(self.model, self._devices):
                returned = self._error()
        except Exception as why:  # told below, for the others wait for this one's error
            failed = why
        try:
            error = torch.as_tensor(returned, dtype=torch.float64).item() if failed is None else np.nan
        except (TypeError, ValueError, RuntimeError):
            error = np.nan
        errors = shards.of_all(error)
        if failed is None and not np.isfinite(errors).all():
            of = f"error() is {returned!r}" if len(errors) == 1 else f"error() is, by rank, {errors}"
            failed = ValueError(f"{of} at iterate {at}; allowed: a finite number")
        if failed is None:
            self._errors[at] = np.mean(errors)
        elif not self._skips:
            raise failed
        else:
            warnings.warn(f"no error at iterate {at}, and so a gap: {failed!r}", stacklevel=5)

    @property
    def n_windows(self):
        return self._stream.n_windows

    @property
    def nbytes(self):
        return self._stream.nbytes + sum(held.nbytes for held in (*self._taken, self._rows) if held is not None)

    @property
    def window_ends(self):
        """Iterates at which windows ended so far, int (n_windows,); the weights before the first step are iterate 0."""
        return lyapunov.window_ends(self._stream.seen, self.window, self.overlap)

    @property
    def errors(self):
        """What `error` returned at each window's last iterate, float64 (n_windows,); NaN where it failed."""
        return np.array([self._errors.get(end, np.nan) for end in self.window_ends.tolist()])

    def exponents(self):
        """Name -> float64 (n_windows, n_followed here), nats per iterate, in the flat order of the followed weights."""
        return {name: self._stream.result(part) for name, part in zip(self.names, self._parts)}

    def followed(self):
        """Name -> bool tensor of the parameter's shape, True where the weight is followed."""
        return self._in_shape(torch.ones(self.n_weights, dtype=torch.bool), False)

    def _in_shape(self, values, elsewhere):
        """Name -> tensor of the whole parameter's shape: `values` (n_weights,) where followed, and `elsewhere`."""
        found = {}
        for name, p, shape, taken, part in zip(self.names, self._parameters(), self._here, self._taken, self._parts):
            own = values[part]
            if taken is not None:
                own = torch.full(shape, elsewhere, dtype=values.dtype).flatten()
                own[taken.cpu()] = values[part]
            found[name] = shards.whole(own.view(shape), p)
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

        error : float array (n_windows,), optional; at each window's last iterate (`window_ends`). None: what the
            recorder's own `error` returned. Windows without one (NaN) are left out, with a warning that says which.

        Returns dict of name -> float64 tensor of the whole parameter's shape, NaN for a weight that is not followed or
        has no test, as one that does not move: `legc_mask` keeps both. Warns if that is all of them, if the level would
        keep all or nothing, or a fifth of pure noise (`noise_share`).
        Raises ValueError for errors of the wrong length or that are infinite, and for too few windows.
        """
        error, has = self._target(error)
        if gaps := self.window_ends[~has].tolist():
            warnings.warn(f"left out, as they have no error: the windows that end at iterates {gaps}", stacklevel=2)
        self._lag(has.sum())
        p, target = torch.empty(self.n_weights, dtype=torch.float64), error[has]
        with announced("tests"):
            for first in tqdm(
                range(0, self.n_weights, self._block), "Granger tests", disable=None, delay=2, leave=False
            ):
                series = self._stream.result(slice(first, first + self._block))[has]
                p[first : first + self._block] = torch.from_numpy(self._test(target, series))
        found = self._in_shape(p, torch.nan)
        tested = torch.cat([values[~values.isnan()] for values in found.values()]).numpy()
        if not len(tested):
            flat = np.isnan(self._noise_pvalues(target)).all()
            why = "the error is flat, constant after a while at the latest" if flat else "none of them moves enough"
            warnings.warn(f"no weight has a test, and so all are kept: {why}", stacklevel=2)
        elif self._own:
            selection.warn_if_one_sided(selection.legc_mask(tested, self.protocol.alpha), "the p-values' mask")
            if (noise := selection.legc_mask(self._noise_pvalues(target)).mean()) > 0.2:
                said = f"of pure noise {noise:.0%} would be kept with max_lag={self._lag(has.sum())} over {has.sum()}"
                warnings.warn(f"{said} windows; a smaller max_lag, or None, or more windows keep less", stacklevel=2)
        return found

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
        lines = [repr(self), *(f"  {n}: {m.sum():,} of {m.numel():,}" for n, m in self.followed().items())]
        lines += [f"  frozen, not followed: {', '.join(self.skipped)}"] if self.skipped else []
        try:
            with warnings.catch_warnings(action="ignore"):
                found, noise = self.pvalues(error), self.noise_share(error=error)
        except ValueError as why:
            return "\n".join([*lines, f"no tests yet: {why}"])
        lines += [f"{count:,} without a test: {why}" for why, count in self.untested(found).items()]
        kept = (torch.cat([v[~v.isnan()] for v in found.values()]) < self.protocol.alpha).double().mean()
        return "\n".join([*lines, f"p below {self.protocol.alpha}: {kept:.1%} of the tested; of noise {noise:.1%}"])

    def untested(self, pvalues):
        """Why followed weights have no p-value: {"never moved", "in a unit that never moved", "not defined": int}."""
        counts = dict.fromkeys(("never moved", "in a unit that never moved", "not defined"), 0)
        parts = [self._stream.result(part) for part in self._parts]
        moved = self._in_shape(torch.from_numpy(np.hstack([(e != 0).any(axis=0) for e in parts])), False)
        for name, followed in self.followed().items():
            unit = moved[name].view(len(followed), -1).any(1).view(-1, *[1] * (followed.ndim - 1))
            still = followed & ~moved[name]
            none = pvalues[name].isnan() & followed & moved[name]
            for why, which in zip(counts, (still & unit, still & ~unit, none)):
                counts[why] += int(which.sum())
        return counts

    def _settings(self):
        fields = ("emb_dim", "lag", "min_tsep", "decimals", "test", "lag_choice", "difference", "p_decimals")
        own = dict(names=self.names, shapes=self._shapes, window=self.window, overlap=self.overlap, own=self._own)
        own |= dict(variant=self._variant, max_lag=self.max_lag, steps=self.protocol.of(self._variant).steps)
        return own | {name: getattr(self.protocol, name) for name in fields}

    def _sample(self):
        """What this recorder holds of the weights: how many of each parameter, from where, and by which seed."""
        offsets = [shards.offset(p) for p in self._parameters()] if self._sharded else []
        return {"counts": [part.stop - part.start for part in self._parts], "shards": offsets, "seed": self._seed}

    def state_dict(self):
        """Everything recorded so far that a run still needs, for torch.save: one that loads it ends with the same bits.

        Save it with those of model and optimiser, between two steps: once for all processes, of shards each its own.
        """
        self._move()
        stream = {k: v if k == "seen" else torch.from_numpy(v) for k, v in self._stream.state_dict().items()}
        return self._settings() | {"sample": self._sample(), "errors": self.errors.tolist(), "stream": stream}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in a recorder that was made with the same arguments.

        Raises ValueError, and changes nothing, if any choice differs.
        """
        for name, own in self._settings().items():
            if name not in state or state[name] != own:
                raise ValueError(f"the state has {name}={state.get(name)!r}; allowed here: {own!r}")
        sample, own = {"shards": []} | state["sample"], self._sample()
        if sample | ({"seed": self._seed} if self.n_weights == self.n_all else {}) != own:
            raise ValueError(f"the state follows {sample}, not {own}; allowed: the same sample, and one's own shard")
        self._stream.load_state_dict({k: v if k == "seen" else v.numpy() for k, v in state["stream"].items()})
        self._waiting = 0
        known = len(state["errors"]) == self.n_windows  # else some failed in a version that did not say which
        self._errors = dict(zip(self.window_ends.tolist(), state["errors"])) if known else {}
