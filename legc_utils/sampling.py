"""Which of many weights are followed: of larger parameters equally many, spread over their output units."""

import numpy as np
import torch


def cap(sizes, budget):
    """The largest c for which min(size, c) over all sizes sums to the budget at most."""
    left = sorted(sizes)
    while left and left[0] * len(left) <= budget:
        budget -= left.pop(0)
    return budget // len(left) if left else max(sizes)


def budget(sizes, max_bytes, each, work, block):
    """Weights of a parameter to follow at most, and to test at a time, `block` at most, within so many bytes: two int.

    each, work : bytes that a followed weight takes, and one that is tested. Raises ValueError for too few.
    """
    if max_bytes < (least := len(sizes) * each + work):
        raise ValueError(f"max_bytes={max_bytes} is not enough; allowed here: at least {least}")
    block = max(1, min(block, max_bytes // 8 // work))
    return cap(sizes, (max_bytes - block * work) // each), block


def stratified(shape, size, rng):
    """Flat indices of `size` weights, sorted, spread evenly over the output units (dimension 0) and random in them."""
    units, fan_in = shape[0], int(np.prod(shape[1:], dtype=int))
    each = np.full(units, size // units)
    each[rng.permutation(units)[: size % units]] += 1
    taken = [unit * fan_in + rng.permutation(fan_in)[:n] for unit, n in enumerate(each) if n]
    return torch.from_numpy(np.sort(np.concatenate(taken)))
