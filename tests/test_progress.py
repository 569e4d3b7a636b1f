"""What a build says of the time left."""

import io
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import progress  # noqa: E402


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder with a kept table of three pages of two chapters, and results without one of their own."""
    monkeypatch.chdir(tmp_path)
    Path("book").mkdir()
    Path("book/seconds.csv").write_text(
        "page,seconds\n01_a/iris-published,10\n01_a/wine-published,30\n02_b/x-published,50\n"
    )
    return tmp_path / "results"


def test_a_page_is_expected_to_take_what_it_took_or_what_its_chapter_takes(kept):
    pages = ["01_a/iris-published", "01_a/cancer-published", "03_c/iris-published", "intro"]
    assert list(progress.expected(pages, kept).values()) == [10, 20, 30, progress.PROSE]
    own = kept / "budget/all-published.csv"  # of an earlier build here
    own.parent.mkdir(parents=True)
    own.write_text("page,chapter,seconds\n01_a/iris-published,01_a,7\n")
    assert list(progress.expected(pages, kept).values()) == [7, 7, 7, progress.PROSE]


def test_every_chapter_of_the_book_has_kept_seconds():
    kept = pd.read_csv(ROOT / "book/seconds.csv").page.str.partition("/")[0]
    assert set(kept) == set(yaml.safe_load((ROOT / "config.yaml").read_text())["notebooks"])


def test_the_time_left_follows_what_was_kept_and_then_what_is_measured():
    assert progress.left([], [30.0] * 8, 0, cores=2) == pytest.approx(120)
    slow = progress.left([30.0] * 40, [30.0] * 40, 4 * 600, cores=2)  # four times as slow as when they were kept
    assert 0.9 * 4 * 600 < slow < 4 * 600
    assert progress.left([], [100.0, 1.0], 0, cores=4) == pytest.approx(100)  # one page, one core
    assert progress.left([5.0], [], 10, cores=2) == 0


@pytest.mark.parametrize(("seconds", "said"), [(2, "10 s"), (84, "80 s"), (90, "2 min"), (3500, "58 min")])
def test_a_line_says_pages_and_time(seconds, said):
    assert progress.line(34, 97, seconds) == f"34 of 97 pages, about {said} left"


def test_a_build_that_only_renders_says_nothing(kept, tmp_path):
    told = io.StringIO()
    progress.watch([], tmp_path, cores=2, rendered=3, stream=told)
    assert told.getvalue() == ""


def test_a_build_says_so_at_its_start_and_after_every_page(kept, tmp_path):
    pages = [tmp_path / "01_a/iris-published.ipynb", tmp_path / "intro.ipynb"]
    pages[0].parent.mkdir()
    pages[1].touch()
    time.sleep(0.05)  # there before the build begins: to be computed anew
    told = io.StringIO()
    how = dict(cores=2, rendered=3, every=0.01, stream=told)
    thread = threading.Thread(target=progress.watch, args=(pages, tmp_path), kwargs=how, daemon=True)
    thread.start()
    until = lambda n: [time.sleep(0.01) for _ in range(500) if len(told.getvalue().splitlines()) < n]
    until(1)
    time.sleep(0.05)  # the clock of files is coarser
    for n, path in enumerate(pages, start=2):
        path.touch()
        until(n)
    thread.join(timeout=10)
    assert [text.partition(",")[0] for text in told.getvalue().splitlines()] == [f"{n} of 2 pages" for n in range(3)]
