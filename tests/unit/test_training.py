"""Batched training against the plain torch loop that it replaces."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from legc_utils import datasets, protocols, training


def toy(n_classes=2, n=12, n_features=3, seed=0):
    """A small split with noisy but learnable labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n, n_features))
    y = np.digitize(X[:, 0] + 0.3 * rng.normal(size=2 * n), np.linspace(-0.7, 0.7, n_classes + 1)[1:-1])
    names = tuple("abcdefgh"[:n_features]), tuple("0123456789"[:n_classes])
    return datasets.Split(X[:n], y[:n], X[n:], y[n:], *names, name="toy")


def protocol(**changes):
    return protocols.get("published", "toy", **({"rate": 0.5, "init_sd": 1.0, "benchmark": 0.7} | changes))


def unflatten(weights, biases, layers):
    """[(W1, b1), …] from the documented flat order: W1 row by row, then W2, …"""
    pairs = []
    for fan_in, fan_out in zip(layers, layers[1:]):
        pairs.append((weights[: fan_in * fan_out].reshape(fan_out, fan_in), biases[:fan_out]))
        weights, biases = weights[fan_in * fan_out :], biases[fan_out:]
    assert len(weights) == len(biases) == 0
    return pairs


def numpy_forward(weights, biases, X, layers, output="sigmoid"):
    for W, b in (pairs := unflatten(weights, biases, layers)):
        z = X @ W.T + b
        X = 1 / (1 + np.exp(-z))
        if output == "softmax" and W is pairs[-1][0]:
            X = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return X


def plain_sgd(split, runs, m, batches, mask=None):
    """Weights after every step of member m's training, by autograd: (len(batches) + 1, n_weights)."""
    p, n_out = runs.protocol, runs.layers[-1]
    pairs = unflatten(torch.tensor(runs.initial_weights[m]), torch.tensor(runs.initial_biases[m]), runs.layers)
    parameters = [t.clone().requires_grad_() for pair in pairs for t in pair]
    masks = ()
    if mask is not None:
        masks = [M for M, _ in unflatten(torch.as_tensor(mask), np.zeros(sum(runs.layers[1:])), runs.layers)]
    targets = split.y_train[:, None] if n_out == 1 else np.eye(n_out)[split.y_train]
    flat = lambda: torch.cat([W.detach().ravel() for W in parameters[::2]]).numpy().copy()
    path = [flat()]
    for batch in batches:
        a = torch.tensor(split.X_train[batch])
        for W, b in zip(parameters[::2], parameters[1::2]):
            z = torch.nn.functional.linear(a, W, b)
            a = torch.softmax(z, -1) if p.output == "softmax" and W is parameters[-2] else torch.sigmoid(z)
        error = (a - torch.tensor(targets[batch], dtype=torch.float64)) ** 2
        loss = error.mean() if p.loss == "mean" else error.sum(-1).mean()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients):
                parameter -= p.rate * gradient
            for W, M in zip(parameters[::2], masks):
                W *= M
        path.append(flat())
    return np.array(path)


def in_order(n, epochs):
    return [[k % n] for k in range(n * epochs)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("hidden", [4, (5, 3)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_single_sample_sgd_equals_autograd(n_classes, hidden, loss, masked):
    split = toy(n_classes)
    n_weights = training.count_weights(training.layer_sizes(split, hidden))
    masks = np.random.default_rng(1).random((3, n_weights)) < 0.7 if masked else None
    runs = training.train_ensemble(
        split, hidden, [0, 1, 7], protocol(loss=loss), masks=masks, record="weights", epochs=3
    )
    assert runs.weights.dtype == np.float64 and runs.weights.shape == (37, 3, n_weights)
    for m in range(3):
        expected = plain_sgd(split, runs, m, in_order(12, 3), masks[m] if masked else None)
        np.testing.assert_allclose(runs.weights[:, m], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("output", "loss"), [("softmax", "mean"), ("softmax", "sum"), ("sigmoid", "mean")])
@pytest.mark.parametrize("shuffle", [False, True])
def test_mini_batch_sgd_equals_autograd(shuffle, output, loss, masked):
    split = toy(3)  # 12 rows in batches of 5, 5 and 2
    p = protocol(batch_size=5, output=output, loss=loss, shuffle=shuffle, init="torch")
    n_weights = training.count_weights(training.layer_sizes(split, (5, 3)))
    mask = np.random.default_rng(1).random(n_weights) < 0.7 if masked else None
    runs = training.train_ensemble(split, (5, 3), [0, 4], p, masks=mask, record="weights", epochs=3)
    assert runs.weights.shape == (10, 2, n_weights)
    for m, seed in enumerate([0, 4]):
        rng = np.random.default_rng([seed, 1])
        orders = [rng.permutation(12) if shuffle else np.arange(12) for _ in range(3)]
        batches = [order[k : k + 5] for order in orders for k in (0, 5, 10)]
        np.testing.assert_allclose(runs.weights[:, m], plain_sgd(split, runs, m, batches, mask), rtol=0, atol=1e-9)


def test_shuffling_differs_between_seeds_and_epochs():
    p = protocol(batch_size=5, shuffle=True, rate=1.0)
    split, n = toy(), 8
    initial = np.zeros((2, n)) + 0.1, np.zeros((2, 3))
    runs = training.train_ensemble(split, 2, [0, 1], p, initial=initial, record="weights", epochs=1)
    assert not np.allclose(runs.weights[1, 0], runs.weights[1, 1], atol=1e-6)


def test_members_do_not_depend_on_who_else_is_trained():
    split = toy(3)
    masks = np.random.default_rng(2).random((4, 2, 24)) < 0.6
    settings = dict(protocol=protocol(), rows=[0, 5, 24], perturb=1e-3, record="weights", epochs=2)
    many = training.train_ensemble(split, 4, [3, 1, 4, 5], masks=masks, **settings)
    alone = training.train_ensemble(split, 4, [4], masks=masks[2:3], **settings)
    same = (many.members.seed == 4).to_numpy()
    assert np.array_equal(many.weights[:, same], alone.weights)
    assert np.array_equal(many.final_biases[same], alone.final_biases)
    for name in ("train_error", "test_error", "train_accuracy", "test_accuracy"):
        assert np.array_equal(getattr(many, name)[:, same], getattr(alone, name))
    assert np.array_equal(many.test_labels[:, same], alone.test_labels)


def test_mini_batch_members_do_not_depend_on_who_else_is_trained():
    p = protocol(batch_size=5, shuffle=True, output="softmax")
    many = training.train_ensemble(toy(3), 4, [3, 1, 4], p, epochs=2)
    alone = training.train_ensemble(toy(3), 4, [4], p, epochs=2)
    np.testing.assert_allclose(many.final_weights[2:], alone.final_weights, rtol=0, atol=1e-12)


def test_members_are_seeds_times_masks_times_twins_in_that_order():
    masks = np.ones((2, 3, 8), bool)
    runs = training.train_ensemble(toy(), 2, [5, 9], protocol(), masks=masks, perturb=np.zeros((4, 8)), epochs=1)
    expected = [(s, k, p) for s in (5, 9) for k in range(3) for p in range(4)]
    assert list(runs.members[["seed", "mask", "twin"]].itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize("batch_size", [1, 5])
def test_masked_weights_are_zero_at_every_row_and_the_others_move(batch_size):
    mask = np.arange(24) % 3 > 0  # leaves every hidden unit an input and an output
    runs = training.train_ensemble(
        toy(3), 4, [0, 1], protocol(batch_size=batch_size), masks=mask, record="weights", epochs=2
    )
    assert (runs.weights[:, :, ~mask] == 0).all() and (runs.initial_weights[:, ~mask] == 0).all()
    assert (runs.weights[0, :, mask] != 0).all() and (runs.weights[0] != runs.weights[-1])[:, mask].all()


def test_masks_of_all_three_shapes_mean_the_same():
    mask = np.arange(8) % 3 > 0
    shapes = (mask, np.stack([mask, mask]), np.stack([mask, mask])[:, None])
    runs = [training.train_ensemble(toy(), 2, [0, 1], protocol(), masks=m, epochs=1) for m in shapes]
    assert all(np.array_equal(r.final_weights, runs[0].final_weights) for r in runs)


def test_dense_and_pruned_runs_of_a_seed_start_from_the_same_parameters():
    mask = np.arange(8) % 3 > 0
    dense, pruned = (training.train_ensemble(toy(), 2, [6], protocol(), masks=m, epochs=1) for m in (None, mask))
    assert np.array_equal(pruned.initial_weights, dense.initial_weights * mask)
    assert np.array_equal(pruned.initial_biases, dense.initial_biases)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_twins_differ_at_the_start_in_their_own_weight_only(batch_size):
    p = protocol(batch_size=batch_size, shuffle=batch_size > 1)
    runs = training.train_ensemble(toy(), 2, [0, 1], p, perturb=1e-3, record="weights", epochs=1)
    by_seed = runs.weights[0].reshape(2, 9, 8)
    for group in by_seed:
        np.testing.assert_allclose(group[1:] - group[0], 1e-3 * np.eye(8), rtol=0, atol=1e-15)
        assert ((group[1:] != group[0]) == np.eye(8, dtype=bool)).all()
    plain = training.train_ensemble(toy(), 2, [0, 1], p, record="weights", epochs=1)
    np.testing.assert_allclose(runs.weights[:, ::9], plain.weights, rtol=0, atol=1e-14)  # twin 0 is unperturbed
    biases = runs.initial_biases.reshape(2, 9, 3)
    assert (biases == biases[:, :1]).all()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_pieces_handed_to_a_callable_are_the_recorded_weights(batch_size):
    pieces = []
    settings = dict(protocol=protocol(batch_size=batch_size), rows=[2, 7], epochs=4)
    training.train_ensemble(toy(), 2, [0, 1], record=lambda piece: pieces.append(piece.copy()), **settings)
    whole = training.train_ensemble(toy(), 2, [0, 1], record="weights", **settings)
    assert len(pieces) > 2 and np.array_equal(np.concatenate(pieces), whole.weights)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_pieces_are_of_bounded_size_however_long_the_run(batch_size, monkeypatch):
    settings = dict(protocol=protocol(batch_size=batch_size), rows=[20], epochs=9)
    whole = training.train_ensemble(toy(), 2, [0, 1], record="weights", **settings)
    monkeypatch.setattr(training, "_PIECE", 50)  # two networks of 8 weights: three iterates a piece
    pieces = []
    runs = training.train_ensemble(toy(), 2, [0, 1], record=lambda piece: pieces.append(piece.copy()), **settings)
    assert max(map(len, pieces)) == 3 and np.array_equal(np.concatenate(pieces), whole.weights)
    assert np.array_equal(runs.test_error, whole.test_error)


def test_recording_and_reading_do_not_change_the_training():
    plain = training.train_ensemble(toy(), 2, [0], protocol(), epochs=3)
    watched = training.train_ensemble(toy(), 2, [0], protocol(), epochs=3, rows=range(37), record="weights")
    assert plain.weights is None
    assert np.array_equal(plain.final_weights, watched.final_weights)
    assert np.array_equal(plain.final_weights, watched.weights[-1])
    assert np.array_equal(plain.test_accuracy, watched.test_accuracy)


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("rule", ["exact", "argmax"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_errors_and_accuracies_are_those_of_the_weights_at_that_row(n_classes, rule, batch_size):
    split, p = toy(n_classes, n=40), protocol(accuracy=rule, batch_size=batch_size)
    last = 5 * (40 // batch_size)
    runs = training.train_ensemble(split, 4, [0, 1, 2], p, rows=[last, 0], record="weights", epochs=5)
    for row, weights, biases in (
        (0, runs.weights[-1], runs.final_biases),
        (1, runs.weights[0], runs.initial_biases),
    ):
        for m in range(3):
            for X, y, errors in (
                (split.X_train, split.y_train, runs.train_error),
                (split.X_test, split.y_test, runs.test_error),
            ):
                out = numpy_forward(weights[m], biases[m], X, runs.layers)
                if n_classes == 2:
                    wrong = (out[:, 0] >= 0.5) != y
                elif rule == "exact":
                    wrong = ((out >= 0.5) != np.eye(3)[y]).any(axis=1)
                else:
                    wrong = out.argmax(axis=1) != y
                assert errors[row, m] == pytest.approx(wrong.mean(), abs=1e-12)
    np.testing.assert_allclose(1 - runs.train_accuracy[-1], runs.train_error[0], atol=1e-12)
    np.testing.assert_allclose(1 - runs.test_accuracy[-1], runs.test_error[0], atol=1e-12)


def test_errors_follow_the_order_of_the_rows_asked_for():
    rows = [30, 0, 30, 12, 36]
    runs = training.train_ensemble(toy(n=12), 4, [0, 1], protocol(), rows=rows, epochs=3)
    ordered = training.train_ensemble(toy(n=12), 4, [0, 1], protocol(), rows=range(37), epochs=3)
    assert np.array_equal(runs.rows, rows)
    assert np.array_equal(runs.test_error, ordered.test_error[rows])
    assert np.array_equal(runs.train_error, ordered.train_error[rows])


def runs_with(train_accuracy, test_accuracy, test_labels, y_test, benchmark):
    n = len(train_accuracy[0])
    empty = np.empty((n, 0))
    members = pd.DataFrame({"seed": range(n), "mask": 0, "twin": 0})
    return training.Runs(
        members, (1, 1, 1), protocol(benchmark=benchmark), empty, empty, empty, empty, np.array([]),
        empty, empty, np.array(train_accuracy), np.array(test_accuracy), np.array(test_labels), np.array(y_test),
    )  # fmt: skip


def test_the_stop_is_the_first_epoch_at_the_training_benchmark_counted_from_0():
    labels = np.array([[[0, 0, 0, 0]] * 4, [[0, 0, 1, 1]] * 4, [[1, 1, 1, 0]] * 4])  # (epochs, members, n_test)
    runs = runs_with(
        # at once, at epoch 1 (exactly the benchmark), never, at epoch 1 and not again
        [[0.95, 0.5, 0.1, 0.1], [0.1, 0.9, 0.2, 0.99], [0.99, 0.99, 0.3, 0.3]],
        [[0.50, 0.51, 0.52, 0.53], [0.60, 0.61, 0.62, 0.63], [0.70, 0.71, 0.72, 0.73]],
        labels, [0, 0, 1, 1], benchmark=0.9,
    )  # fmt: skip
    stop = runs.at_stop()
    np.testing.assert_array_equal(stop.epoch, [0, 1, np.nan, 1])
    assert stop.reached.tolist() == [True, True, False, True]
    assert stop.accuracy.tolist() == [0.50, 0.61, 0.72, 0.63]  # never reached: read at the last epoch
    assert stop.train_accuracy.tolist() == [0.95, 0.9, 0.3, 0.99]
    #  all 0: class 0 has precision 1/2, recall 1; class 1 nothing. [1, 1, 1, 0]: nothing of class 0, 1/3 and 1/2 of 1
    np.testing.assert_allclose(stop.f1, [1 / 3, 1, 0.2, 1])
    assert stop.seed.tolist() == [0, 1, 2, 3]


def test_the_benchmark_can_be_given_at_the_stop():
    runs = runs_with([[0.5], [0.8], [0.9]], [[0.1], [0.2], [0.3]], np.zeros((3, 1, 2), int), [0, 0], benchmark=0.9)
    assert runs.at_stop().epoch.item() == 2
    assert runs.at_stop(benchmark=0.8).epoch.item() == 1
    assert runs.at_stop(benchmark=0.0).epoch.item() == 0


def test_initial_parameters_follow_the_protocol():
    layers = (100, 50, 20)
    weights, biases = training.initial_parameters(layers, 0, protocol(init_sd=0.1))
    assert weights.shape == (6000,) and biases.shape == (70,)
    assert np.std(weights) == pytest.approx(0.1, rel=0.05) and np.mean(weights) == pytest.approx(0, abs=0.005)
    weights, biases = training.initial_parameters(layers, 0, protocol(init="torch"))
    for part, bound in ((weights[:5000], 0.1), (biases[:50], 0.1), (weights[5000:], 50**-0.5), (biases[50:], 50**-0.5)):
        assert 0.85 * bound < np.abs(part).max() <= bound
    again, _ = training.initial_parameters(layers, 0, protocol(init="torch"))
    other, _ = training.initial_parameters(layers, 1, protocol(init="torch"))
    assert np.array_equal(weights, again) and not np.array_equal(weights, other)


def test_given_initial_parameters_are_used_and_not_changed():
    initial = np.random.default_rng(0).normal(size=(2, 8)), np.random.default_rng(1).normal(size=(2, 3))
    before = [part.copy() for part in initial]
    runs = training.train_ensemble(toy(), 2, [0, 1], protocol(), initial=initial, epochs=1)
    assert np.array_equal(runs.initial_weights, before[0]) and np.array_equal(runs.initial_biases, before[1])
    assert np.array_equal(initial[0], before[0]) and np.array_equal(initial[1], before[1])
    assert not np.array_equal(runs.final_weights, before[0])


def test_weights_of_the_papers_networks_are_counted_as_in_table_1():
    networks = {(9, 6, 1): 60, (6, 8, 1): 56, (4, 8, 1): 40, (4, 6, 3): 42, (3, 6, 3): 36, (3, 4, 6): 36}
    assert {layers: training.count_weights(layers) for layers in networks} == networks
    assert training.layer_sizes(datasets.load("iris"), 6) == (4, 6, 3)
    assert training.layer_sizes(datasets.load("cancer"), [6, 2]) == (9, 6, 2, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(seeds=[]), "seeds"),
        (dict(seeds=[0.5]), "seeds"),
        (dict(hidden=0), "hidden"),
        (dict(hidden=()), "hidden"),
        (dict(hidden=2.5), "hidden"),
        (dict(hidden=(2, -1)), "hidden"),
        (dict(masks=np.ones(7, bool)), "masks"),
        (dict(masks=np.ones((3, 8), bool)), "masks"),
        (dict(masks=np.full(8, 0.5)), "masks"),
        (dict(perturb=np.zeros((2, 7))), "perturb"),
        (dict(record="x"), "record"),
        (dict(epochs=0), "epochs"),
        (dict(epochs=1.5), "epochs"),
        (dict(evaluate=[0]), "evaluate=0.*1 to 3"),
        (dict(evaluate=[4]), "evaluate=4.*1 to 3"),
        (dict(evaluate="end"), "evaluate='end'"),
        (dict(halt=True), "halt=True.*evaluate='stop'"),
        (dict(halt=True, evaluate="stop", rows=[3]), "halt=True.*without record and rows"),
        (dict(errors=("both",)), "errors holds 'both'"),
        (dict(record_from=3), "record_from=3.*0, 6"),
        (dict(rows=[37]), "rows.*37"),
        (dict(rows=[-1, 5]), "rows.*-1"),
        (dict(rows=[0.5]), "rows"),
        (dict(initial=(np.zeros((1, 8)), np.zeros((1, 3)))), "initial"),  # one row for two seeds
        (dict(initial=(np.zeros((3, 8)), np.zeros((3, 3)))), "initial"),
        (dict(initial=(np.zeros((2, 7)), np.zeros((2, 3)))), "initial"),
        (dict(initial=(np.zeros((2, 8)), np.zeros((2, 5)))), "initial"),
        (dict(initial=(np.zeros((2, 8)), np.zeros((2, 2)))), "initial"),
        (dict(protocol="publishd"), "publishd"),
        (dict(protocol=protocol(output="softmax")), "batch_size=1"),
        (dict(protocol=protocol(shuffle=True)), "batch_size=1"),
    ],
)
def test_malformed_input_is_refused_by_name(changes, message):
    given = dict(hidden=2, seeds=[0, 1], protocol=protocol(), epochs=3) | changes
    with pytest.raises(ValueError, match=message):
        training.train_ensemble(toy(), **given)


def test_macro_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    for n_classes in (1, 2, 3, 10):
        y, labels = rng.integers(n_classes, size=50), rng.integers(n_classes, size=(40, 50)).astype(np.int8)
        labels[:5] = 0  # some classes are never predicted
        y[y == n_classes // 2] = 0  # and one is never true
        expected = [f1_score(y, row, average="macro", zero_division=0) for row in labels]
        np.testing.assert_allclose(training.macro_f1(y, labels), expected, rtol=0, atol=1e-15)


READ = "train_accuracy", "test_accuracy", "test_labels"


def test_epochs_that_are_asked_for_are_read_and_no_others():
    every = training.train_ensemble(toy(), 4, [0, 1], protocol(), epochs=6)
    some = training.train_ensemble(toy(), 4, [0, 1], protocol(), epochs=6, evaluate=[2, 6])
    for name in READ:
        assert np.array_equal(getattr(some, name)[[1, 5]], getattr(every, name)[[1, 5]])
    assert np.isnan(some.train_accuracy[[0, 2, 3, 4]]).all() and (some.test_labels[[0, 2, 3, 4]] == -1).all()
    assert np.array_equal(some.final_weights, every.final_weights)
    assert np.array_equal(some.at_stop(np.inf).f1, every.at_stop(np.inf).f1)
    none = training.train_ensemble(toy(), 4, [0, 1], protocol(), epochs=6, evaluate=())
    assert np.isnan(none.test_accuracy).all() and np.array_equal(none.final_weights, every.final_weights)
    for runs in (some, none):
        with pytest.raises(ValueError, match="benchmark=0.7.*allowed: evaluate=None or 'stop'"):
            runs.at_stop()


@pytest.mark.parametrize("halt", [False, True])
@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("benchmark", [0.0, 0.8, 0.95, 1.1])
def test_the_stop_is_the_same_when_nothing_else_is_read(benchmark, batch_size, halt):
    p = protocol(benchmark=benchmark, batch_size=batch_size, shuffle=batch_size > 1)
    masks = np.random.default_rng(0).random((9, 2, 24)) < 0.8
    given = toy(3, n=20), 4, range(9), p, masks
    every = training.train_ensemble(*given, epochs=20)
    runs = training.train_ensemble(*given, epochs=20, evaluate="stop", halt=halt)
    pd.testing.assert_frame_equal(runs.at_stop(), every.at_stop())
    assert benchmark != 0.8 or 0 < every.at_stop().reached.mean() < 1  # some stop, some never do
    if not halt:
        pd.testing.assert_frame_equal(runs.at_stop(np.inf), every.at_stop(np.inf))
        assert np.array_equal(runs.final_weights, every.final_weights)
    elif benchmark == 0.8:
        stopped, epoch = runs.at_stop().reached, runs.at_stop().epoch
        at = np.flatnonzero(stopped)[0]
        until = training.train_ensemble(*given, epochs=1 + int(epoch[at]))
        assert np.array_equal(runs.final_weights[at], until.final_weights[at])
        assert np.array_equal(runs.final_weights[~stopped], every.final_weights[~stopped])


def test_a_stop_at_another_benchmark_cannot_be_read_afterwards():
    runs = training.train_ensemble(toy(), 4, [0, 1], protocol(benchmark=0.6), epochs=9, evaluate="stop", halt=True)
    for benchmark in (1.1, np.inf):
        with pytest.raises(ValueError, match="were not read"):
            runs.at_stop(benchmark)


def test_errors_of_one_set_alone_can_be_read():
    both = training.train_ensemble(toy(), 4, [0, 1], protocol(), epochs=2, rows=[0, 5])
    test = training.train_ensemble(toy(), 4, [0, 1], protocol(), epochs=2, rows=[0, 5], errors=("test",))
    assert np.array_equal(test.test_error, both.test_error) and np.isnan(test.train_error).all()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_later_layers_alone_can_be_recorded(batch_size):
    given = toy(3), (4, 2), [0, 1], protocol(batch_size=batch_size)
    pieces = []
    training.train_ensemble(*given, epochs=2, record=lambda p: pieces.append(p.copy()), record_from=12)
    whole = training.train_ensemble(*given, epochs=2, record="weights").weights
    assert np.array_equal(np.concatenate(pieces), whole[..., 12:])
    later = training.train_ensemble(*given, epochs=2, record="weights", record_from=20).weights
    assert np.array_equal(later, whole[..., 20:])


def test_other_splits_start_from_other_weights():
    """Means over splits would not be independent if all of them trained from the same few starts."""
    train = lambda split, name: training.train_ensemble(split, 2, [0, 1], name, epochs=1).initial_weights
    start = lambda seed: train(datasets.load("iris", "resplit", seed=seed), "resplit")
    published = train(datasets.load("iris"), "published")
    assert np.array_equal(start(0), published) and np.array_equal(start(3), start(3))
    assert len(np.unique([start(seed)[s, 0] for seed in (0, 3, 4) for s in (0, 1)])) == 6
