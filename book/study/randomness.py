"""Seeds for what is drawn on the side: far from those that a user may give, and from each other."""

import numpy as np


def derived_seed(purpose, *key):
    """A seed for one purpose, such as "placebo", and one key, such as (seed, draw): int from 2⁶² to 2⁶³ − 1.

    By numpy's SeedSequence, so that two keys, or two purposes, share a seed by an accident of 1 in 2⁶² only; sums and
    products of small numbers (1000 + run) meet sooner or later, and the runs then are the same runs.

    purpose : str
    *key : int, each at least 0
    """
    sequence = np.random.SeedSequence(int.from_bytes(purpose.encode()), spawn_key=key)
    return int(sequence.generate_state(1, np.uint64)[0] >> 2 | 2**62)
