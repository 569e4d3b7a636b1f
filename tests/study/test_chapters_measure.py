"""What chapters 8, 10 and 11 hand to the ledger is measured where the page says, and not where the answer turns."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pandas as pd
import pytest

from legc_utils import granger, protocols

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def defined(notebook, name, **known):
    """A function of a notebook, with what it needs to know."""
    cells = [c.source for c in jupytext.read(NOTEBOOKS / f"{notebook}.py").cells if c.cell_type == "code"]
    source = next(cell for cell in cells if f"def {name}(" in cell)
    body = source[source.index(f"def {name}(") :].split("\n\n\n")[0]
    exec(body, known)
    return known[name]


def stored(notebook, column):
    """The first table among a notebook's stored outputs that has the column, as text, split into rows."""
    for cell in jupytext.read(NOTEBOOKS / f"{notebook}.ipynb").cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/plain", "")
            if column in text.partition("\n")[0]:
                return text.splitlines()
    pytest.fail(f"no table has {column}")


def test_slopes_leave_out_small_widths_where_a_pruned_share_meets_rounding():
    widths, draws = [8, 32, 128, 512, 2048], range(3)
    each = [(h, d, (d + 1.0) * max(1, 128 / h)) for h in widths for d in draws]  # falls up to 128 units only
    rows = pd.DataFrame(each, columns=["width", "draw", "distance"])
    slopes = defined("08_approximation", "slopes", np=np, pd=pd, wide_enough=128)
    np.testing.assert_allclose(slopes(rows), 0, atol=1e-12)


def test_the_shape_is_judged_with_a_theiler_window_without_which_its_sign_turns():
    setting = next(line for line in stored("10_chaos", "real above null") if line.startswith("min_tsep=10 "))
    judged = stored("10_chaos", "chaos_shape")
    at = judged[0].split().index("chaos_shape") + 1  # the index comes first
    assert np.isclose(float(judged[2].split()[at]), float(setting.split()[1]), atol=0.0051)


def test_a_variants_gain_is_over_the_random_masks_of_its_own_kind_and_the_placebo_has_no_part_in_their_mean():
    layered, known = ", by layer", dict(pd=pd, is_random=lambda name: name.startswith("random"))
    known["of_layers"] = lambda name: layered if name.endswith(layered) else ""
    accuracy = {"a": 0.9, "random": 0.7, "placebo": 0.1, "a" + layered: 0.8, "random" + layered: 0.5}
    each = [
        dict(method=name, target=s, seed=seed, draw=k, accuracy=at + 0.1 * k + (0.02 if s == 0.2 else -0.02) + seed / 9)
        for name, at in accuracy.items() for s in (0.2, 0.5) for seed in (0, 1)
        for k in ((0, 1, 2) if name.startswith("random") else (0,))
    ]  # fmt: skip
    found = defined("17_variants", "gains", **known)(pd.DataFrame(each), "accuracy")
    assert list(found) == ["a", "placebo", "a" + layered]
    np.testing.assert_allclose(found, [[10, -70, 20]] * 2)  # random masks have 0.1 more, by their draws


def test_a_protocol_is_asked_by_its_own_rule_and_before_any_correction():
    rng = np.random.default_rng(5)
    target, series = rng.normal(size=(2, 60, 400)).cumsum(axis=1)  # random walks, which foretell each other
    for name, rises in (("published", True), ("corrected", False)):
        choices = protocols.get(name)
        known = dict(choices=choices, exact=replace(choices, p_decimals=None), granger=granger, np=np, replace=replace)
        known["look"] = SimpleNamespace(max_lag=10)
        whole, at_lag = (defined("11_causality", rule, **known) for rule in ("by_protocol", "at_bic_lag"))
        for ask in (whole, lambda e, x: at_lag(x, e, e)):  # noqa: B023
            p = np.concatenate([ask(e, series) for e in target.T[:20]])
            assert ((p < 0.05).mean() > 0.09) == rises
            assert (p != p.round(4)).any()
