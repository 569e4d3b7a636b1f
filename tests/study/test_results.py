import json
import multiprocessing
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from legc_utils import datasets
from study import paper, results, texts

ROWS = pd.DataFrame({"seed": [0, 1], "accuracy": [0.1 + 0.2, 1 / 3], "epoch": [np.nan, 4.0], "reached": [False, True]})


def save(out_dir, **parameters):
    return results.save(ROWS, "04_ft_vs_pt", "iris", "published", out_dir, **parameters)


def test_what_was_saved_comes_back_to_the_last_bit(tmp_path):
    save(tmp_path)
    loaded = results.load("04_ft_vs_pt", "iris", "published", tmp_path)
    pd.testing.assert_frame_equal(loaded.drop(columns=["dataset", "protocol"]), ROWS)
    assert set(loaded.dataset) == {"iris"} and set(loaded.protocol) == {"published"}


def test_the_same_rows_give_the_same_bytes(tmp_path):
    assert save(tmp_path / "a").read_bytes() == save(tmp_path / "b").read_bytes()


def test_provenance_says_where_the_rows_came_from(tmp_path):
    save(tmp_path, seeds=[0, 1], alpha=np.float64(0.05))
    made = results.provenance("04_ft_vs_pt", "iris", "published", tmp_path)
    assert made["parameters"] == {"seeds": [0, 1], "alpha": 0.05}
    assert made["data_sha256"] == datasets.checksum("iris") and made["packages"]["torch"].startswith("2.13.0")
    assert {"git_commit", "seconds"} <= set(made)


def test_the_seconds_of_a_page_that_starts_warm_are_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_started", [time.monotonic() - 1000])
    save = lambda: results.save(pd.DataFrame({"a": [1]}), "01_sdic", "iris", "published", tmp_path)
    page = multiprocessing.get_context("fork").Process(target=save)
    page.start()
    page.join()
    assert results.provenance("01_sdic", "iris", "published", tmp_path)["seconds"] < 500
    save()
    assert results.provenance("01_sdic", "iris", "published", tmp_path)["seconds"] >= 1000


def test_provenance_of_a_network_is_that_of_the_data_it_learnt(tmp_path):
    results.save(ROWS, "13_networks", "transformer", "published", tmp_path, data="pydoc")
    made = results.provenance("13_networks", "transformer", "published", tmp_path)
    assert made["dataset"] == "transformer" and made["data"] == "pydoc"
    assert made["data_sha256"] == texts.checksum("pydoc")


def test_an_interrupted_write_leaves_the_old_result(tmp_path, monkeypatch):
    path = save(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(results.Path, "replace", lambda *a: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        results.save(ROWS * 2, "04_ft_vs_pt", "iris", "published", tmp_path)
    assert path.read_bytes() == before and json.loads(path.with_suffix(".json").read_text())


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(UnicodeEncodeError):  # as a full disk would, in the middle
        results.write(tmp_path / "a.csv", "half\udcff")
    assert not list(tmp_path.iterdir())


def git(folder, *arguments):
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_ours_or_none(tmp_path, monkeypatch):
    other, ours = tmp_path / "other's é", tmp_path / "other's é/vendor/ours"
    ours.mkdir(parents=True)
    monkeypatch.setattr(results, "_ROOT", ours)
    assert results.git_commit() is None  # an unpacked archive, in no repository
    for folder in (other, ours):
        git(folder, "init", "-q")
        (folder / "file").write_text("1")
        git(folder, "add", "file")
        git(folder, "commit", "-q", "-m", "first")
        if folder == other:
            assert results.git_commit() is None  # inside another's
    own = git(ours, "rev-parse", "HEAD")
    assert results.git_commit() == own
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))  # as in another's hook
    assert results.git_commit() == own
    (ours / "file").write_text("2")
    assert results.git_commit() == f"{own}+"
    link = tmp_path / "link"
    link.symlink_to(ours)
    monkeypatch.setattr(results, "_ROOT", link)
    assert results.git_commit() == f"{own}+"


def test_all_data_sets_of_a_notebook_are_loaded_together(tmp_path):
    for dataset in ("iris", "cancer"):
        results.save(ROWS, "n", dataset, "published", tmp_path)
    assert list(results.load("n", out_dir=tmp_path).dataset.unique()) == ["cancer", "iris"]


def test_missing_results_name_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="04_ft_vs_pt for iris in .*nothing"):
        results.load("04_ft_vs_pt", "iris", out_dir=tmp_path / "nothing")


def test_interval_is_scipys_t_interval_and_skips_nan():
    values = np.random.default_rng(0).normal(size=12)
    mean, low, high = results.interval([*values, np.nan])
    expected = stats.t.interval(0.95, 11, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose((mean, low, high), (values.mean(), *expected))
    assert np.isnan(results.interval([1.0])[1:]).all() and np.isnan(results.interval([])).all()


def test_intervals_have_a_row_a_group():
    values = pd.Series([1.0, 3.0, 5.0], index=["b", "b", "a"])
    found = results.intervals(values.groupby(level=0, sort=False))
    assert list(found.index) == ["b", "a"] and list(found) == ["mean", "low", "high"]
    assert tuple(found.loc["b"]) == results.interval([1, 3]) and np.isnan(found.low["a"])


def test_share_beaten_counts_ties_half():
    assert results.share_beaten(2, [1, 2, 2, 3]) == 0.5
    assert results.share_beaten(4, [1, 2]) == 1 and results.share_beaten(0, [1, 2]) == 0


def test_the_papers_tables_agree_with_each_other_on_weights_and_percent():
    one, two = paper.TABLE_1, paper.TABLE_2
    assert (one.flops_dense - one.flops_FT == one.non_causal).all()
    assert (one.flops_FT == two.flops_FT).all() and (one.accuracy_FT == two.accuracy_FT).all()
    np.testing.assert_allclose(100 * one.non_causal / one.flops_dense, one.pruned_percent_FT, atol=0.006)
    np.testing.assert_allclose(100 * (1 - two.flops_PT / one.flops_dense), two.pruned_percent_PT, atol=0.006)


def test_printed_collects_a_data_sets_rows_and_leaves_gaps_open():
    cancer = paper.printed("cancer")
    assert cancer.loc["FT", "weights"] == 54 and cancer.loc["PT", "epoch"] == 24
    assert cancer.loc["magnitude", "accuracy"] == 0.8905 and np.isnan(cancer.loc["magnitude", "epoch"])
    assert paper.printed("mine").isna().all().all()


def test_an_interval_in_words_says_what_there_is():
    assert results.interval_text([0.01, 0.03], 1, scale=100) == "2.0 (95 % interval −10.7 to 14.7)"
    assert results.interval_text([0.5, np.nan]) == "0.50 (one value, no interval)"
    assert results.interval_text([np.nan]) == "not defined"
