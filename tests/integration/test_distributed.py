"""Two processes that train one model together (gloo, no network): whole in each, or in shards."""

import datetime
import time

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn

from legc_utils import selection
from legc_utils.pruning import prune_parameters
from legc_utils.recorder import LEGCRecorder

RANKS, LIMIT = 2, 240  # seconds after which what hangs is ended; a few are usual
CHOICES = dict(window=10, overlap=0.1, max_lag=1)
STEPS = 130


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 1))


def divided(kind, model):
    """The model as a user wraps it; shards of seven rows differ in size, one of a single row is empty elsewhere."""
    if kind == "whole":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard

    for layer in (*model, model):
        if not isinstance(layer, nn.ReLU):
            fully_shard(layer)
    return model


class Run:
    """A model that this process trains on its own half of the data, and asks for its own error."""

    def __init__(self, kind, rank, fails=None, **choices):
        self.model, draw = divided(kind, network()), torch.Generator().manual_seed(rank)
        self.X = torch.randn(208, 4, generator=draw)
        self.y, self.asked, self.fails, self.taken = (self.X[:, :1] > self.X[:, 1:2]).float(), 0, fails, 0
        self.recorder = LEGCRecorder(self.model, **CHOICES | choices, error=self.error)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.2, momentum=0.5)

    def error(self):
        self.asked += 1
        if self.asked == self.fails:
            raise RuntimeError("disk full")
        return ((self.model(self.X) > 0).float() != self.y).float().mean()

    def train(self, steps=STEPS):
        if self.recorder._handle is None:
            self.recorder.attach(self.optimizer)
        for _ in range(steps):
            rows = torch.arange(8) + 8 * self.taken % 208
            self.optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(self.model(self.X[rows]), self.y[rows]).backward()
            self.optimizer.step()
            self.taken += 1
        return self


def told(call):
    """The message of what a call raises."""
    try:
        call()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def work(rank, folder):
    """What one of the processes finds, saved for the tests."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS,
        timeout=datetime.timedelta(seconds=LIMIT / 2),
    )  # fmt: skip
    torch.set_num_threads(1)
    found = {}
    for kind in ("whole", "shards"):
        run, part = Run(kind, rank).train(), Run(kind, rank, sample=6, seed=3).train()
        state = run.recorder.state_dict()
        states = [None] * RANKS
        distributed.all_gather_object(states, state)
        found[kind] = {
            "names": run.recorder.names, "errors": run.recorder.errors, "own": float(run.error()),
            "pvalues": run.recorder.pvalues(), "followed": run.recorder.n_weights, "state": state,
            "sample": part.recorder.followed(), "sampled": part.recorder.pvalues(),
            "untested": run.recorder.untested(run.recorder.pvalues()), "summary": run.recorder.summary(),
        }  # fmt: skip
        resumed = Run(kind, rank)
        if kind == "whole":
            resumed.recorder.load_state_dict(states[0])
        else:
            found["other shard"] = told(lambda: resumed.recorder.load_state_dict(states[1 - rank]))  # noqa: B023
            resumed.recorder.load_state_dict(state)
            found["pruned shard"] = told(lambda: prune_parameters(run.model, run.recorder.pvalues()))  # noqa: B023
        found[kind]["resumed"] = resumed.recorder.pvalues()
    fails = 2 if rank == 1 else None
    found["gap"] = Run("whole", rank, fails=fails, on_error="skip").train(25).recorder.errors
    found["failure"] = told(lambda: Run("whole", rank, fails=fails).train(25))
    torch.save(found, f"{folder}/{rank}")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = multiprocessing.spawn(work, (folder,), nprocs=RANKS, join=False)
    until = time.monotonic() + LIMIT
    try:
        while not processes.join(timeout=1):  # raises what any of them raised
            assert time.monotonic() < until, "the processes wait for each other"
    finally:
        for process in processes.processes:
            process.kill()
    return [torch.load(folder / str(rank), weights_only=False) for rank in range(RANKS)]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n].nan_to_num(-1), b[n].nan_to_num(-1)) for n in a)


@pytest.mark.parametrize("kind", ["whole", "shards"])
def test_all_processes_end_with_the_same_pvalues_and_mask(ranks, kind):
    first, second = (rank[kind] for rank in ranks)
    assert first["names"] == second["names"] == ["0.weight", "2.weight", "4.weight"]
    assert np.array_equal(first["errors"], second["errors"]) and np.ptp(first["errors"]) > 0
    assert first["own"] != second["own"] and same(first["pvalues"], second["pvalues"])
    p = torch.cat([values.flatten() for values in first["pvalues"].values()]).numpy()
    assert 0 < selection.legc_mask(p[~np.isnan(p)]).mean() < 1
    assert first["untested"] == second["untested"] and "of the tested; of noise" in first["summary"]


def test_an_error_is_the_mean_over_the_processes(ranks):
    assert ranks[0]["whole"]["errors"][-1] == pytest.approx(np.mean([rank["whole"]["own"] for rank in ranks]), abs=0.05)


def test_shards_have_the_numbers_of_the_whole(ranks):
    for rank in ranks:
        whole, shards = rank["whole"], rank["shards"]
        assert np.array_equal(whole["errors"], shards["errors"]) and whole["untested"] == shards["untested"]
        assert same(whole["pvalues"], shards["pvalues"]) and same(whole["sampled"], shards["sampled"])
        assert all(torch.equal(whole["sample"][n], shards["sample"][n]) for n in whole["names"])
    assert [rank["whole"]["followed"] for rank in ranks] == [68, 68]
    assert [rank["shards"]["followed"] for rank in ranks] == [16 + 21 + 5, 12 + 14]


@pytest.mark.parametrize("kind", ["whole", "shards"])
def test_a_state_goes_on_with_the_same_numbers(ranks, kind):
    assert all(same(rank[kind]["resumed"], rank[kind]["pvalues"]) for rank in ranks)


def test_of_a_whole_model_one_state_is_enough_and_of_shards_each_its_own(ranks):
    streams = [rank["whole"]["state"]["stream"] for rank in ranks]
    streams = [{k: torch.as_tensor(v, dtype=torch.float64) for k, v in stream.items()} for stream in streams]
    assert same(*streams) and ranks[0]["whole"]["state"]["errors"] == ranks[1]["whole"]["state"]["errors"]
    assert all(rank["other shard"].startswith("ValueError: the state follows") for rank in ranks)


def test_shards_are_not_pruned_and_it_is_said_what_is(ranks):
    assert all("0.weight is sharded" in r["pruned shard"] and "before fully_shard" in r["pruned shard"] for r in ranks)


def test_one_that_fails_leaves_all_with_a_gap_or_ends_all(ranks):
    assert [np.isnan(rank["gap"]).tolist() for rank in ranks] == [[False, True]] * 2
    assert ranks[1]["failure"] == "RuntimeError: disk full"
    assert ranks[0]["failure"].startswith("ValueError: error() is, by rank, [0.") and "nan" in ranks[0]["failure"]
