"""numba's njit with a cache that may be lost: what cannot be read or written costs time, not the result."""

from contextlib import suppress

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
