"""Check an archive of the book: python book/build/verify.py ARCHIVE.zip NOTEBOOK/NAME-PROTOCOL

First the files: each must have the checksum that the crate gives it, and none may be missing or added. Then one page is
computed again by this checkout, from the archive's notebook and parameters, and its tables must be the archive's.
"""

import json
import sys
import tempfile
import zipfile
import zlib
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import jobs
import pandas as pd
import papermill

METADATA = "ro-crate-metadata.json"
# How near a fresh run must come, by folder: (tolerance, relative and absolute; columns, None for all). What is trained
# gives the same bits on every x86-64 with AVX2 (`portable`); what is left is the last digits of linear algebra
NEAR = {
    "default": (1e-6, None),
    # maps followed where they are chaotic: every last digit grows, so only what averages over many windows is compared
    "10_chaos": (0.05, ["kind", "name", "seed", "setting", "at", "truth", "rate", "positive", "value"]),
    "evidence/10_chaos": (0.05, ["claim", "dataset", "protocol", "split", "seed"]),
}


def assert_near(kept, fresh, folder):
    """Compare the tables of two runs, kept in a folder of the results; AssertionError says where they differ."""
    tolerance, columns = NEAR.get(folder, NEAR["default"])
    columns = columns or list(kept.columns)
    assert len(kept) == len(fresh) and list(kept.columns) == list(fresh.columns), "other rows or columns"
    pd.testing.assert_frame_equal(fresh[columns], kept[columns], rtol=tolerance, atol=tolerance, check_dtype=False)


def opened(path):
    """An archive: zipfile.ZipFile. Raises ValueError, naming the file, for all that is not an RO-Crate in a zip."""
    try:
        archive = zipfile.ZipFile(path)
        archive.getinfo(METADATA)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"ARCHIVE={path} cannot be read as a zip file: {error}") from None
    except KeyError:
        raise ValueError(f"ARCHIVE={path} is not an RO-Crate: it has no {METADATA}") from None
    return archive


def checksum(archive, name):
    """SHA-256 of a file in an archive, None where the zip file is damaged there."""
    try:
        return sha256(archive.read(name)).hexdigest()
    except (zipfile.BadZipFile, zlib.error):
        return None


def check_files(archive):
    """The number of files, all as the crate has them: int. Raises ValueError, naming those that are not."""
    try:
        entities = json.loads(archive.read(METADATA))["@graph"]
        told = {unquote(entity["@id"]): entity["sha256"] for entity in entities if "File" in entity["@type"]}
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        raise ValueError(f"{METADATA} does not give each file a SHA-256, as an archive of this book does") from None
    there = set(archive.namelist()) - {METADATA}
    changed = [name for name in there & told.keys() if checksum(archive, name) != told[name]]
    wrong = {"changed": changed, "missing": told.keys() - there, "not of the crate": there - told.keys()}
    if any(wrong.values()):
        raise ValueError("; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in wrong.items() if names))
    return len(told)


def recompute(archive, chapter, folder):
    """Compute a page of an archive again in a folder, and compare its tables: list of str, what was found of each.

    chapter : str, as in 04_ft_vs_pt/iris-published

    Raises ValueError if the archive has no such page, or a table differs by more than `NEAR` allows.
    """
    names = archive.namelist()
    pages = {"/".join(name.split("/")[3:]): name for name in names if name.startswith("book/executed/")}
    pages = {page.removesuffix(".ipynb"): name for page, name in pages.items() if page.count("/") == 1}
    if chapter not in pages:
        raise ValueError(f"CHAPTER={chapter} is not in this archive; it has {', '.join(sorted(pages)) or 'no page'}")
    notebook, name = chapter.split("/")
    source = Path(folder, f"{notebook}.ipynb")
    source.write_bytes(archive.read(f"notebooks/{source.name}"))
    parameters = json.loads(archive.read(pages[chapter]))["metadata"]["papermill"]["parameters"]
    parameters |= {"out_dir": str(Path(folder, "results"))}
    papermill.execute_notebook(source, Path(folder, "page.ipynb"), parameters, progress_bar=False)
    found = []
    for part in (notebook, f"evidence/{notebook}"):
        table = f"{part}/{name}.csv"
        kept = pages[chapter].replace(f"{chapter}.ipynb", f"results/{table}")
        if kept not in names:
            continue
        kept, fresh = archive.read(kept), Path(folder, "results", table).read_bytes()
        try:
            assert_near(pd.read_csv(BytesIO(kept)), pd.read_csv(BytesIO(fresh)), part)
        except AssertionError as error:
            raise ValueError(f"{table}, computed again, is not the archive's: {error}") from None
        found.append(f"{table}: {'the same bytes' if kept == fresh else 'the same to the last digits'}")
    if not found:
        raise ValueError(f"the archive has no table of CHAPTER={chapter}")
    return found


def main(path, chapter):
    """Check an archive and say what was found."""
    with opened(path) as archive, tempfile.TemporaryDirectory() as folder:
        print(f"SHA-256 {sha256(Path(path).read_bytes()).hexdigest()}")
        print(f"{check_files(archive)} files have the checksums that the crate gives them")
        print(*recompute(archive, chapter, folder), sep="\n")


if __name__ == "__main__":
    jobs.settle()
    try:
        main(*sys.argv[1:])
    except ValueError as error:
        sys.exit(f"not verified: {error}")
