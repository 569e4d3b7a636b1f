"""How far a build is, on stderr after every page: `34 of 97 pages, about 6 min left`."""

import sys
import threading
import time
from pathlib import Path

import pandas as pd

# Seconds that pages took when all of them were last computed: by this build, or by the one that the repository keeps
KEPT = "budget/all-published.csv", "book/seconds.csv"
PROSE = 3.0  # seconds that a page of prose takes, about
RENDERING = 0.5  # seconds that rendering takes for each page, about
PATIENCE = 60.0  # seconds until what is measured counts as much as what was kept


def expected(pages, results):
    """Seconds that each of some pages may take on one core: dict of page to float, > 0.

    pages : iterable of str, "03_granger_pruning/iris-published", or the name of a page of prose
    results : path of the build's results. A page that is not in its table counts as its chapter's mean, or as the mean
        of all.
    """
    table = next(path for path in (Path(results, KEPT[0]), Path(KEPT[1])) if path.exists())
    kept = pd.read_csv(table, index_col="page").seconds.clip(lower=0.1)
    of_chapter = kept.groupby(kept.index.str.partition("/").get_level_values(0)).mean()

    def seconds(page):
        if "/" not in page:
            return PROSE
        return float(kept.get(page, of_chapter.get(page.partition("/")[0], kept.mean())))

    return {page: seconds(page) for page in pages}


def left(done, to_do, elapsed, cores):
    """Seconds until all pages are there.

    done, to_do : list of float, seconds expected for pages that this build has finished and for the others
    elapsed : float, seconds since it began; cores : int, that it uses
    """
    pace = (sum(done) + cores * PATIENCE) / (elapsed + PATIENCE)  # expected seconds in a second
    return max(sum(to_do) / pace, max(to_do, default=0.0) * cores / pace)  # a page has one core


def line(n_done, n, seconds):
    """What is said: how many pages are done, and how long the rest takes, float seconds."""
    span = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{10 * max(1, round(seconds / 10))} s"
    return f"{n_done} of {n} pages, about {span} left"


def watch(paths, executed, cores, rendered, every=1.0, stream=None):
    """Say at the beginning, and whenever another page is there, how far it is. Blocks: `start` has a thread for it.

    paths : list of str, the pages that are to be computed, all of them in the folder `executed`
    cores : int; rendered : int, pages that are rendered afterwards, in one go; every : float, seconds between two looks
    """
    begun, begun_at, said = time.monotonic(), time.time(), -1 if paths else 0  # nothing, if it only renders
    pages = {Path(path): str(Path(path).relative_to(executed).with_suffix("")) for path in paths}
    seconds = expected(pages.values(), Path(executed, "results"))
    is_there = lambda path: path.exists() and path.stat().st_mtime >= begun_at
    while said < len(pages):
        there = {name for path, name in pages.items() if is_there(path)}
        if len(there) > said:
            said = len(there)
            done, to_do = [seconds[name] for name in there], [seconds[name] for name in seconds.keys() - there]
            rest = left(done, to_do, time.monotonic() - begun, cores) + RENDERING * rendered
            print(line(said, len(pages), rest), file=stream or sys.stderr, flush=True)
        time.sleep(every)


def start(*arguments):
    """`watch` while other things go on."""
    threading.Thread(target=watch, args=arguments, daemon=True).start()
