"""The rendered book in a browser, and the results behind it, against the reference and a second run."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import nbformat
import pandas as pd
import papermill
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from nbval.plugin import IPyNbFile, coalesce_streams
from playwright.sync_api import sync_playwright

from study import choices, claims, evidence, explore, portable, results

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import archive  # noqa: E402
import stage  # noqa: E402
import validate  # noqa: E402
import verify  # noqa: E402

HTML = ROOT / "_build/quick/_build/html"
RESULTS = ROOT / "book/executed/quick/results"
REFERENCE = Path(__file__).parent / "reference"  # RESULTS of a run that was read and found good: make reference
REFERENCES = sorted(REFERENCE.rglob("*.csv"))
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))

pytestmark = pytest.mark.whole


def build():
    return subprocess.run(
        ["make", "--no-print-directory", "book", "PROFILE=quick"], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def toc():
    """Every page that the built book's table of contents names. Builds the quick profile first."""
    made = build()
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    assert made.stdout.strip().endswith(str(HTML / "index.html"))
    contents = yaml.safe_load((HTML.parent / "stage/_toc.yml").read_text())
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    sections = [section["file"] for chapter in chapters for section in chapter.get("sections", [])]
    return [contents["root"], *(chapter["file"] for chapter in chapters), *sections]


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


# What a reader could see of an element if every collapsed part were open
TEXT = """selector => [...document.querySelectorAll(selector)].map(element => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("script, style").forEach(part => part.remove());
    return copy.textContent;
}).join("\\n")"""
WARNING = re.compile(r"Warning:|(?:Runtime|Future|Deprecation|User|Pandas\d*)Warning")
MACHINE = [str(ROOT), *(f"{folder}/" for folder in (Path.home(), "/tmp") if folder != Path("/")), "site-packages"]


def complaints(page):
    """Lines of an open page that show a warning in an output, or anywhere a path of the machine that built it."""
    found = [line for line in page.evaluate(TEXT, "article .cell_output").splitlines() if WARNING.search(line)]
    shown = page.evaluate(TEXT, "article").splitlines()
    return found + [line for line in shown if any(path in line for path in MACHINE)]


def barriers(page, scheme):
    """What axe-core finds serious on an open page: list of str."""
    page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
    # colours fade from one theme to the other: a contrast taken on the way is none that anybody reads by
    page.evaluate("Promise.all(document.getAnimations().map(animation => animation.finished))")
    ran = Axe().run(page, options={"preload": False})  # or it asks for style sheets, which a page of a file may not
    found = [v for v in ran.response["violations"] if v["impact"] in ("serious", "critical")]
    return [f"{violation['id']}: {violation['nodes'][0]['html'][:200]}" for violation in found]


SEEN = """() => ({
    headings: [...document.querySelectorAll('article h1')].map(h => h.innerText),
    title: document.title,
    text: document.querySelector('main').innerText,
    broken: [...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src),
    bare: [...document.images].filter(i => !i.alt || i.alt.endsWith('.png')).map(i => i.src),
    unset: [...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container')).length,
    links: [...document.querySelectorAll('article a[href]')].map(a => a.href),
    figures: [...document.querySelectorAll('article figure')].map(f => ({id: f.id, links: Object.fromEntries(
        [...f.querySelectorAll('.legend a')].map(a => [a.innerText, a.href]))})),
})"""


@pytest.fixture(scope="module")
def seen(toc, browser):
    """What there is to see on every page, each opened once, in the light theme: dict from its name to a dict."""
    page, said, found = browser.new_page(color_scheme="light"), [], {}
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else said.append(r.url))
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    for name in toc:
        page.goto((HTML / f"{name}.html").as_uri())
        page.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise)")
        page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => 1) : 1")
        page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        page.wait_for_load_state("load")
        found[name] = page.evaluate(SEEN) | {"complaints": complaints(page), "said": said[:]}
        found[name]["barriers"] = barriers(page, "light")
        said.clear()
    page.close()
    return found


def test_every_chapter_has_a_page_for_every_data_set_or_network(toc):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    quick = config["profiles"]["quick"]
    wanted = {
        f"{n}/{d}"
        for n, notebook in config["notebooks"].items()
        for kind in notebook["data"]
        for d in quick[kind]
        if d in quick["only"].get(n, quick[kind])
    }
    assert wanted | {f"{n}/index" for n in config["notebooks"]} == {name for name in toc if "/" in name}
    assert set(yaml.safe_load((ROOT / "_toc.yml").read_text())["root"].split()) <= set(toc)


def test_a_chapter_opens_with_a_page_on_all_its_data_sets(toc, browser):
    page = browser.new_page()
    for name in (name for name in toc if name.endswith("/index")):
        page.goto((HTML / f"{name}.html").as_uri())
        own = [other.split("/")[1] for other in toc if other.startswith(name.removesuffix("index")) and other != name]
        text = page.locator("article").inner_text()
        assert own and all(stage.title(one) in text for one in own), name
        assert page.locator("article figure img[alt]").count() == 1, name
        heads = page.locator("article table th a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert heads == [f"{one}.html" for one in own], name
        assert page.locator("article table tbody tr").count() >= 1, name


def test_titles_do_not_repeat_the_data_set_in_brackets(seen):
    for name, page in seen.items():
        heading = page["headings"][0].strip(" #\n")
        if "/" in name and not name.endswith("/index"):
            assert heading == stage.title(name.split("/")[1]), name
        for title in (heading, page["title"].partition(" — ")[0]):
            assert not title.endswith(")"), f"{name}: {title}"


def test_every_page_loads_clean_and_alone(seen):
    for name, page in seen.items():
        assert len(page["headings"]) == 1, name
        assert page["broken"] == [], name
        assert page["bare"] == [], f"{name}: images without alternative text"
        assert page["unset"] == 0, f"{name}: mathematics not typeset"
        assert "{glue" not in page["text"], f"{name}: a number is missing"
        assert page["said"] == [], f"{name}: asked for outside, or said on the console"


def test_a_warning_and_a_path_of_this_machine_are_found(browser):
    page = browser.new_page()
    output = "<details><div class='cell_output'><pre>{}</pre></div></details>"
    for line, count in {
        "x.py:3: RuntimeWarning: Mean of empty slice": 1, f"saved {ROOT}/results": 1, "in /tmp/ipykernel_1/2.py": 1,
        "<script>'Warning: /tmp/'</script>": 0, "book/executed/quick/results": 0,
    }.items():  # fmt: skip
        page.set_content(f"<article><h1>Title</h1>Warning: prose may say so.{output.format(line)}</article>")
        assert len(complaints(page)) == count, line


def test_no_page_shows_a_warning_or_a_path_of_this_machine(seen):
    found = [f"{name}: {line.strip()[:200]}" for name, page in seen.items() for line in page["complaints"]]
    assert not found, "\n".join(found)


def test_no_page_has_a_serious_barrier(seen):
    found = [f"{name}: {barrier}" for name, page in seen.items() for barrier in page["barriers"]]
    assert not found, "\n".join(found)


def test_no_kind_of_page_has_a_serious_barrier_in_the_dark(toc, browser):
    page = browser.new_page(color_scheme="dark")
    ends = "/index", "/cancer", "/mnist5k", "/resnet"
    found = []
    for name in (name for name in toc if "/" not in name or name.endswith(ends)):
        page.goto((HTML / f"{name}.html").as_uri())
        page.wait_for_load_state("load")
        found += [f"{name}: {barrier}" for barrier in barriers(page, "dark")]
    page.close()
    assert not found, "\n".join(found)


def test_search_finds_a_chapter(toc, browser):
    page = browser.new_page()
    page.goto((HTML / "search.html").as_uri() + "?q=Toda")
    page.wait_for_selector("#search-results li a")
    assert any("11_causality" in a.get_attribute("href") for a in page.locator("#search-results li a").all())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_chooses_by_keyboard_and_the_numbers_are_the_tables(toc, browser, scheme):
    table = pd.read_csv(choices.TABLE, dtype={"mask": str})
    page = browser.new_page(color_scheme=scheme)
    page.goto((HTML / "explore.html").as_uri())
    page.wait_for_function("document.querySelector('#chooser-says').textContent")
    chosen, seen = dict(explore.START), []
    moves = [(None, None), ("dataset", "iris"), ("window", 100), ("rule", "causal")]
    for name, level in moves:
        if name:
            chosen[name] = level
            page.locator(f"select[name=pick_{name}]").focus()
            steps = choices.GRID[name].index(level) - choices.GRID[name].index(explore.START[name])
            for _ in range(abs(steps)):
                page.keyboard.press("ArrowDown" if steps > 0 else "ArrowUp")
        row = table[(table[list(chosen)] == pd.Series(chosen)).all(axis=1)].iloc[0]
        effect = f"{100 * row.effect:.2f}".replace("-", "−")
        page.wait_for_function(
            "effect => document.querySelector('#chooser-says').textContent.includes(effect)", arg=effect
        )
        said = page.locator("#chooser-says").inner_text()
        assert f"random {effect} points" in said and row.outcome in said and f"{100 * row.accuracy:.1f} %" in said
        squares = page.locator("#chooser svg .mark-rect path[aria-label*='state: kept']")
        assert squares.count() == row["mask"].count("1")
        seen.append(said)
    assert len(set(seen)) == len(moves)
    page.close()


def test_explore_has_its_figure_without_javascript(toc, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((HTML / "explore.html").as_uri())
    assert page.locator("noscript").inner_text() and page.locator("article figure img[alt]").count() == 1
    context.close()


def shell(command, folder):
    """Run a command of the book as a reader would, in a folder that has the project's notebooks and packages."""
    for name in (".venv", "notebooks"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)


def local(address):
    """The file of the book that an address leads to."""
    return Path(unquote(address.removeprefix("file://").partition("#")[0]))


def test_every_figure_carries_its_data(seen):
    """The marks that it shows, the rows behind them, the cell that drew it, and where all that came from."""
    count = 0
    for name, page in seen.items():
        for figure in page["figures"]:
            links, at, count = figure["links"], f"{name}: {figure['id']}", count + 1
            rows = pd.read_csv(local(links["what is drawn"]))
            assert len(rows) > 1 and {"mark", "x", "y"} <= set(rows.columns), at
            origin = json.loads(local(links["provenance"]).read_text())
            sources = origin.get("from", {}).values()
            assert re.match("[0-9a-f]{40}", origin["git_commit"]) and origin["seconds"] >= 0 and origin["parameters"], (
                at
            )
            if name.endswith("/index"):
                assert local(links["code"]).name == "chapters.py", at
                assert all(len(pd.read_csv(local(links[text]))) for text in links if text.startswith("rows on ")), at
                assert sources and all(source["parameters"]["seeds"] and source["git_commit"] for source in sources), at
                continue
            drew = unquote(links["cell"].partition("#")[2])
            assert f'id="{drew}"' in local(links["cell"]).read_text(), at
            cells = {cell.id: cell for cell in nbformat.read(local(links["notebook"]), as_version=4).cells}
            outputs = cells[drew.removeprefix("cell-")[:64]].outputs
            assert any("image/png" in output.get("data", {}) for output in outputs), at
            if "/" in name or name == "intro":
                of_page = next(text for text in links if text.startswith("rows of"))
                assert len(pd.read_csv(local(links[of_page]))) and origin["parameters"]["seeds"], at
            elif name == "verdict":
                assert sources and all(source["parameters"]["seeds"] for source in sources), at
    assert count > len(NOTEBOOKS)  # or no page had any


def test_what_is_drawn_is_what_was_measured(seen):
    """The dots of chapter 4's paired differences are those of the page's rows."""
    links = next(f["links"] for f in seen["04_ft_vs_pt/cancer"]["figures"] if f["id"] == "fig-paired-cancer")
    drawn, rows = (pd.read_csv(local(links[text])) for text in ("what is drawn", "rows of this page"))
    first = drawn[drawn.panel == drawn.panel[0]]
    dots = first[(first.mark == "points") & (first.x_name == "FT")].y
    accuracy = rows.set_index(["model", "seed"]).accuracy
    difference = accuracy["FT"] - accuracy["dense"]
    assert sorted(dots) == pytest.approx(sorted(difference), abs=1e-5)


def test_the_verdicts_as_data_are_valid_and_lead_to_pages_and_rows(seen):
    document, schema = (json.loads((HTML / name).read_text()) for name in ("claims.json", "claims.schema.json"))
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)
    assert {(HTML / name).as_uri() for name in ("claims.json", "claims.schema.json")} <= set(seen["claims"]["links"])
    checksums = {entry["name"]: entry["sha256"] for entry in document["datasets"]}
    for claim in document["claims"]:
        assert (HTML / claim["url"]).exists(), claim["key"]
        for finding in claim["findings"]:
            page, _, heading = finding["url"].partition("#")
            assert not heading or f'id="{heading}"' in (HTML / page).read_text(), finding["url"]
            assert claim["key"] in set(pd.read_csv(HTML / finding["rows"]).claim), finding["rows"]
            if finding["provenance"]:
                origin = json.loads((HTML / finding["provenance"]).read_text())
                assert origin["data_sha256"] == checksums[finding["dataset"]], finding["provenance"]
    shown = pd.read_csv(RESULTS / "claims/all-published.csv").set_index("key")
    assert {claim["key"]: claim["verdict"] for claim in document["claims"]} == shown.verdict.to_dict()


def test_a_readers_first_five_minutes(toc, browser, tmp_path):
    """Landing page, answer, a claim, its figure, its data, the command that computes it again, the same number."""
    page, claim = browser.new_page(), claims.get("performance")
    page.goto((HTML / "index.html").as_uri())
    page.wait_for_selector("article h1")
    page.locator("article a[href*='claims.html']").first.click()
    answer = page.locator("table.answers tr", has_text=claim.asks).inner_text()
    document = json.loads((HTML / page.locator("article a[href$='claims.json']").get_attribute("href")).read_text())
    entry = next(entry for entry in document["claims"] if entry["key"] == claim.key)
    assert entry["reviewRating"]["alternateName"] in answer
    page.locator(f"article a[title='{claim.tested}']").first.click()  # the claim leads to the page that tests it
    page.wait_for_selector("article h1")
    name = Path(local(page.url)).stem
    assert page.url.endswith(claim.chapter.partition("#")[2]) and local(page.url).parent.name == claim.notebook
    figure = page.locator(f"#fig-paired-{name}")
    assert figure.locator("img").is_visible()
    rows = local(figure.get_by_role("link", name="rows of this page").evaluate("a => a.href"))
    box = page.locator(".admonition", has_text="Compute this page yourself")
    commands = "".join(box.locator("pre").all_text_contents()).strip().splitlines()
    finding = next(f for f in entry["findings"] if (f["dataset"], f["protocol"]) == (name, claims.MAIN))
    wanted = [c for c in commands if f'"protocol": "{finding["computed_under"]}"' in c or '"published"' in c]
    assert len(wanted) == 2
    for command in wanted:
        ran = shell(command, tmp_path)
        assert ran.returncode == 0, ran.stderr[-2000:]
    again = tmp_path / "results"
    assert (again / claim.notebook / rows.name).read_bytes() == rows.read_bytes()
    evidence_again = again / Path(finding["rows"]).relative_to("_static/results")
    assert evidence_again.read_bytes() == (HTML / finding["rows"]).read_bytes()
    effect = evidence.read(evidence_again).query("claim == @claim.key and reading == 'effect'")
    effect = claim.decide(effect.set_index(["split", "seed"]).value)
    assert {key: effect[key] for key in ("effect", "low", "high", "outcome")} == {
        key: finding[key] for key in ("effect", "low", "high", "outcome")
    }


def test_a_newcomer_gets_from_the_landing_page_to_a_rerun_of_her_own(toc, browser, tmp_path):
    page = browser.new_page()
    page.goto((HTML / "index.html").as_uri())
    page.wait_for_selector("article h1")
    commands = "\n".join(page.locator("article .highlight pre").all_inner_texts())
    assert "make book" in commands
    landing = next(line for line in commands.splitlines() if "papermill" in line)
    page.locator("article a[href*='04_ft_vs_pt/']").first.click()
    page.locator("article a[href^='cancer.html']").first.click()
    page.wait_for_selector("article h1")
    box = page.locator(".admonition", has_text="Compute this page yourself")
    chapter = box.locator("pre").first.text_content().strip()
    mine = chapter.replace('"dataset": "cancer"', '"dataset": "iris3f"')
    assert mine != chapter
    for command, written in ((landing, "banknote"), (chapter, "cancer"), (mine, "iris3f")):
        ran = shell(command, tmp_path)
        assert ran.returncode == 0, ran.stderr[-2000:]
        assert (tmp_path / f"results/04_ft_vs_pt/{written}-published.csv").exists()
    again = (tmp_path / "results/04_ft_vs_pt/cancer-published.csv").read_text()
    assert again == (RESULTS / "04_ft_vs_pt/cancer-published.csv").read_text()


def test_the_executed_notebook_can_be_downloaded(toc, browser):
    page = browser.new_page()
    page.goto((HTML / "12_chance/cancer.html").as_uri())
    href = page.locator(".admonition a.download").first.get_attribute("href")
    executed = nbformat.read(HTML / "12_chance" / href, as_version=4)
    assert any(cell.get("outputs") for cell in executed.cells)


def test_binder_gets_the_same_packages_and_the_project():
    route = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert {"pip": ["-r requirements.txt"]} in route and "python=3.11" in route
    assert os.access(ROOT / "postBuild", os.X_OK) and "pip install --no-deps -e ." in (ROOT / "postBuild").read_text()


def test_equations_and_figures_are_numbered(toc, browser):
    page = browser.new_page()
    page.goto((HTML / "01_sdic/index.html").as_uri())
    assert "(1)" in page.locator(".eqno").first.inner_text()
    assert page.locator(".caption-number").first.inner_text().startswith("Fig. 2")  # the landing page has the first


@pytest.mark.parametrize("path", REFERENCES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_fresh_run_gives_the_reference_results(toc, path):
    if path.parent.name == "13_networks" and not portable.supported():
        pytest.skip("what torch trains ends elsewhere on this processor")
    kept, fresh = (pd.read_csv(root / path.relative_to(REFERENCE)) for root in (REFERENCE, RESULTS))
    verify.assert_near(kept, fresh, str(path.parent.relative_to(REFERENCE)))


def test_every_result_of_the_quick_profile_has_a_reference(toc):
    notebooks = yaml.safe_load((ROOT / "config.yaml").read_text())["notebooks"]
    fresh = {p.relative_to(RESULTS) for n in notebooks for p in RESULTS.rglob(f"{n}/*.csv")}  # evidence among them
    assert fresh and fresh == {p.relative_to(REFERENCE) for p in REFERENCES}


def own_page(notebook):
    """The page that a build executes with the parameters that a notebook has by itself, or none: path."""
    of = papermill.inspect_notebook(str(ROOT / f"notebooks/{notebook}.ipynb"))
    own = {name: ast.literal_eval(value["default"]) for name, value in of.items() if name != "out_dir"}
    for path in sorted((ROOT / f"book/executed/quick/{notebook}").glob("*.ipynb")):
        given = nbformat.read(path, as_version=4).metadata.papermill.parameters
        if own | given | {"out_dir": None} == own | {"out_dir": None}:
            return path


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_page_has_the_outputs_that_its_notebook_stores(toc, request, notebook):
    """Compared by nbval, which would execute every notebook once more: `make test` lets it do so with one."""
    page = nbformat.read(own_page(notebook), as_version=4)
    injected = "injected-parameters"
    executed = [c for c in page.cells if c.cell_type == "code" and injected not in c.metadata.tags]
    stored = IPyNbFile.from_parent(request.session, path=ROOT / f"notebooks/{notebook}.ipynb").collect()
    for cell, fresh in zip(stored, executed, strict=True):
        assert cell.cell.source == fresh.source
        same = cell.compare_outputs(coalesce_streams(fresh.outputs), coalesce_streams(cell.cell.outputs))
        assert same or not cell.options["check"], "\n".join(cell.comparison_traceback)


AGAIN = ["01_sdic/iris", "11_causality/cancer"]  # and 04_ft_vs_pt/cancer, by the newcomer above
AGAIN += [pytest.param(page, marks=pytest.mark.slow) for page in ("06_diagnostics/iris", "08_approximation/iris")]


@pytest.mark.parametrize("page", AGAIN)
def test_a_second_run_gives_the_same_bytes(toc, tmp_path, page):
    notebook, dataset = page.split("/")
    kept = RESULTS / notebook / f"{dataset}-published.csv"
    parameters = results.provenance(notebook, dataset, "published", RESULTS)["parameters"]
    given = {"dataset": dataset, "seeds": parameters["seeds"], "out_dir": str(tmp_path)}
    one_thread = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as in the Snakefile
    papermill = [sys.executable, "-m", "papermill", f"notebooks/{notebook}.ipynb", str(tmp_path / "out.ipynb")]
    subprocess.run([*papermill, "-y", json.dumps(given)], cwd=ROOT, env=one_thread, check=True, capture_output=True)
    assert (tmp_path / notebook / kept.name).read_bytes() == kept.read_bytes()


def test_the_book_as_one_archive_is_valid_and_its_page_comes_out_again(toc, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    path = archive.write("quick", tmp_path / "legcnet.zip")
    valid, text = validate.report(path)
    assert valid and text == (ROOT / "book/archive.txt").read_text(), text  # as the page shows
    verify.main(path, "04_ft_vs_pt/iris-published")
    assert "iris-published.csv: the same bytes" in capsys.readouterr().out


def test_every_link_inside_the_book_leads_somewhere(seen):
    anchors = {}

    def ids(file):
        if file not in anchors:
            anchors[file] = set(re.findall(r'\bid="([^"]+)"', file.read_text())) if file.suffix == ".html" else set()
        return anchors[file]

    for name, page in seen.items():
        for href in page["links"]:
            if href.startswith("file:"):
                target, _, anchor = unquote(href.removeprefix("file://")).partition("#")
                assert Path(target).exists(), f"{name}: {href}"
                assert not anchor or anchor in ids(Path(target)), f"{name}: {href}"


def test_a_second_build_executes_nothing(toc):
    pages = sorted((ROOT / "book/executed/quick").rglob("*.ipynb"))
    before = {p: p.stat().st_mtime_ns for p in [*pages, HTML / "index.html"]}
    for folder in ("legc_utils", "book/study", "notebooks"):
        for source in [*(ROOT / folder).glob("*.py"), *(ROOT / folder).glob("*.ipynb")]:
            if "njit" not in source.read_text():  # or numba would compile it again
                source.touch()  # a new time stamp is not a new content
    assert build().returncode == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
