"""Builds that are killed, doubled, or without room: nothing half-written is taken for a result, and they go on."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import workflow
from workflow import build, finish

pytestmark = pytest.mark.whole
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import html_job  # noqa: E402
import jobs  # noqa: E402

PARAMETERS = 'dataset = "iris"\nprotocol = "published"\nseeds = [0]\nout_dir = "results"\n'
# What a real chapter leaves, without its work, in files of some length that take some time
WORK = """import sys, time
from pathlib import Path
from study import results
folder = Path(out_dir) / "{name}"
folder.mkdir(parents=True, exist_ok=True)
for name in "ab":
    results.write(folder / f"{{name}}.csv", "value\\n" + "0.125\\n" * 100_000)
    time.sleep(0.2)
print(sys.executable)
"""
PAGES = ["01_sdic", "03_granger_pruning"]
EXECUTED = "book/executed/tiny"
KILLS = 20


def checkout(folder, work=WORK):
    chapters = {name: workflow.chapter(PARAMETERS, work.format(name=name)) for name in PAGES}
    return workflow.checkout(folder, chapters, {"notebook": PAGES[1], "dataset": "iris"})


def results(folder):
    """Every table of a build: dict from its name to its bytes."""
    found = folder / "book/executed/tiny/results"
    return {str(path.relative_to(found)): path.read_bytes() for path in sorted(found.rglob("*.csv"))}


def pages(folder):
    return [nbformat.read(path, as_version=4) for path in (folder / "book/executed").rglob("*.ipynb")]


def take(folder):
    """The results of a finished build, which begins anew; its pages are whole."""
    code = [cell for page in pages(folder) for cell in page.cells if cell.cell_type == "code" and cell.source]
    assert code and all(cell.execution_count for cell in code)
    found = results(folder)
    shutil.rmtree(folder / "book/executed")
    return found


def same_bytes_after_kills(quiet, killed, times, seed):
    """Compare a build that is killed with one that is not."""
    begin = time.monotonic()
    code, said = finish(build(quiet, PAGES))
    assert code == 0, said
    seconds, expected = time.monotonic() - begin, take(quiet)
    assert expected
    found = workflow.kill_at_random(lambda: build(killed, PAGES), lambda: take(killed), seconds, times, seed)
    assert all(left == expected for left in found)


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_build_that_is_killed_ends_with_the_same_bytes(tmp_path, times):
    same_bytes_after_kills(checkout(tmp_path / "quiet"), checkout(tmp_path / "killed's é"), times, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_build_of_real_chapters_survives_many_kills(tmp_path, seed):
    folders = [workflow.checkout(tmp_path / name) for name in ("quiet", "killed")]
    same_bytes_after_kills(*folders, KILLS, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_a_sweep_of_real_chapters_survives_many_kills(tmp_path, seed):
    grid = {"notebook": "03_granger_pruning", "dataset": "iris3f", "seeds": [[0, 1]], "alpha": [0.05, 0.1, 0.2, 0.4]}
    quiet, killed = (workflow.checkout(tmp_path / name, sweep=grid) for name in ("quiet", "killed"))

    def take(folder):
        found = {name: (folder / "_build/sweep" / name).read_bytes() for name in workflow.TABLES}
        shutil.rmtree(folder / "_build/sweep")
        return found

    begin = time.monotonic()
    code, said = finish(workflow.start(quiet, "sweep_table"))
    assert code == 0, said
    seconds, expected = time.monotonic() - begin, take(quiet)
    begin = lambda: workflow.start(killed, "sweep_table")
    assert all(left == expected for left in workflow.kill_at_random(begin, lambda: take(killed), seconds, KILLS, 2))


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def test_a_second_build_is_refused_until_the_first_has_ended_however_it_does(tmp_path):
    folder = checkout(tmp_path)
    hold = "import sys; sys.path.insert(0, 'book/build'); import jobs; jobs.alone(sys.argv[1]); print(1, flush=True)"
    first = subprocess.Popen(
        [sys.executable, "-c", f"{hold}; input()", f"{EXECUTED}/lock"], cwd=folder, stdin=-1, stdout=-1
    )
    first.stdout.readline()
    code, said = finish(build(folder, PAGES[:1]))
    assert code != 0 and f"process {first.pid} is at work here" in said
    first.kill()
    first.communicate()
    subprocess.run([sys.executable, "-c", hold, f"{EXECUTED}/lock"], cwd=folder, check=True)


WARM = f"import subprocess, sys; sys.path.insert(0, {str(ROOT / 'book/build')!r}); import warm\n"
START = "warm.start('warm', 'warm.log')\n"


@pytest.mark.parametrize("start", ["", START], ids=["cold", "warm"])
def test_a_page_ends_with_the_process_that_started_it(tmp_path, start):
    waits = "import os, time\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    nbformat.write(workflow.chapter(PARAMETERS, waits), tmp_path / "page.ipynb")
    command = [sys.executable, str(ROOT / "book/build/page_job.py"), "page.ipynb", "{}", "out/page.ipynb", "log"]
    parent = subprocess.Popen([sys.executable, "-c", f"{WARM}{start}subprocess.run({command})"], cwd=tmp_path)
    until((tmp_path / "pid").exists)
    started = workflow.family(parent)
    assert len(started) == (5 if start else 3)  # with the job and its kernel; or what is warm, its two forks, the job
    parent.kill()
    parent.wait()
    until(lambda: not any(one.is_running() and one.status() != "zombie" for one in started), 10)
    assert not (tmp_path / "out").exists()


LOOKS = """import os, sys
print(os.getpid(), "torch" in sys.modules, hasattr(sys, "{name}"), "book/build" in " ".join(sys.path))
sys.{name} = sys.{other} = 1
import numpy
print(numpy.random.random(), os.environ["MKL_CBWR"])
"""


def test_pages_of_a_build_start_warm_and_share_nothing(tmp_path):
    names = dict(zip(PAGES, reversed(PAGES)))
    looks = {n: workflow.chapter(PARAMETERS, LOOKS.format(name=f"_{n}", other=f"_{o}")) for n, o in names.items()}
    folder = workflow.checkout(tmp_path, looks, {"notebook": PAGES[1], "dataset": "iris"})
    code, said = finish(build(folder, PAGES))
    assert code == 0, said
    assert "0 of 2 pages, about" in said
    outputs = [page.cells[-1].outputs[0].text.split() for page in pages(folder)]
    assert {(warm, leaked, builds, bits) for _, warm, leaked, builds, _, bits in outputs} == {
        ("True", "False", "False", "COMPATIBLE")
    }
    assert len({pid for pid, *_ in outputs}) == len({draw for *_, draw, _ in outputs}) == 2
    assert not (folder / EXECUTED / "log/warm.log").read_text()
    about = [page.metadata.papermill for page in pages(folder)]
    assert all(0 < took.processor_seconds < 60 and took.duration > 0 and "input_path" not in took for took in about)


def test_a_build_goes_on_without_what_starts_warm(tmp_path):
    folder = checkout(tmp_path)
    process = build(folder, PAGES)

    def warm():
        return [one for one in workflow.family(process) if one.is_running() and "warm.py" in "".join(one.cmdline())]

    until(warm)
    workflow.kill(warm())
    code, said = finish(process)
    assert code == 0, said
    assert len(pages(folder)) == 2


def test_what_starts_warm_has_one_thread_and_leaves_warnings_and_logs_alone():
    look = """import logging, os, warnings; import matplotlib, sklearn, statsmodels.api, torch, urllib3
before = warnings.filters[:], logging.root.level, logging.root.handlers[:], dict(matplotlib.rcParams)
warm.load()
after = warnings.filters[:], logging.root.level, logging.root.handlers[:], dict(matplotlib.rcParams)
general = lambda found: [entry for entry in found if entry[2] is Warning and not entry[1] and not entry[3]]
print(general(after[0]) == general(before[0]), before[1:3] == after[1:3], before[3] == after[3])
print(len(os.listdir("/proc/self/task")), "matplotlib_inline.backend_inline" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", WARM + look], cwd=ROOT, capture_output=True, text=True,
                         env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"})  # fmt: skip
    assert run.stdout == "True True True\n1 False\n", run.stdout + run.stderr


# A kernel of the name that pages ask for, as another environment's `ipython kernel install --user` leaves it
ALIEN = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}


def test_a_page_runs_in_our_python_whatever_the_home_says_and_may_be(tmp_path):
    """Another's kernels, settings of matplotlib and IPython, and a home that is read-only for all but the superuser."""
    home = tmp_path / "home"
    for folder in (".local/share/jupyter", "more"):
        (home / folder / "kernels/python3").mkdir(parents=True)
        (home / folder / "kernels/python3/kernel.json").write_text(json.dumps(ALIEN))
    startup = home / ".ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("raise SystemExit('not yours')\n")
    (home / ".config/matplotlib").mkdir(parents=True)
    (home / ".config/matplotlib/matplotlibrc").write_text("figure.dpi: 1234\n")
    for path in [home, *home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    source, page = tmp_path / "page.ipynb", tmp_path / "out/page.ipynb"
    work = "import sys\nimport matplotlib.pyplot as plt\nprint(sys.executable, plt.rcParams['figure.dpi'])"
    nbformat.write(workflow.chapter(PARAMETERS, work), source)
    command = [sys.executable, ROOT / "book/build/page_job.py", source, "{}", page, tmp_path / "log"]
    plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    mine = {"HOME": str(home), "JUPYTER_PATH": str(home / "more"), "JUPYTER_PREFER_ENV_PATH": "0"}
    subprocess.run([*plain, *command], cwd=tmp_path, env=os.environ | mine, check=True)
    outputs = [output for cell in nbformat.read(page, as_version=4).cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs] == [f"{sys.executable} 100.0\n"]  # matplotlib's own, and no warning


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by the superuser only")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_leaves_nothing_that_passes_for_a_result(tmp_path, small_disk):
    work = WORK.replace("100_000", "{lines}") + "print('x' * {letters})\n"
    values = json.dumps({"out_dir": str(small_disk / "results")})
    command = [sys.executable, ROOT / "book/build/page_job.py", "page.ipynb", values, small_disk / "page.ipynb", "log"]

    def run(lines, letters):
        cells = work.format(lines=lines, letters=letters, name=PAGES[0])
        nbformat.write(workflow.chapter(PARAMETERS, cells), tmp_path / "page.ipynb")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        found = sorted(str(path.relative_to(small_disk)) for path in small_disk.rglob("*") if path.is_file())
        return done.returncode, done.stderr, found

    tables = [f"results/{PAGES[0]}/{name}.csv" for name in "ab"]
    code, said, found = run(40_000, 1)  # the second table has no room
    assert code == 1 and "No space left on device" in said and found == tables[:1]
    code, said, found = run(10_000, 400_000)  # the page has none
    assert code == 1 and "No space left on device" in said and found == tables
    code, said, found = run(10_000, 1)
    assert code == 0 and found == ["page.ipynb", *tables], said


def test_what_fails_is_shown_even_where_the_log_has_no_room(tmp_path, small_disk):
    (small_disk / "log").touch()
    (small_disk / "fill").write_bytes(bytes(400_000 - 8192))
    with contextlib.suppress(OSError), (small_disk / "more").open("wb", buffering=0) as rest:
        while rest.write(bytes(512)):
            pass
    fails = f"import sys; sys.path.insert(0, {str(ROOT / 'book/build')!r}); import jobs\n"
    fails += "with jobs.logged(sys.argv[1]):\n raise ValueError('the reason')"
    for log in (tmp_path / "log", small_disk / "log"):
        run = subprocess.run([sys.executable, "-c", fails, log], capture_output=True, text=True)
        assert run.returncode == 1 and run.stderr.endswith("ValueError: the reason\n") and not run.stdout
    assert (tmp_path / "log").read_text() == run.stderr and not (small_disk / "log").read_text()


def test_pages_that_were_not_rendered_to_the_end_are_rendered_anew(tmp_path, monkeypatch):
    html, fail = tmp_path / "_build/html", []

    def jupyter_book(source, folder, *options):
        html.mkdir(exist_ok=True)
        if not (html / "page.html").exists():  # as Sphinx: what is there is taken for finished
            (html / "page.html").write_text("<p>" if fail else "<p>whole</p>")
        if fail:
            raise subprocess.CalledProcessError(1, "jupyter-book")

    monkeypatch.setattr(html_job, "jupyter_book", jupyter_book)
    monkeypatch.setattr(html_job.stage, "main", lambda *arguments: None)
    fail.append("killed")
    with pytest.raises(subprocess.CalledProcessError):
        html_job.render("tiny", tmp_path, ["iris"])
    fail.clear()
    html_job.render("tiny", tmp_path, ["iris"])
    assert (html / "page.html").read_text() == "<p>whole</p>"
    before = (html / "page.html").stat().st_ino
    html_job.render("tiny", tmp_path, ["iris"])
    assert (html / "page.html").stat().st_ino == before and not (html.parent / "unfinished").exists()


def test_a_path_that_slurm_cannot_take_is_refused(tmp_path, monkeypatch):
    for name in ("a b", "it's", "x;y", "$x"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with pytest.raises(RuntimeError, match="cannot be in the path of what runs through Slurm"):
            jobs.need_plain_paths()
        script = subprocess.run(["bash", ROOT / "tests/cluster/with_slurm.sh", "true"], capture_output=True, text=True)
        assert script.returncode == 1 and "move the checkout" in script.stderr
    (tmp_path / "plain-é_1.0").mkdir()
    monkeypatch.chdir(tmp_path / "plain-é_1.0")
    jobs.need_plain_paths()
