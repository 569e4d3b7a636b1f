"""The released masks, from the released initial weights: the best test of the published protocol there is.

The weights carry no licence, so they are not part of this repository: name the folder that holds `released/` in
LEGC_DATA_DIR, or put it at ../shared/data beside the repository.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from legc_utils import datasets, pruning


def released(name):
    folder = Path(os.environ.get("LEGC_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
    file = folder / "released" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"{file} is not here: name the folder with released/{name}.json in LEGC_DATA_DIR")
    return json.loads(file.read_text())


def flat(initialisations, *names):
    return np.array([np.concatenate([np.ravel(one[name]) for name in names]) for one in initialisations])


@pytest.mark.parametrize(("name", "variant"), [("cancer", "FT"), ("iris", "FT"), ("iris", "PT")])
def test_released_masks_come_out_exactly(name, variant):
    data = released(name)
    initial = flat(data["initialisations"], "W1", "W2"), flat(data["initialisations"], "b1", "b2")
    chosen = pruning.find_masks(datasets.load(name), 6, range(5), "published", variant, initial=initial)
    found = [np.flatnonzero(~mask).tolist() for mask in chosen.masks]
    assert found == [sorted(indices) for indices in data[f"pruned_{variant}"]]
