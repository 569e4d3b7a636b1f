"""The book's own draws never meet a reader's seeds, nor each other."""

import numpy as np
import pytest

from legc_utils import selection, training
from study import nulls
from study.randomness import derived_seed


def test_derived_seeds_differ_by_purpose_and_key_and_are_nobodys():
    purposes = "placebo", "random mask", "shuffled mask", "untrained"
    keys = [(), *((k,) for k in range(2000)), *((k, d) for k in range(40) for d in range(40))]
    found = [derived_seed(purpose, *key) for purpose in purposes for key in keys]
    assert len(set(found)) == len(found)
    assert min(found) >= 2**62 and max(found) < 2**63  # torch takes no more
    assert derived_seed("placebo", 3) == derived_seed("placebo", 3)


@pytest.mark.parametrize("first", [0, 500, 1000, 10_000])
def test_placebo_runs_are_never_the_runs_that_they_stand_beside(learnable, short, first):
    split, settings = learnable(), short(recorded_epochs=40)
    look = selection.horizon(split, settings)
    placebo = nulls.placebo_targets(split, 2, 3, settings, look)
    seeds = range(first, first + 3)
    own = training.train_ensemble(split, 2, list(seeds), settings, epochs=look.epochs, rows=look.rows).target_error
    assert not any(np.array_equal(a, b) for a in placebo.T for b in own.T)
