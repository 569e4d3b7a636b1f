"""What an experiment does, as data: one frozen `Protocol` per data set and protocol name.

Two columns of a table differ only in the named fields of two protocols. `published` is what the paper did and, where it
is silent, what its released code did, oddities included; `resplit` is the same on other divisions into training and
test set; `corrected` is what a careful statistician would do instead.
"""

import tomllib
from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

HELDOUT = ("wine", "wdbc", "digits")  # not the paper's; no part in choosing anything
IMAGES = ("mnist5k", "mnist")
DATASETS = ("cancer", "titanic", "banknote", "iris", "iris3f", "vowel", *IMAGES, *HELDOUT)
PROTOCOLS = ("published", "resplit", "corrected")
VARIANTS = ("FT", "PT")
CHOICES = {
    "dataset": DATASETS,
    "protocol": PROTOCOLS,
    "variant": VARIANTS,
    "scaling": ("none", "sample", "feature", "minmax", "train"),
    "output": ("sigmoid", "softmax"),
    "init": ("normal", "torch"),
    "loss": ("mean", "sum"),
    "accuracy": ("exact", "argmax"),
    "target": ("test", "train"),
    "test": ("ssr_ftest", "ssr_chi2test", "lrtest", "params_ftest"),
    "lag_choice": ("min", "bic"),
    "rule": ("noncausal", "causal"),
    "correction": (None, "bonferroni", "fdr_bh", "fdr_by"),
    "candidates": ("all", "after_first"),
    "combine": ("stouffer", "fisher", "pearson", "tippett", "mudholkar_george"),  # of scipy.stats.combine_pvalues
    **dict.fromkeys(("stratify", "resplit", "uci_iris", "shuffle", "difference"), (False, True)),
}


def is_whole(value, least=1, most=np.inf):
    """Whether a value is a whole number (a bool is none) from `least` to `most`."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and least <= value <= most


def is_number(value):
    """Whether a value is a finite number (a bool is none)."""
    return is_whole(value, -np.inf) or (isinstance(value, float | np.floating) and abs(value) < np.inf)


def _are_whole(values, least):
    values = np.asarray(values, dtype=object)
    return values.ndim < 2 and values.size > 0 and all(is_whole(v, least) for v in values.flat)


_FROM_0 = ("extra_epochs", "min_tsep", "n_weights", "n_windows", "seed")
_DECIMALS = "None or a whole number of at least 0 and at most 22"  # a larger power of ten is not exact in float64
LIMITS = {  # what is allowed, and whether a value is that; of other counts, a whole number of at least 1
    "alpha": ("a level between 0 and 1", lambda v: is_number(v) and 0 < v < 1),
    "overlap": ("a share from 0 up to, not including, 1", lambda v: is_number(v) and 0 <= v < 1),
    "rate": ("a positive number", lambda v: is_number(v) and v > 0),
    "init_sd": ("a number of at least 0", lambda v: is_number(v) and v >= 0),
    "benchmark": ("a number", is_number),
    "hidden": ("one positive whole number for each hidden layer", lambda v: _are_whole(v, 1)),
    "seeds": ("at least one whole number of at least 0", lambda v: _are_whole(v, 0)),
    **dict.fromkeys(("decimals", "p_decimals"), (_DECIMALS, lambda v: v is None or is_whole(v, 0, 22))),
    **dict.fromkeys(_FROM_0, ("a whole number of at least 0", lambda v: is_whole(v, 0))),
    **{k: (f"one of {', '.join(map(str, c))}", lambda v, c=c: isinstance(v, Hashable) and v in c)
       for k, c in CHOICES.items()},
}  # fmt: skip


def check(**values):
    """Raise ValueError, naming the value and what is allowed, unless every value is within the `LIMITS` of its name."""
    for name, value in values.items():
        what, fits = LIMITS.get(name, ("a whole number of at least 1", is_whole))
        if not fits(value):
            raise ValueError(f"{name}={value!r} is not allowed; give {what}")


def numbers(**arrays):
    """An array as float64. Raises ValueError that names it if it holds anything but numbers."""
    ((name, values),) = arrays.items()
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers ({error}); allowed: finite numbers") from None


def check_finite(**arrays):
    """Raise ValueError, naming the array, if one holds NaN or infinite values."""
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values; allowed: finite numbers")


class Settings(NamedTuple):
    """What one variant, FT or PT, looks at (section 3.1, Table 2)."""

    epochs: int
    window: int  # iterates
    steps: int  # iterates for which the divergence is followed
    max_lag: int  # windows
    rows: np.ndarray | None = None  # the last iterate of every window, int (n_windows,), once the data are known


@dataclass(frozen=True)
class Protocol:
    """Every choice between raw data and verdict. Units: epochs, iterates (SGD steps), nats.

    The defaults are the published protocol for a data set that the paper does not have.
    """

    name: str = "published"
    dataset: str = ""
    # data (the authors' Helper.py)
    scaling: str = "sample"  # sample, feature, minmax: each part by itself; train: fitted on the training set
    stratify: bool = False
    resplit: bool = False  # shuffle by the seed that `datasets.load` is given, not by the authors' 42
    uci_iris: bool = True  # Kaggle's and UCI's iris file has two wrong rows (35 and 38); Fisher's has not
    # network and optimiser (section 4; Helper.py, torch_custom.py)
    hidden: tuple = (6,)
    output: str = "sigmoid"
    init: str = "normal"  # normal: N(0, init_sd²); torch: U(±1/√fan_in), torch's default
    init_sd: float = 0.1
    loss: str = "mean"  # of the squared errors of the outputs
    rate: float = 0.1
    batch_size: int = 1
    shuffle: bool = False  # a new sample order each epoch
    recorded_epochs: int = 50  # what LEGCNet-FT sees
    extra_epochs: int = 50  # more epochs in which the stop may be reached
    partial_epochs: int = 5  # what LEGCNet-PT sees (Table 2)
    benchmark: float = 0.9  # stop at the first epoch with this *training* accuracy
    accuracy: str = "exact"  # exact: every output on the right side of 0.5
    # windowed Lyapunov exponent (section 3.4; LE_window.m)
    window: int = 200
    partial_window: int = 50
    overlap: float = 0.1
    emb_dim: int = 2
    lag: int = 1
    min_tsep: int = 0
    steps: int = 20
    partial_steps: int = 3
    decimals: int | None = 6  # weights pass through text files with so many decimals
    # Granger test and rule (sections 2.2, 3.6; gc_tests.ipynb)
    target: str = "test"  # whose misclassification
    max_lag: int = 20
    partial_max_lag: int = 14
    test: str = "ssr_chi2test"
    lag_choice: str = "min"  # min: smallest p over all lags | bic: one lag, by BIC of the target's autoregression
    difference: bool = False  # first differences where ADF keeps a unit root
    p_decimals: int | None = 4
    alpha: float = 0.05
    rule: str = "noncausal"
    correction: str | None = None
    candidates: str = "all"  # which layers' weights may be pruned; after_first: all layers but the first

    def __post_init__(self):
        check(**{f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "dataset")})

    def of(self, variant):
        """What FT and PT do differently: `Settings`. Raises ValueError for another variant."""
        check(variant=variant)
        if variant == "FT":
            return Settings(self.recorded_epochs, self.window, self.steps, self.max_lag)
        return Settings(self.partial_epochs, self.partial_window, self.partial_steps, self.partial_max_lag)

    @property
    def embedding(self):
        """The estimator's keywords that both variants share."""
        return {"emb_dim": self.emb_dim, "lag": self.lag, "min_tsep": self.min_tsep}


_TABLE = tomllib.loads((Path(__file__).parent / "data" / "published.toml").read_text(encoding="utf-8"))
_PUBLISHED = {name: fields | {"hidden": tuple(fields.get("hidden", (6,)))} for name, fields in _TABLE.items()}
_CORRECTED = dict(
    name="corrected", scaling="train", stratify=True, uci_iris=False, accuracy="argmax",
    min_tsep=10, steps=3, decimals=None,
    target="train", max_lag=14, test="ssr_ftest", lag_choice="bic", difference=True,
    p_decimals=None, correction="fdr_bh",
)  # fmt: skip


def get(protocol="published", dataset="", **changes):
    """The `Protocol` of that name for a data set, with fields changed by keyword.

    protocol : str or Protocol, one of `PROTOCOLS`, or a Protocol, which is returned with `changes` applied
    dataset : str, one of `DATASETS`; any other name gets the defaults (a data set of your own)

    Raises ValueError if the protocol is unknown; the message lists the names.
    """
    if isinstance(protocol, Protocol):
        return replace(protocol, **changes)
    check(protocol=protocol)
    fields = {"dataset": dataset} | _PUBLISHED.get(dataset, {})
    if protocol == "resplit":
        fields |= {"name": protocol, "resplit": True}
    if protocol == "corrected":
        fields |= _CORRECTED
    return Protocol(**(fields | changes))
