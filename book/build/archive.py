"""Write one RO-Crate of a built book: python book/build/archive.py PROFILE ARCHIVE.zip

It has the results, the executed notebooks and all that computes them: workflow, notebooks, packages, lock, and the data
that may be shipped; of all data it has the checksums. Paths are those of a checkout. A `CreateAction` for each page
says which notebook made which tables from which data. The same files give the same bytes.
"""

import json
import sys
import tomllib
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import yaml
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from legc_utils import datasets

# What a book is made from, by glob
SOURCES = (
    "CITATION.cff", "LICENSE", "Makefile", "README.md", "Snakefile", "codemeta.json", "environment.yml", "postBuild",
    "pyproject.toml", "requirements*.txt", "*.smk", "*.yml", "config.yaml", "profiles/*/*.yaml", "legc_utils/*.py",
    "legc_utils/data/*.*", "notebooks/*.py", "notebooks/*.ipynb", "book/*.*", "book/_static/*.*", "book/build/*.*",
    "book/study/*.*", "benchmarks/*.py", "benchmarks/results/**/*.*",
)  # fmt: skip
FORMATS = {
    ".cff": "application/yaml", ".csv": "text/csv", ".ipynb": "application/x-ipynb+json", ".json": "application/json",
    ".md": "text/markdown", ".png": "image/png", ".py": "text/x-python", ".svg": "image/svg+xml",
    ".toml": "application/toml", ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip
LICENCES = {"MIT": "https://spdx.org/licenses/MIT"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows


def executed(profile):
    """Where a build of a profile has its pages: path."""
    return Path("book/executed", profile)


def contents(profile):
    """The files of an archive: sorted paths. Raises FileNotFoundError, naming the command, if the book is not built."""
    pages = [path for path in executed(profile).glob("**/*.*") if path.suffix in (".ipynb", ".csv", ".json", ".svg")]
    if not any(path.suffix == ".ipynb" for path in pages):
        raise FileNotFoundError(f"{executed(profile)} has no page: make book PROFILE={profile}")
    return sorted({path for pattern in SOURCES for path in Path().glob(pattern) if path.is_file()} | {*pages})


def describe(crate, profile):
    """Say of a crate what it is, who made it and under which licence: all from CITATION.cff and pyproject.toml."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    crate.name = f"{cited['title']} ({profile} profile)"
    crate.description = f"{project['description']}: results, executed notebooks and what computes them"
    crate.datePublished = str(cited["date-released"])
    crate.root_dataset["version"] = project["version"]
    crate.license = entity(crate, LICENCES[cited["license"]], "CreativeWork", name=cited["license"])
    crate.root_dataset["author"] = [
        entity(crate, f"#author-{number}", "Organization", **author) for number, author in enumerate(cited["authors"])
    ]


def entity(crate, identifier, kind, **properties):
    """An entity of a crate that is no file, made once: ContextEntity."""
    known = {"@type": kind} | {name: value for name, value in properties.items() if value}
    return crate.dereference(identifier) or crate.add(ContextEntity(crate, identifier, properties=known))


def data(crate, name, checksum):
    """The entity of a data set or text, with the checksum by which its results know it."""
    rows = datasets.SOURCES[datasets.SOURCES.dataset == name]
    told = {"citation": "citation", "license": "licence", "url": "url"}
    told = {term: [text for text in rows[column].unique() if text] for term, column in told.items()}
    return entity(crate, f"#data-{name}", "CreativeWork", name=name, sha256=checksum, **told)


def add_run(crate, page, results):
    """Say which notebook made a page and its tables, from which data and when."""
    notebook, name = page.parent.name, page.stem
    tables = [results / part / f"{name}.csv" for part in (notebook, f"evidence/{notebook}")]
    provenance = json.loads(tables[0].with_suffix(".json").read_text(encoding="utf-8"))
    ended = nbformat.read(page, as_version=4).metadata.papermill.end_time
    crate.add_action(
        crate.dereference(f"notebooks/{notebook}.ipynb"),
        identifier=f"#run-{notebook}-{name}",
        object=data(crate, provenance["data"], provenance["data_sha256"]),
        result=[crate.dereference(path.as_posix()) for path in (page, *tables) if path.exists()],
        properties={"name": f"{notebook}: {name}", "endTime": ended},
    )


def crate_of(profile):
    """The crate of a built profile: ROCrate, with a SHA-256 for each file. Errors as `contents`."""
    crate = ROCrate()
    describe(crate, profile)
    for path in contents(profile):
        content = path.read_bytes()
        about = {"name": path.as_posix(), "contentSize": str(len(content)), "sha256": sha256(content).hexdigest()}
        about["encodingFormat"] = FORMATS.get(path.suffix, "text/plain")
        if path.name == "Snakefile":
            crate.add_workflow(
                path, path, main=True, lang="snakemake", lang_version=version("snakemake"), properties=about
            )
        else:
            crate.add_file(path, path, properties=about)
    results = executed(profile) / "results"
    for page in sorted(executed(profile).glob("*/*.ipynb")):
        if (results / page.parent.name / f"{page.stem}.json").exists():
            add_run(crate, page, results)
    return crate


def write(profile, path):
    """Write the archive of a built profile: pathlib.Path. Errors as `contents`."""
    crate = crate_of(profile)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        crate.write(folder)
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


if __name__ == "__main__":
    try:
        print(write(*sys.argv[1:]).absolute())
    except FileNotFoundError as error:
        sys.exit(str(error))
