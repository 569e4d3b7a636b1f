"""numba's njit with a cache that may be lost: what cannot be read or written costs time, not the result."""

import sys
from contextlib import contextmanager, suppress
from threading import Timer

import numba
from numba.core.caching import FunctionCache


class _Cache(FunctionCache):
    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a file is cut off or damaged: whatever unpickling makes of it
            self.flush()

    def save_overload(self, sig, data):
        with suppress(OSError):  # the disk is full
            super().save_overload(sig, data)


def njit(**options):
    """As numba.njit, dividing by zero as NumPy does, with a cache if it has a place: beside the source, or at home."""

    def compiled(function):
        dispatcher = numba.njit(error_model="numpy", **options)(function)
        with suppress(RuntimeError):
            dispatcher._cache = _Cache(function)
        return dispatcher

    return compiled


@contextmanager
def announced(what, after=2.0):
    """Say on a terminal, after so many seconds, that loops are perhaps being compiled: it takes up to half a minute."""
    say = f"legc_utils: {what}: the first call compiles its loops, up to half a minute; they are kept in a cache\n"
    timer = Timer(after, lambda: sys.stderr.write(say))
    timer.daemon = True
    if what not in _announced and sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _announced.add(what)


_announced = set()
