"""Seeds that are drawn on the side meet neither each other nor a user's."""

import numpy as np
import torch

from study import randomness, sparsity

DERIVED = 8490528559036011291


def test_derived_seeds_are_large_and_all_different():
    keys = [(purpose, seed, draw) for purpose in ("placebo", "random mask") for seed in range(60) for draw in range(60)]
    seeds = {randomness.derived_seed(*key) for key in keys} | {randomness.derived_seed("placebo", k) for k in range(60)}
    assert len(seeds) == len(keys) + 60 and min(seeds) >= 2**62 and max(seeds) < 2**63
    assert {1000, 1000 * 3 + 2}.isdisjoint(seeds)


def test_a_derived_seed_is_the_same_on_every_machine_and_fits_every_generator():
    seed = randomness.derived_seed("placebo", 0)
    assert seed == randomness.derived_seed("placebo", 0) == DERIVED
    assert np.array([seed]).dtype == np.int64
    torch.Generator().manual_seed(seed)
    np.random.default_rng(seed)


def test_random_rankings_of_two_seeds_never_meet():
    """Draw 1000 of seed 0 was draw 0 of seed 1."""
    followed = [sparsity.Followed(seed, None, None, None, {"w": torch.zeros(50)}) for seed in (0, 1)]
    one, other = sparsity.importance(followed[0], "random", 1000), sparsity.importance(followed[1], "random", 0)
    assert not torch.equal(one["w"], other["w"])
