"""Tidy results on disk, each with its provenance, written so that half a file is never taken for a result."""

import json
import os
import subprocess
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import scipy  # its parts when they are used: stats takes a second to import

from study import texts

_started = [time.monotonic()]
os.register_at_fork(after_in_child=lambda: _started.append(time.monotonic()))  # a page that starts warm
_ROOT = Path(__file__).parents[2]
PACKAGES = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "numba",
    "torch",
    "shap",
    "weightwatcher",
    "codecarbon",
)


def _git(*arguments):
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook, say
    said = subprocess.run(["git", "-C", str(_ROOT), *arguments], env=own, capture_output=True, check=True).stdout
    return said.decode(errors="replace").strip()


def git_commit():
    """The commit of this checkout, with "+" if files differ from it; None outside a checkout, or inside another's."""
    try:
        if _git("rev-parse", "--show-prefix"):  # the way down to here from the top of the checkout
            return None
        return _git("rev-parse", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def last_change(path, pattern):
    """The abbreviated commit that last changed lines of a file that match a pattern; None outside a checkout."""
    try:
        return _git("log", "-1", "--format=%h", "-G", pattern, "--", path) or None
    except (OSError, subprocess.CalledProcessError):
        return None


def write(path, text):
    """Write a text so that a reader sees all of it or nothing."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:  # of a full disk, say
        partial.unlink(missing_ok=True)


def _path(out_dir, notebook, dataset, protocol):
    return Path(out_dir) / notebook / f"{dataset}-{protocol}.csv"


def save(frame, notebook, dataset, protocol, out_dir, data=None, **parameters):
    """Write one notebook's tidy rows as CSV, and beside them a JSON file that says where they came from.

    Parameters
    ----------
    frame : DataFrame
        One row an observation. The same input gives the same file, byte for byte.
    notebook, dataset, protocol : str
        Name the file: out_dir/notebook/dataset-protocol.csv; "all" for a table over data sets.
        A later run with these three replaces it, so
        give every other set of parameters an out_dir of its own.
    data : str, optional
        The data set behind the rows, where `dataset` is the name of a network that learnt it.
    **parameters
        Everything else that was set, seeds included; kept in the provenance.

    Returns
    -------
    pathlib.Path of the CSV file
    """
    path = _path(out_dir, notebook, dataset, protocol)
    path.parent.mkdir(parents=True, exist_ok=True)
    provenance = {
        "notebook": notebook,
        "dataset": dataset,
        "protocol": protocol,
        "parameters": parameters,
        "data": data or dataset,
        "data_sha256": None if dataset == "all" else texts.checksum(data or dataset),
        "git_commit": git_commit(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "seconds": round(time.monotonic() - _started[-1], 1),
    }
    write(path.with_suffix(".json"), json.dumps(provenance, indent=1, default=_plain) + "\n")
    write(path, frame.to_csv(index=False))
    return path


def _plain(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def load(notebook, dataset=None, protocol=None, out_dir="results"):
    """All saved rows of a notebook, with columns dataset and protocol in front.

    Raises FileNotFoundError, naming the folder, if nothing fits.
    """
    paths = sorted(Path(out_dir, notebook).glob(f"{dataset or '*'}-{protocol or '*'}.csv"))
    if not paths:
        raise FileNotFoundError(
            f"no results of {notebook} for {dataset or 'any data set'} in {Path(out_dir).resolve()}"
        )
    frames = []
    for path in paths:
        frame = pd.read_csv(path)
        for column, value in zip(("protocol", "dataset"), reversed(path.stem.rsplit("-", 1))):
            if column not in frame:
                frame.insert(0, column, value)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def provenance(notebook, dataset, protocol, out_dir="results"):
    """The provenance that `save` wrote, as a dict."""
    return json.loads(_path(out_dir, notebook, dataset, protocol).with_suffix(".json").read_text())


def publish(facts):
    """Glue the numbers that a page's prose quotes, by name, so that none is typed in.

    facts : dict of str, bool, int or float; numbers keep six significant digits, which is more than prose shows.
    """
    from myst_nb import glue  # only the book needs it, so that the package works without

    for name, value in facts.items():
        glue(name, value if isinstance(value, str) else float(f"{value:.6g}"), display=False)


def share_beaten(own, others):
    """Share of `others` that `own` is larger than; ties count half. One half is what chance gives."""
    others = np.asarray(others)
    return ((others < own).mean() + (others <= own).mean()) / 2


def interval(values, level=0.95):
    """Mean and its t interval: (mean, low, high). The bounds are NaN for fewer than two values.

    NaN values are left out.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return (values.mean() if len(values) else np.nan), np.nan, np.nan
    half = scipy.stats.t.ppf((1 + level) / 2, len(values) - 1) * scipy.stats.sem(values)
    return values.mean(), values.mean() - half, values.mean() + half


def intervals(groups):
    """`interval` of each group of a grouped Series: DataFrame with mean, low and high, one row a group."""
    return pd.DataFrame({name: interval(values) for name, values in groups}, ["mean", "low", "high"]).T


def interval_text(values, decimals=2, scale=1.0):
    """`interval` as prose quotes it: "1.20 (95 % interval −0.31 to 2.71)".

    values : float (n,), NaN left out; each number is multiplied by `scale` and shown with so many decimals. With fewer
    than two values there is no interval: "1.20 (one value, no interval)", or "not defined" without any.
    """
    mean, low, high = (f"{scale * bound:.{decimals}f}".replace("-", "−") for bound in interval(values))
    if mean == "nan":
        return "not defined"
    return f"{mean} (95 % interval {low} to {high})" if low != "nan" else f"{mean} (one value, no interval)"
