"""Prune, rewind, retrain: by hand where that is possible, and never touching what it should not."""

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.utils import prune

from legc_utils import datasets, protocols
from study import networks, parameters, sparsity

PROTOCOL = protocols.get("published", "own", recorded_epochs=12, batch_size=4, rate=0.1, window=10, max_lag=2)


class Small(torch.nn.Sequential):
    """Two inputs, a hidden layer with layer norm, two classes."""

    def __init__(self, copies=1):
        last = networks.Linear(6, 2, bias=False, copies=copies)
        super().__init__(torch.nn.Linear(2, copies * 6), networks.LayerNorm(6, copies), torch.nn.ReLU(), last)
        self.units = {"0.weight": 3}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small only wait for a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    return sparsity.Task(*(torch.tensor(v) for v in (X[:40].astype("f4"), y[:40], X[40:].astype("f4"), y[40:])))


@pytest.fixture(scope="module")
def followed(task):
    return sparsity.follow(Small, task, PROTOCOL, seed=3)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_everything_comes_from_the_seed_and_the_global_generator_stays(task):
    before = torch.get_rng_state()
    one, again, other = (sparsity.train(sparsity.draw(Small, s), task, PROTOCOL, s) for s in (3, 3, 4))
    assert same(state(one), state(again)) and not same(state(one), state(other))
    assert torch.equal(torch.get_rng_state(), before)


def test_being_followed_changes_no_bit_of_a_training(task, followed):
    plain = sparsity.train(sparsity.draw(Small, 3), task, PROTOCOL, 3)
    assert same(state(followed.trained), state(plain))
    assert same(state(followed.initial), state(sparsity.draw(Small, 3)))
    assert followed.undefined == np.mean([np.isnan(x) for p in followed.pvalues.values() for x in p.flatten().tolist()])
    assert followed.recorder.n_windows == (sparsity.n_steps(task, PROTOCOL) + 1 - 10) // 9 + 1


def test_the_target_is_the_protocols(task):
    wrong = [1 - (task.y_test == 0).double().mean(), 1 - (task.y_train == 0).double().mean()]
    for name, share in zip(("test", "train"), wrong):
        model = sparsity.draw(Small, 0)
        recorder = sparsity.record(model, task, protocols.get(PROTOCOL, target=name))
        torch.nn.init.zeros_(model[3].weight)  # says class 0 whatever comes
        assert recorder._error() == pytest.approx(share.item())


def test_lags_that_the_windows_cannot_bear_are_refused_before_training(task):
    with pytest.raises(ValueError, match="max_lag=40"):
        sparsity.follow(Small, task, protocols.get(PROTOCOL, max_lag=40), 0)


def test_measuring_leaves_mode_and_batch_norm_as_they_are(task):
    model = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 2)).train()
    before = state(model)
    found = sparsity.measure(model, task.X_test, task.y_test)
    assert model.training and same(state(model), before)
    logits = model.eval()(task.X_test)
    assert found["accuracy"] == (logits.argmax(1) == task.y_test).double().mean()
    assert found["loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, task.y_test).item())


def test_rankings(followed):
    names = networks.linear_maps(followed.initial)
    assert names == ["0.weight", "3.weight"]
    p = {"0.weight": torch.tensor([[0.5, 0.01], [float("nan"), 1.0]]), "3.weight": torch.tensor([[0.0, 0.2]])}
    made_up = sparsity.Followed(Small, 3, followed.initial, followed.trained, followed.recorder, p)
    legc = torch.cat([v.flatten() for v in sparsity.importance(made_up, "LEGC").values()])
    assert legc.argsort().tolist()[:4] == [3, 0, 5, 1]  # p of 1, 0.5, 0.2, 0.01
    assert legc.argsort().tolist()[4:] == [4, 2] and legc[2] == np.inf  # 0, and last what was not tested
    assert torch.equal(
        sparsity.importance(followed, "magnitude")["3.weight"], followed.trained[3].weight.detach().abs()
    )
    one, again, other = (sparsity.importance(followed, "random", n)["0.weight"] for n in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    with pytest.raises(ValueError, match="ranking='best' is unknown; allowed: LEGC, magnitude, random, LEGC, shuffled"):
        sparsity.importance(followed, "best")


@pytest.mark.parametrize(("untested", "zero"), [("0.weight", "3.weight"), ("3.weight", "0.weight")])
def test_a_weight_that_was_not_tested_goes_after_one_with_a_p_of_zero(untested, zero):
    """Both used to score the same, so that the place in the network decided."""
    model = sparsity.draw(Small, 0)
    p = {name: torch.zeros(model.get_parameter(name).shape) for name in ("0.weight", "3.weight")}
    p[untested] += float("nan")
    made_up = sparsity.Followed(Small, 0, model, model, None, {n: v.double() for n, v in p.items()})
    sparsity.prune_weights(model, sparsity.importance(made_up, "LEGC"), 0.5)
    assert sparsity.pruned_share(model, [untested]) == 0 and sparsity.pruned_share(model, [zero]) == 1


def test_the_lowest_weights_of_the_whole_network_go():
    model = sparsity.draw(Small, 0)
    scores = {"0.weight": torch.arange(12.0).reshape(6, 2), "3.weight": 6.5 + torch.arange(12.0).reshape(2, 6)}
    sparsity.prune_weights(model, scores, 0.5)
    assert torch.equal(model[0].weight_mask, (scores["0.weight"] > 8.6).float())
    assert torch.equal(model[3].weight_mask, (scores["3.weight"] > 8.6).float())
    assert sparsity.pruned_share(model, list(scores)) == 0.5
    assert sparsity.pruned_share(model, ["3.weight"]) == pytest.approx(0.25)


def test_units_go_as_a_whole():
    scores = torch.tensor([[9.0, 9], [0, 0], [3, 3], [3, 3], [1, 1], [1, 1]])
    by_score, by_p = sparsity.draw(Small, 0), sparsity.draw(Small, 0)
    sparsity.prune_units(by_score, {"0.weight": scores}, {"0.weight": 3}, 1 / 3)
    assert by_score[0].weight_mask[:, 0].tolist() == [1, 1, 1, 1, 0, 0]
    p = {"0.weight": torch.tensor([[0.01] * 2] * 2 + [[0.9] * 2] * 2 + [[0.2] * 2] * 2, dtype=torch.float64)}
    sparsity.prune_units_by_pvalues(by_p, p, {"0.weight": 3}, 1 / 3)
    assert by_p[0].weight_mask[:, 0].tolist() == [1, 1, 0, 0, 1, 1]


def test_each_of_many_retrains_from_the_initial_weights_as_if_it_were_alone(task, followed):
    seen = []

    def cut(model, amount):
        seen.append(state(model))
        prune.l1_unstructured(model[0], "weight", amount)

    amounts = (4, 7, 0)
    rows = sparsity.retrain(followed, task, PROTOCOL, [partial(cut, amount=n) for n in amounts])
    assert len(seen) == 3 and all(same(started, state(followed.initial)) for started in seen)
    for row, amount in zip(rows, amounts):
        alone = copy.deepcopy(followed.initial)
        prune.l1_unstructured(alone[0], "weight", amount)
        sparsity.train(alone, task, PROTOCOL, followed.seed)
        expected = sparsity.measure(alone, task.X_test, task.y_test)
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4) and row["accuracy"] == expected["accuracy"]
        assert row["sparsity"] == row["skippable"] == pytest.approx(amount / 24) and row["multiply_adds"] == 24


def test_pruned_weights_stay_zero_while_the_others_learn(task):
    model, mask = sparsity.draw(Small, 0), torch.eye(6)[:, :2]
    before = state(model)
    sparsity.train(model, task, PROTOCOL, 0, masks={"0.weight": mask})
    assert (model[0].weight[mask == 0] == 0).all()
    assert (model[0].weight != before["0.weight"])[mask == 1].all()


def test_rows_of_a_comparison(task, followed):
    protocol = protocols.get(PROTOCOL, recorded_epochs=2)
    rivals = ("SNIP", "movement", "LAMP", "Granger", "Granger, shuffled")
    rows = sparsity.compare(followed, task, protocol, [0.5, 0.9], 2, rivals)
    assert rows.groupby(["by", "kind"]).size().to_dict() == {
        ("weights", "dense"): 1, ("weights", "rule"): 1, ("weights", "sweep"): 19, ("units", "sweep"): 4,
    }  # fmt: skip
    sweep = rows[(rows.kind == "sweep") & (rows.by == "weights")]
    assert (sweep.sparsity - sweep.target).abs().max() < 0.5 / 24 + 1e-9
    tried = sweep.groupby("method").target.agg(list)
    assert all(tried[name] == [0.9] for name in ("SNIP", "movement", "LAMP"))
    assert all(tried[name] == [0.5, 0.9] for name in ("LEGC, shuffled", "Granger", "Granger, shuffled"))
    assert (rows.effective >= rows.sparsity - 1e-9).all()
    assert (rows.seed == 3).all() and rows.accuracy.between(0, 1).all()
    pd.testing.assert_frame_equal(rows, sparsity.compare(followed, task, protocol, [0.5, 0.9], 2, rivals))


def test_magnitude_without_retraining_is_the_trained_network_less_its_smallest_weights(task, followed):
    rows = sparsity.compare(followed, task, protocols.get(PROTOCOL, recorded_epochs=1), [0.5])
    row = rows[rows.method == sparsity.NOT_RETRAINED].iloc[0]
    model = copy.deepcopy(followed.trained)
    prune.global_unstructured([(model[0], "weight"), (model[3], "weight")], prune.L1Unstructured, amount=0.5)
    assert row.loss == pytest.approx(sparsity.measure(model, task.X_test, task.y_test)["loss"])


def test_movement_is_summed_over_the_training_that_is_followed(task, followed):
    assert list(followed.movement) == ["0.weight", "3.weight"]
    assert all((score != 0).any() for score in followed.movement.values())
    found = sparsity.others(followed, task, PROTOCOL, ("movement",), 0.9)
    assert found["movement"] is followed.movement


def test_rankings_of_others_that_are_unknown_are_named(task, followed):
    with pytest.raises(ValueError, match=r"rankings=\['best'\] are unknown; allowed: .*SynFlow"):
        sparsity.others(followed, task, PROTOCOL, ("SNIP", "best"), 0.9)


def test_a_rival_is_compared_at_the_sparsities_that_it_has():
    cells = [("random", 0.1, 0.2), ("random", 0.3, 0.4), ("magnitude", 0.1, 0.5), ("magnitude", 0.3, 0.9)]
    rows = pd.DataFrame([*cells, ("SNIP", 0.3, 0.6)], columns=["method", "target", "accuracy"])
    gains = sparsity.advantages(rows.assign(by="weights", kind="sweep", seed=0, loss=0.0))
    found = gains.set_index(["method", "over"]).points.round(9).to_dict()
    assert found == {("magnitude", "random"): 40.0, ("SNIP", "random"): 20.0, ("SNIP", "magnitude"): -30.0}


def test_advantages_by_hand():
    rows = pd.DataFrame(
        [("LEGC", s, 0.4 + s, 1.0) for s in (0.1, 0.3)]
        + [("magnitude", s, 0.5 + s, 0.5) for s in (0.1, 0.3)]
        + [("random", s, a, 2.0) for s in (0.1, 0.3) for a in (0.2, 0.4)],
        columns=["method", "target", "accuracy", "loss"],
    ).assign(by="weights", kind="sweep", seed=0)
    rows.loc[len(rows)] = dict(method="dense", target=0.0, accuracy=1.0, loss=0.0, by="weights", kind="dense", seed=0)
    gains = sparsity.advantages(rows).set_index(["method", "over"])
    assert gains.points.round(9).to_dict() == {
        ("LEGC", "random"): 30.0, ("magnitude", "random"): 40.0, ("LEGC", "magnitude"): -10.0,
    }  # fmt: skip
    assert gains.loss.tolist() == [-1.0, -1.5, 0.5] and (gains.kind == "advantage").all()
    facts = sparsity.quoted(gains.reset_index(), "points")
    assert facts["LEGC_random_weights"] == "30.00 (one value, no interval)"


def test_shares_by_layer_add_up(followed):
    shares = sparsity.shares_by_layer(followed, 0.5)
    assert list(shares.index) == ["0.weight", "3.weight"] and list(shares) == list(sparsity.RANKINGS)
    np.testing.assert_allclose(shares.mean(), 0.5)


@pytest.mark.parametrize("network", sparsity.CASES)
def test_the_books_networks_come_with_their_data_and_settings(network):
    given = protocols.get("published", parameters.NETWORKS[network].datasets[0], p_decimals=4)
    build, task, protocol = sparsity.prepare(network, given)
    case = sparsity.CASES[network]
    changed = {"rate": case.rate, "batch_size": case.batch_size, "p_decimals": None}
    assert protocol == protocols.get(given, **changed)
    assert type(build()).__name__.lower() == network
    assert 0 <= sparsity.measure(build(), task.X_test[:5], task.y_test[:5])["accuracy"] <= 1


def test_images_are_scaled_squares():
    split = datasets.load("digits")
    task = sparsity.image_task(split)
    assert task.X_train.shape == (1437, 1, 8, 8) and task.X_train.dtype == torch.float32
    assert abs(task.X_train.mean()) < 1e-5 and abs(task.X_train.std() - 1) < 1e-3
    assert torch.equal(task.y_test, torch.tensor(split.y_test))
    with pytest.raises(ValueError, match="wine has 13 features; allowed: a square"):
        sparsity.image_task(datasets.load("wine"))
