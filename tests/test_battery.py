"""A battery of bad parameters: every notebook and public function refuses them by name, at once, before any work."""

import ast
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from legc_utils import datasets, granger, lyapunov, protocols, pruning, selection, training
from legc_utils.recorder import LEGCRecorder, bytes_per_weight
from study import importance, maps, parameters, spectra
from study.toda_yamamoto import toda_yamamoto

LIMIT = 10  # seconds
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def compiled():
    """numba compiles on the first call of a machine; that is no refusal, and interrupted it would not be taken up."""
    exponents()
    train()
    follow(lambda: 0.5)
    granger.granger_pvalues(SERIES[:, 0], SERIES, 2)


@pytest.fixture(autouse=True)
def at_once(compiled, tmp_path, monkeypatch):
    """Each refusal within the limit; notebooks make the folder for their results where they are."""

    def late(*_):
        raise TimeoutError(f"not refused within {LIMIT} s")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(call, name, value, allowed=""):
    """Call it, and see that the error names the parameter and its value, and says what is allowed."""
    with pytest.raises(ValueError, match=r"allowed|give") as error:
        call()
    said = str(error.value)
    assert name in said and (value is ... or repr(value) in said) and allowed in said


# notebooks


def of_notebook(path):
    """(allowed names, value of each) that a notebook's parameters cell and its check name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "parameters.check")
    allowed = ast.literal_eval(call.args[1])
    given = {ast.unparse(n.target): n.value for n in tree.body if isinstance(n, ast.AnnAssign)}
    return allowed, {name: ast.literal_eval(given[name]) for name in allowed.split()}


NUMBER_OF_WINDOWS = [True, 0, -3, 2.5, "five", [14], float("nan")]
BAD = {
    "dataset": ["irsi", "", 3, ["iris"], True],
    "protocol": ["publishd", None, 1, ["published"]],
    "seeds": [[], [-1], [0, 0], [True], [0.5], 3, None, "all", [[0]], [None], ["0"]],
    "splits": [[], [-1], [0, 0], [True], [0.5], 3, None, "all", [[0]], [2**32], [0, 1]],  # published has but one
    "out_dir": ["", None, 3, ["results"], "nul\0"],
    "window": [4, True, 20.5, "x", [200], -200, float("inf")],
    "overlap": [1, -0.1, True, "x", [0.1], float("nan"), 1.5],
    "max_lag": NUMBER_OF_WINDOWS,
    "alpha": [0, 1, True, "x", [0.05], float("nan"), -0.05],
    "rule": ["both", 1, True, ["causal"], ""],
    "delta0": [0, -1e-3, True, "x", [1e-3], None, float("nan"), float("inf")],
    "draws": [0, -1, True, 2.5, "x", None, [3]],
    "network": ["lenet", None, 1, ["resnet"]],
    "sparsities": [[], [0.0], [1.0], [0.9, 0.5], [0.5, 0.5], 0.5, ["x"], [True], None],
    "recorded_epochs": [0, True, 2.5, "x", [5]],
}
CASES = [(path, name, value) for path in NOTEBOOKS for name in of_notebook(path)[0].split() for value in BAD[name]]


@pytest.mark.parametrize(("path", "name", "value"), CASES, ids=lambda v: v.stem if isinstance(v, Path) else repr(v))
def test_every_notebook_refuses_a_bad_parameter(path, name, value):
    allowed, given = of_notebook(path)
    parameters.check(dict(given), allowed)  # its own values are fine
    refused(lambda: parameters.check(given | {name: value}, allowed), name, value)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_refuses_a_parameter_that_it_does_not_have(path):
    allowed, given = of_notebook(path)
    refused(lambda: parameters.check(given | {"windwo": 200}, allowed), "windwo", 200, ", ".join(allowed.split()))


def test_the_battery_is_no_small_one():
    assert len(NOTEBOOKS) == 17 and len(CASES) >= 40


# public functions

SERIES = np.random.default_rng(0).normal(size=(60, 3))
SHARES = [None, "0.1", [0.1], True, 1, -0.1, np.nan, np.array(0.1)]
WHOLE = [True, None, "2", [2], 2.0, 0, -1, np.nan]
DECIMALS = [True, -1, 2.5, "6", [6], 400, 23, np.inf]
SEEDS = [[-1], [], [True], [0, True], [0.0], "0", None, [[0, 1]], [None], -1, True]
LEVELS = ["x", None, [0.05], True, 0, 1, np.nan]


def split():
    X = np.random.default_rng(1).normal(size=(20, 3))
    y = np.arange(20) % 2
    return datasets.Split(X, y, X, y, tuple("abc"), tuple("01"), name="toy")


def short(**changes):
    return protocols.get("published", "toy", **(dict(window=20, partial_window=12, steps=5, max_lag=2) | changes))


def train(seeds=(0,), hidden=2, protocol=None, **options):
    training.train_ensemble(
        split(), hidden, list(seeds) if isinstance(seeds, tuple) else seeds, protocol or short(), **options
    )


def recorder(**options):
    return LEGCRecorder(torch.nn.Linear(3, 2), **(dict(window=10) | options))


def follow(error):
    found = recorder(error=error)
    for _ in range(10):
        found.step()


def prune(method=pruning.LEGCUnstructured, pvalues=((0.01, 0.5, 0.9),) * 2, **options):
    method.apply(torch.nn.Linear(3, 2), "weight", pvalues, **options)


def structured(**options):
    prune(pruning.LEGCStructured, **options)


exponents = lambda **options: lyapunov.windowed_lyapunov(SERIES, **(dict(window=20) | options))
FUNCTIONS = [
    # (what is called with the bad value by keyword, the parameter's name, bad values)
    (exponents, "overlap", SHARES),
    (exponents, "window", [*WHOLE, 5, 61]),
    (exponents, "emb_dim", WHOLE),
    (exponents, "lag", WHOLE),
    (exponents, "steps", WHOLE),
    (exponents, "min_tsep", [True, None, "2", [2], 2.0, -1]),
    (exponents, "decimals", DECIMALS),
    (lambda **bad: lyapunov.divergence(SERIES.T, **bad), "emb_dim", WHOLE),
    (lambda **bad: lyapunov.StreamingLyapunov(3, 20, **bad), "overlap", SHARES),
    (lambda **bad: lyapunov.StreamingLyapunov(3, 20, **bad), "decimals", DECIMALS),
    (lambda **bad: lyapunov.StreamingLyapunov(window=20, **bad), "n_weights", WHOLE[:5]),
    (lambda **bad: lyapunov.StreamingLyapunov(3, 20, **bad), "dtype", [np.int64, np.float16]),
    (lambda **bad: granger.granger_pvalues(SERIES[:, 0], SERIES, **bad), "max_lag", WHOLE),
    (lambda **bad: granger.granger_pvalues(SERIES[:, 0], SERIES, **bad), "test", ["ftest", None, 1, True, ["lrtest"]]),
    (lambda **bad: selection.legc_mask([0.01, 0.9], **bad), "alpha", LEVELS),
    (lambda **bad: selection.legc_mask([0.01, 0.9], **bad), "rule", ["both", None, 1, ["causal"]]),
    (lambda **bad: selection.legc_mask([0.01, 0.9], **bad), "correction", ["holm", 1, True, ["fdr_bh"]]),
    (train, "seeds", SEEDS),
    (train, "hidden", [0, True, None, "6", [], [6, True], [6, 0], 6.0, [[6]], [None]]),
    (train, "epochs", [True, "2", [2], 2.0, 0, -1]),
    (lambda **bad: selection.find_masks(split(), 2, protocol=short(), **bad), "seeds", SEEDS),
    (lambda **bad: selection.find_masks(split(), 2, [0], short(), **bad), "variant", ["pt", None, 1, ["FT"]]),
    (lambda **bad: selection.find_masks(split(), 2, [0], **bad), "protocol", ["publishd", None, 1, ["published"]]),
    (lambda **bad: datasets.load("iris", **bad), "protocol", ["publishd", None, 1, ["published"]]),
    (lambda **bad: datasets.load("iris", "corrected", **bad), "seed", [-1, True, None, "0", [0], 0.5, 2**32]),
    (lambda dataset: datasets.load(dataset), "dataset", ["irsi", None, 1, ["iris"], True]),
    (protocols.get, "protocol", ["publishd", None, 1, ["published"]]),
    (protocols.get, "overlap", SHARES),
    (protocols.get, "alpha", LEVELS),
    (protocols.get, "decimals", DECIMALS),
    (protocols.get, "p_decimals", DECIMALS),
    (protocols.get, "rate", ["fast", None, 0, -1, True, np.inf, np.nan, [0.1]]),
    (protocols.get, "window", WHOLE),
    (protocols.get, "batch_size", WHOLE),
    (protocols.get, "extra_epochs", [True, None, "2", [2], 2.0, -1]),
    (protocols.get, "hidden", [(), 0, True, "6", None, (6, True)]),
    (protocols.get, "shuffle", ["yes", None, [True]]),
    (protocols.get, "benchmark", ["high", None, True, np.nan]),
    (recorder, "overlap", SHARES),
    (recorder, "window", [*WHOLE, 5]),
    (recorder, "max_lag", [True, "2", [2], 2.0, 0]),
    (recorder, "sample", [True, "2", [2], 2.0, 0]),
    (recorder, "n_steps", [True, "2", [2], 2.0, 0]),
    (recorder, "max_bytes", [True, "2", [2], 2.0, 0]),
    (recorder, "seed", [True, None, "2", [2], 2.0, -1]),
    (recorder, "error", [0.5, "error", [len]]),
    (recorder, "variant", ["pt", None, 1]),
    (prune, "alpha", LEVELS),
    (prune, "rule", ["both", None, 1]),
    (prune, "correction", ["holm", 1, True]),
    (structured, "alpha", LEVELS),
    (structured, "dim", [True, 2, -3, 0.0, "0", None, [0]]),
    (structured, "amount", [True, 3, -1, 1.5, "1", [1], np.nan]),
    (structured, "combine", ["mean", None, 1, ["fisher"]]),
    (lambda **bad: pruning.attention_heads(width=6, **bad), "n_heads", [*WHOLE, 4]),
    (lambda **bad: pruning.attention_heads(2, **bad), "width", WHOLE),
    (lambda **bad: bytes_per_weight(n_windows=10, **bad), "window", WHOLE),
    (lambda **bad: toda_yamamoto(SERIES[:, 0], SERIES, **bad), "lag", WHOLE),
    (lambda **bad: spectra.weightwatcher_table(torch.nn.Linear(20, 20), **bad), "min_evals", WHOLE),
]  # fmt: skip
CALLS = [(call, name, value) for call, name, values in FUNCTIONS for value in values]


@pytest.mark.parametrize(("call", "name", "value"), CALLS, ids=lambda v: "" if callable(v) else repr(v))
def test_every_public_function_refuses_a_bad_parameter(call, name, value):
    refused(lambda: call(**{name: value}), name, value)


@pytest.mark.parametrize("value", [None, "0.1", np.nan, np.inf, [0.1, 0.2], {}], ids=repr)
def test_an_error_function_is_named_with_what_it_returned(value):
    refused(lambda: follow(lambda: value), "error()", value, "a finite number")


ARRAYS = ["x", ["x", "y"], [None, object()], {}]
TAKE_ARRAYS = [
    (lambda bad: lyapunov.windowed_lyapunov(bad, 20), "trajectory"),
    (lambda bad: lyapunov.divergence(bad), "windows"),
    (lambda bad: granger.granger_pvalues(bad, SERIES), "target"),
    (lambda bad: granger.granger_pvalues(SERIES[:, 0], bad), "series"),
    (lambda bad: selection.legc_mask(bad), "pvalues"),
    (lambda bad: prune(pvalues=bad), "pvalues"),
    (lambda bad: pruning.combine_pvalues(bad, [0, 0]), "pvalues"),
    (lambda bad: pruning.combine_pvalues([0.1, 0.2], bad), "groups"),
    (lambda bad: structured(groups=bad), "groups"),
    (lambda bad: train(rows=bad), "rows"),
    (lambda bad: train(perturb=bad), "perturb"),
    (lambda bad: train(masks=bad), "masks"),
]


@pytest.mark.parametrize("bad", ARRAYS, ids=["text", "texts", "objects", "dict"])
@pytest.mark.parametrize(("call", "name"), TAKE_ARRAYS)
def test_what_is_no_array_of_numbers_is_named(call, name, bad):
    refused(lambda: call(bad), name, ...)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: selection.legc_mask([0.5, 2.0]), "pvalues"),
        (lambda: pruning.combine_pvalues([0.5, 2.0], [0, 0]), "pvalues"),
        (lambda: pruning.combine_pvalues([0.5, 0.2], [0, -1]), "groups"),
        (lambda: pruning.combine_pvalues([0.5, 0.2], [0]), "groups"),
        (lambda: train(perturb=np.nan), "perturb"),
        (lambda: train(perturb=True), "perturb"),
        (lambda: train(rows=[0.5]), "rows"),
        (lambda: train(rows=[np.nan]), "rows"),
        (lambda: train(initial=(np.full((1, 8), np.nan), np.zeros((1, 3)))), "initial"),
        (lambda: train(record="weight"), "record"),
        (lambda: importance.shap_values(torch.nn.Linear(2, 1), np.zeros((3, 2)), np.zeros((3, 3))), "X"),
    ],
)
def test_values_that_no_table_lists_are_named_too(call, name):
    refused(call, name, ...)


@pytest.mark.parametrize(("name", "least"), [("n_steps", 1), ("discard", 0)])
@pytest.mark.parametrize("bad", [True, -1, 2.5, "x"])
def test_maps_refuse_a_number_of_steps_that_is_none(name, least, bad):
    follow = lambda **options: maps.tangent_lyapunov(lambda x, k: x, torch.zeros(1, 2), **({"n_steps": 3} | options))
    refused(lambda: follow(**{name: bad}), name, bad, f"at least {least}")
