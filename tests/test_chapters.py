"""The first page of each chapter, written from the kept results of the quick profile."""

import io
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import image

from study import claims, evidence, results

ROOT = Path(__file__).parent.parent
REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(ROOT / "book/build"))
import chapters  # noqa: E402
import stage  # noqa: E402

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
QUICK = CONFIG["profiles"]["quick"]
NAMES = [name for kind in ("tabular", "images", "heldout", "networks") for name in QUICK[kind]]
SWITCHES = "09_switches"
JUDGED = chapters.judge(evidence.load(REFERENCE), NAMES)


def titles(notebook):
    """The data sets or networks with kept results of a notebook, in the order of config.yaml."""
    kept = {path.stem.removesuffix("-published") for path in (REFERENCE / notebook).glob("*-published.csv")}
    return {name: stage.title(name) for name in NAMES if name in kept}


@cache
def made(notebook):
    """The files of a chapter's first page."""
    return chapters.first_page(notebook, "# Title\n\nQuestion?", titles(notebook), JUDGED, REFERENCE)


def signs(page):
    """The table of a page: DataFrame by what is asked, a column a data set, links taken off."""
    head, _, *rows = [line.strip("| ").split(" | ") for line in page.decode().splitlines() if line.startswith("| ")]
    table = pd.DataFrame(rows).map(lambda cell: re.sub(r"\[(.+?)\]\(.+\)", r"\1", cell)).set_index(0)
    return table.set_axis(re.findall(r"\((\w+)\.ipynb\)", " ".join(head)), axis=1)


@pytest.mark.parametrize("notebook", CONFIG["notebooks"])
def test_a_first_page_has_a_figure_and_a_table_of_all_data_sets(tmp_path, notebook):
    for name, content in made(notebook).items():
        (tmp_path / name).write_bytes(content)
    page = (tmp_path / "index.md").read_text()
    assert page.startswith("# Title\n\nQuestion?\n")
    alt = re.search(r"^:alt: (.+)$", page, re.M)[1]
    assert list(signs(page.encode()).columns) == list(titles(notebook))
    assert all(title in alt for title in titles(notebook).values())
    picture = image.imread(tmp_path / f"{notebook}.png")
    assert np.ptp(picture) > 0.5


@pytest.mark.parametrize("notebook", [n for n in CONFIG["notebooks"] if n != SWITCHES])
def test_the_rows_below_its_figure_are_what_it_shows(notebook):
    own = titles(notebook)
    cells = chapters.from_claims(notebook, JUDGED, own)
    drawn = pd.read_csv(io.BytesIO(made(notebook)[f"{notebook}.csv"])).query("mark == 'points'")
    shown = set(zip(drawn.y_name, drawn.x.map("{:.6g}".format)))
    for row in cells.itertuples():
        for number in (row.effect, *row.each):
            assert (own[row.dataset], f"{number + 0.0:.6g}") in shown, row.says
    for address in chapters.links(notebook, own, REFERENCE).values():
        if address.startswith("_static/results/"):
            assert (REFERENCE / address.removeprefix("_static/results/")).exists()
    assert len(chapters.links(notebook, own, REFERENCE)) == len(own) + 3


@pytest.mark.parametrize("notebook", [n for n in CONFIG["notebooks"] if n != SWITCHES])
def test_its_table_is_the_ledgers(notebook):
    ledger = claims.matrix(claims.ledger(evidence.load(REFERENCE), claims.counted(NAMES))[1])
    own = [key for key, claim in claims.CLAIMS.items() if claim.notebook == notebook]
    expected = ledger.loc[own, list(titles(notebook))].set_axis([claims.get(key).says for key in own])
    expected = expected[(expected != "·").any(axis=1)]
    shown = signs(made(notebook)["index.md"])
    assert set(shown.index) == set(expected.index)
    assert (shown.loc[expected.index].to_numpy() == expected.to_numpy()).all()


def test_numbers_and_margins_are_counted_as_in_the_ledger():
    cells = chapters.from_claims("04_ft_vs_pt", JUDGED, ["iris"]).set_index("says")
    for row in cells.itertuples():
        assert np.nanmean(row.each) == pytest.approx(row.effect)
    assert set(cells.dataset) == {"iris"}
    margins = lambda key: cells.margins[claims.get(key).says]
    assert margins("performance") == (-0.02,) and margins("ticket") == (0.4, 0.5, 0.6) and margins("flops") == (5.0,)
    assert len(cells.each[claims.get("performance").says]) == QUICK["splits"]["tabular"]


def test_switches_are_shown_by_what_they_change_on_the_same_seeds():
    saved = results.load(SWITCHES, out_dir=REFERENCE)
    cells = chapters.from_switches(saved).set_index(["says", "dataset"])
    mean = saved[saved.dataset == "cancer"].groupby("field").pruned_percent.mean()
    change = mean["rule: noncausal → causal"] - mean["as it is"]
    assert cells.effect["rule", "cancer"] == pytest.approx(change)
    assert cells.sign["rule", "cancer"] == f"+{change:.1f}" and cells.sign["p_decimals", "cancer"] == "0"
    assert "as it is" not in cells.index.get_level_values("says")


def cells_of(**outcomes):
    """Cells with the outcomes of one claim after the other on each data set."""
    return pd.DataFrame([
        {"says": f"claim {k}", "dataset": name, "outcome": outcome}
        for name, found in outcomes.items() for k, outcome in enumerate(found)
    ])  # fmt: skip


def test_sentences_count_and_do_not_take_undecided_for_refuted():
    cells = cells_of(
        a=["shown", "shown"], b=["shown", "undecided"], c=["shown the other way", "too few"], d=["shown absent"]
    )
    text = chapters.what_claims_come_to(cells, dict.fromkeys("abcd"), "data set")
    assert text.startswith("Of 7 tests (2 claims, 4 data sets) 3 showed the claim, 1 showed that nothing larger")
    assert "1 the opposite, and 1 left it undecided; 1 had too few splits" in text
    assert text.count("Undecided is not refuted") == 1
    text = chapters.what_claims_come_to(cells_of(a=["too few"]), {"a": "a"}, "network")
    assert text.startswith("Of 1 test (1 claim, 1 network) 0 showed") and text.endswith(
        "too few splits to decide anything."
    )


def test_a_chapter_that_found_nothing_has_its_opening():
    assert chapters.first_page("01_sdic", "# Title", {"vowel": "vowel"}, JUDGED, REFERENCE) == {"index.md": b"# Title"}


@pytest.mark.parametrize("notebook", CONFIG["notebooks"])
def test_a_page_of_one_data_set_is_headed_by_its_name_and_the_first_page_by_the_chapters(notebook):
    chapter = stage.opening(ROOT / f"notebooks/{notebook}.ipynb")
    assert chapter.startswith("# ") and re.search("The (paper says|successors say)\n", chapter)
    assert "{glue" not in chapter
    name = next(iter(titles(notebook)))
    own = stage.own_opening(chapter, name)
    heading, *rest = own.splitlines()
    assert heading == f"# {stage.title(name)}" and "](index.md)" in own
    assert not re.search("The (paper says|successors say)\n", own)
    assert set(re.findall(r":label: \S+", own)) == set(re.findall(r":label: \S+", chapter))
    assert own.count("```") == chapter.count("```")  # the admonition goes, the title comes


def test_a_page_without_a_title_is_refused():
    with pytest.raises(ValueError, match="opens with 'import numpy'; allowed: a Markdown cell"):
        stage.own_opening("import numpy", "cancer")


def test_labels_and_links_of_a_first_page_are_its_own():
    source = ":label: eq-x\n{eq}`eq-x` [next](02_windowed_le.ipynb)"
    index, cancer = (stage.own_labels(source, name, ["02_windowed_le/cancer"]) for name in ("index", "cancer"))
    assert index == ":label: eq-x-index\n{eq}`eq-x-index` [next](../02_windowed_le/index.md)"
    assert cancer.endswith("`eq-x-cancer` [next](../02_windowed_le/cancer.ipynb)")
    assert stage.own_labels(source, "iris", ["02_windowed_le/cancer"]).endswith("](../02_windowed_le/index.md)")


@pytest.mark.parametrize("profile", CONFIG["profiles"].values(), ids=CONFIG["profiles"])
def test_corrected_pages_have_splits_enough_to_be_judged_and_seeds(profile):
    corrected = {n: book for n, book in CONFIG["notebooks"].items() if "corrected" in book["protocols"]}
    assert {"10_chaos", "11_causality", "12_chance"} <= set(corrected)
    for notebook in corrected.values():
        splits = profile[notebook.get("corrected", "few_splits")]
        assert min(splits.values()) >= claims.FEWEST
        assert {kind for kind in notebook["data"] if kind in splits} <= set(profile["corrected_seeds"])
