"""Seeds for what the book draws itself, apart from the seeds that a reader may ask for."""

import numpy as np


def derived_seed(purpose, *key):
    """A seed of 2⁶² or more for `purpose`, a str, and whole numbers such as a reader's seed and the number of a draw.

    numpy's SeedSequence spreads them, so that no two purposes or keys share a stream, and what comes out is far above
    the seeds that readers write down: a placebo is never the very run that it stands beside.
    """
    root = np.random.SeedSequence(int.from_bytes(purpose.encode()), spawn_key=key)
    return int(root.generate_state(1, np.uint64)[0] >> 2 | 2**62)
