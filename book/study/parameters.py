"""A notebook's parameters, checked before any work is done."""

import inspect
import tempfile
from ast import literal_eval
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import NamedTuple

from legc_utils import protocols
from study import portable, texts


class Network(NamedTuple):
    """A network that the paper leaves to future work: its name on pages, and the data it can learn, its own first."""

    title: str
    datasets: tuple


NETWORKS = {
    "resnet": Network("ResNet", protocols.IMAGES),
    "densenet": Network("DenseNet", protocols.IMAGES),
    "transformer": Network("transformer", texts.TEXTS),
}


def check(namespace, allowed):
    """Check a notebook's papermill parameters before any work, and return the `Protocol` that they ask for.

    papermill itself only warns of a parameter that does not exist, and passes lists as text. The folder `out_dir` is
    made if it is missing. Here too, `portable.settle` fixes how torch computes; a line is printed if it cannot.

    Parameters
    ----------
    namespace : dict
        The notebook's globals(), read after its parameters cell. Parameters given as text ("[0, 1]") are
        replaced in it by their values.
    allowed : str
        The names in the notebook's parameters cell, separated by blanks.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is allowed.
    """
    allowed = allowed.split()
    for name in _assigned(namespace):
        if name not in allowed:
            raise ValueError(f"parameter {name}={namespace[name]!r} does not exist here; allowed: {', '.join(allowed)}")
    values = {name: _from_text(namespace[name]) for name in allowed}
    namespace.update(values)
    choices = choose(values)
    _check_folder("out_dir", values["out_dir"])
    if notice := portable.settle():
        print(notice)
    return choices


def choose(values):
    """The `Protocol` that parameters of a notebook (name -> value) ask for, each of them checked.

    Any that is also a field of `Protocol` (window, overlap, alpha, …) overrides the data set's value unless it is None.
    With a `network`, the data set is one that it can learn; None is its own. Raises ValueError, naming the parameter,
    its value and what is allowed.
    """

    def need(name, ok, what):
        if name in values and not ok(values[name]):
            raise ValueError(f"{name}={values[name]!r} is not allowed; give {what}")

    datasets, learner = protocols.DATASETS, ""
    if "network" in values:
        need("network", lambda v: v in list(NETWORKS), f"one of {', '.join(NETWORKS)}")
        datasets, learner = NETWORKS[values["network"]].datasets, f", which network={values['network']!r} can learn"
        if values["dataset"] is None:
            values = values | {"dataset": datasets[0]}
    whole, number = protocols.is_whole, protocols.is_number
    seeds_ok = lambda v: isinstance(v, list) and v and all(whole(s, 0) for s in v) and len(set(v)) == len(v)
    need("dataset", lambda v: v in datasets, f"one of {', '.join(datasets)}{learner}")
    need("seeds", seeds_ok, "a list of at least one whole number, each once, such as [0, 1]")
    need("splits", seeds_ok, "a list of at least one whole number, each once, such as [0, 1]")
    if values.get("protocol") == "published":
        one = "a list of one number under protocol='published', whose split is the authors', or protocol='resplit'"
        need("splits", lambda v: len(v) == 1, one)
    need("out_dir", lambda v: isinstance(v, str) and v, "the name of a folder")
    need("delta0", lambda v: number(v) and v > 0, "a positive number")
    shares_ok = lambda v: isinstance(v, list) and v and all(number(s) and 0 < s < 1 for s in v) and v == sorted(set(v))
    need("sparsities", shares_ok, "a rising list of shares between 0 and 1, such as [0.5, 0.9]")
    need("draws", whole, "a whole number of at least 1")
    for name in ("window", "partial_window"):
        need(name, lambda v: v is None or whole(v, 5), "a whole number of at least 5 iterates")
    fields = {f.name for f in dataclass_fields(protocols.Protocol)} - {"dataset"}
    changes = {k: v for k, v in values.items() if k in fields and v is not None}
    return protocols.get(values["protocol"], values["dataset"], **changes)


def _assigned(namespace):
    """Names that somebody gave a value: those that IPython's own %who lists, without modules."""
    from IPython import get_ipython  # the Snakefile imports this module, and needs none

    shell = get_ipython()
    hidden = shell.user_ns_hidden if shell else {}
    return [k for k, v in namespace.items() if not k.startswith("_") and k not in hidden and not inspect.ismodule(v)]


def _check_folder(name, folder):
    """Make the folder if need be, and see that a file can be written there before hours go into what it would hold."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{name}={folder!r} cannot be written to ({reason}); give a folder, new or your own") from None


def _from_text(value):
    """What a piece of text means as a Python literal, or the text itself; other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return literal_eval(value)
    except (ValueError, SyntaxError):
        return value
