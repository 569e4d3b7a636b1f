"""Callbacks for the usual training loops, in the form that a user copies: every step is seen, and only those."""

import sys
from importlib import import_module

import pytest
import torch
from torch import nn

from legc_utils.recorder import LEGCRecorder

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > X[:, 1]).long()
STEPS = 24  # three epochs of batches of eight


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


def check(recorder, model):
    assert recorder.seen == STEPS + 1 and recorder.n_windows == 2 and recorder._handle is None
    assert (recorder.errors >= 0).all() and any(p.requires_grad for p in model.parameters())
    assert all((e != 0).any() for e in recorder.exponents().values())


@pytest.fixture(autouse=True, scope="module")
def torchvision():
    """Importable also where it was built for another torch: transformers and Lightning import it, nothing calls it."""
    try:
        import_module("torchvision")
    except ImportError:
        pass
    except RuntimeError:
        missing = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            missing.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        import_module("torchvision")

        yield missing
        return
    yield


def test_transformers_trainer(tmp_path):
    pytest.importorskip("accelerate")
    pytest.importorskip("transformers")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class LEGC(TrainerCallback):
        def __init__(self, model, **options):
            self.recorder = LEGCRecorder(model, **options)

        def on_train_begin(self, args, state, control, optimizer=None, **_):
            self.recorder.attach(optimizer)

        def on_train_end(self, *_, **__):
            self.recorder.detach()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    model = Model()
    callback = LEGC(model, window=10, error=lambda: (model.net(X).argmax(1) != Y).float().mean())
    arguments = TrainingArguments(
        tmp_path, num_train_epochs=3, per_device_train_batch_size=8, report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y)]
    Trainer(model, arguments, train_dataset=rows, callbacks=[callback]).train()
    check(callback.recorder, model)


@pytest.mark.filterwarnings("ignore")
def test_lightning():
    lightning = pytest.importorskip("lightning.pytorch")

    class LEGC(lightning.Callback):
        def __init__(self, **options):
            self.options = options

        def on_train_start(self, trainer, module):
            error = lambda: module.error()
            self.recorder = LEGCRecorder(module, error=error, **self.options).attach(trainer.optimizers[0])

        def on_train_end(self, trainer, module):
            self.recorder.detach()

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def error(self):
            return (self.net(X).argmax(1) != Y).float().mean()

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    model, callback = Module(), LEGC(window=10)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=8)
    lightning.Trainer(
        max_epochs=3, callbacks=[callback], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    ).fit(model, data)  # fmt: skip
    check(callback.recorder, model)


def test_accelerate():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=4)
    model, optimizer, data = accelerator.prepare(model, optimizer, data)

    recorder = LEGCRecorder(model, window=10, error=lambda: (model(X).argmax(1) != Y).float().mean())
    recorder.attach(optimizer)  # what prepare returned, or what it was given: steps are the same
    for _ in range(3):
        for x, y in data:
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(x), y))
                optimizer.step()
                optimizer.zero_grad()
    recorder.detach()
    check(recorder, model)


def test_compiled_and_plain_loops_record_the_same():
    found = []
    for compiled in (False, True):
        model = network()
        runs = torch.compile(model, backend="eager") if compiled else model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = LEGCRecorder(runs, window=10).attach(optimizer)
        for k in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(runs(X[k % 8 :: 8]), Y[k % 8 :: 8]).backward()
            optimizer.step()
        found.append(recorder.exponents())
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
