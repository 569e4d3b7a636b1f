"""The released masks, from the released initial weights: the best test of the published protocol there is.

The weights carry no licence, so they are not part of this repository: name the folder that holds `released/` in
LEGC_DATA_DIR, or put it at ../shared/data beside the repository.
"""

import numpy as np
import pandas as pd
import pytest

from legc_utils import datasets, protocols, selection
from study import fidelity


@pytest.mark.parametrize(("name", "variant"), [("cancer", "FT"), ("iris", "FT"), ("iris", "PT")])
def test_released_masks_come_out_exactly_and_the_kept_table_says_so(name, variant):
    try:
        data = fidelity.released(name)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    found = fidelity.compare(name, data, variant)
    assert len(found) == 5 and (found.differing == 0).all()
    kept = pd.read_csv(fidelity.TABLE).query("dataset == @name and variant == @variant").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, kept, check_dtype=False)


def test_a_mask_that_differs_is_counted():
    protocol, split = protocols.get("published", "cancer"), datasets.load("cancer")
    rng = np.random.default_rng(0)
    shapes = {"W1": (6, 9), "b1": 6, "W2": (1, 6), "b2": 1}
    drawn = [{name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()} for _ in range(2)]
    initial = [np.array([np.r_[d[w].ravel(), d[v].ravel()] for d in drawn]) for w, v in (("W1", "W2"), ("b1", "b2"))]
    ours = selection.find_masks(split, 6, range(2), protocol, "FT", initial=tuple(initial)).masks
    exact = [np.flatnonzero(~mask).tolist() for mask in ours]
    one_more = int(np.flatnonzero(ours[1])[0])
    data = {"initialisations": drawn, "pruned_FT": [exact[0], [*exact[1], one_more]]}
    found = fidelity.compare("cancer", data, "FT")
    assert found.differing.tolist() == [0, 1]
    assert found.pruned_released.tolist() == [len(exact[0]), len(exact[1]) + 1]


def test_what_is_not_here_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("LEGC_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"released/cancer\.json in LEGC_DATA_DIR"):
        fidelity.released("cancer")
    with pytest.raises(FileNotFoundError, match="no released masks"):
        fidelity.table()
