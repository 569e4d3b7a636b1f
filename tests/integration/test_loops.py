"""The snippets of the page "How to", executed as they stand there: in every loop each step is seen, and only those."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from legc_utils import pruning
from legc_utils.recorder import LEGCRecorder

PAGE = (Path(__file__).parents[2] / "book" / "howto.md").read_text()
X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > X[:, 1]).long()
STEPS = 24  # three epochs of batches of eight


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


def run(heading, net, **names):
    """Execute the first code under a heading of the page: its names. `net` is what the error is measured of."""
    (code,) = re.findall(rf"^#+ {heading}\n.*?^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    names = dict(
        LEGCRecorder=LEGCRecorder, prune_parameters=pruning.prune_parameters, torch=torch, model=net,
        error=lambda: (net(X).argmax(1) != Y).float().mean(),
    ) | names  # fmt: skip
    exec(code.replace("window=20", "window=10"), names)
    return names


def check(recorder, masks, net):
    assert recorder.seen == STEPS + 1 and recorder.n_windows == 2 and recorder._handle is None
    assert (recorder.errors >= 0).all() and any(p.requires_grad for p in net.parameters())
    assert all((e != 0).any() for e in recorder.exponents().values())
    assert len(masks) == 2 and {name.rpartition(".")[2] for name in masks} == {"weight"}


@pytest.fixture(autouse=True)
def two_windows(monkeypatch):
    """p-values of two windows there are none: the snippets' masks are of random ones."""
    draw = torch.Generator().manual_seed(1)
    pvalues = lambda self: {n: torch.rand(m.shape, generator=draw) for n, m in self.followed().items()}
    monkeypatch.setattr(LEGCRecorder, "pvalues", pvalues)


def batches(size=8):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=size)


def test_transformers_trainer(tmp_path):
    pytest.importorskip("accelerate")
    transformers = pytest.importorskip("transformers")

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    model = Model()
    arguments = transformers.TrainingArguments(
        tmp_path, num_train_epochs=3, per_device_train_batch_size=8, report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y)]
    found = run("Trainer", model.net, model=model, arguments=arguments, data=rows)
    check(found["legc"].recorder, found["masks"], model)


@pytest.mark.filterwarnings("ignore")
def test_lightning():
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    module = Module()
    options = dict(
        max_epochs=3, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    found = run("Lightning", module.net, module=module, data=batches(), options=options)
    check(found["legc"].recorder, found["masks"], module)


def test_accelerate():
    accelerate = pytest.importorskip("accelerate")
    model = network()
    found = run(
        "Accelerate", model, accelerator=accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1), data=batches(4), epochs=3,
    )  # fmt: skip
    check(found["recorder"], found["masks"], model)


def train(net, optimizer):
    for _ in range(3):
        for x, y in batches():
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()


@pytest.fixture
def alone(tmp_path):
    """A group of one process; several are the recorder's own tests' concern."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_data_parallel(alone):
    model = network()
    found = run("Several processes", model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), train=train)
    check(found["recorder"], found["masks"], model)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = network()
        self.body.head = nn.Linear(2, 2)
        self.head = self.body.head

    def forward(self, x):
        return self.body(x)


def test_without_a_recorder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, fresh = Net(), Net()
    p = {name: torch.rand(w.shape) for name, w in model.named_parameters() if w.ndim == 2}
    torch.save(p, "pvalues.pt")
    run("Without a recorder", model, fresh=fresh)
    left = {name: (w != 0).double().mean().item() for name, w in model.named_parameters() if w.ndim == 2}
    assert left == pytest.approx({"body.0.weight": 0.2, "body.2.weight": 0.2, "body.head.weight": 1})
    assert not any(m._forward_pre_hooks for m in model.modules())
    assert torch.equal(fresh.body[0].weight_mask != 0, model.body[0].weight != 0)
    assert torch.equal(fresh.head.weight_mask != 0, p["body.head.weight"] < 0.01)


def test_too_many_weights(capsys):
    model = Net()
    found = run("Too many weights", model)
    assert found["recorder"].names == ["body.0.weight", "body.2.weight", "body.head.weight"]
    assert capsys.readouterr().out.startswith("{'body.0.weight': 30, ")


def test_really_smaller():
    pytest.importorskip("torch_pruning")
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    p = {"0.weight": torch.rand(5, 6), "2.weight": torch.rand(2, 5)}
    found = run("Really smaller", model, pvalues=p, optimizer=optimizer, x=X)
    small = found["small"]
    assert small[0].out_features == 4 == small[2].in_features and torch.allclose(small(X), model(X), atol=1e-6)
    assert {id(w) for g in optimizer.param_groups for w in g["params"]} == {id(w) for w in small.parameters()}


def test_compiled_and_plain_loops_record_the_same():
    found = []
    for compiled in (False, True):
        model = network()
        runs = torch.compile(model, backend="eager") if compiled else model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = LEGCRecorder(runs, window=10).attach(optimizer)
        train(runs, optimizer)
        found.append(recorder.exponents())
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
