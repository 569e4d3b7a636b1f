"""How much smaller and faster networks become when the units that masks take are cut out, by three choices of units.

Random weights, trained for a moment on noise: sizes and times do not depend on the data; how well the networks do is
chapter 13's question.
"""

import copy
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.recorder import _seconds as seconds
from benchmarks.recorder import one_thread
from legc_utils.pruning import LEGCRecorder, LEGCStructured, prune_parameters, shrink
from study.networks import DenseNet

SHARES = (0.25, 0.5)
STEPS, WINDOW, SAMPLE = 120, 10, 200  # of the training that the recorder follows; weights a parameter
REPEATS = 21


class Words(torch.nn.Module):
    """int64 (n, length) -> logits (n, length, vocabulary): an embedding, an LSTM, two linear layers."""

    def __init__(self, vocabulary, width, hidden):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, width)
        self.lstm = torch.nn.LSTM(width, hidden, batch_first=True)
        self.up, self.out = torch.nn.Linear(hidden, hidden), torch.nn.Linear(hidden, vocabulary)

    def forward(self, x):
        return self.out(torch.relu(self.up(self.lstm(self.embedding(x))[0])))


class Logits(torch.nn.Module):
    """A network of transformers, as a function of its first input to logits."""

    def __init__(self, model, **options):
        super().__init__()
        self.model, self.options = model, options

    def forward(self, x):
        return self.model(x, **self.options).logits


def resnet(tiny):
    from transformers import ResNetConfig, ResNetForImageClassification

    width = 16 if tiny else 64
    sizes = dict(embedding_size=width, hidden_sizes=[width * 2**k for k in range(4)], depths=[2] * 4)
    return Logits(ResNetForImageClassification(ResNetConfig(layer_type="basic", num_labels=10, **sizes)))


def mobilenet(tiny):
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    sizes = dict(depth_multiplier=0.35 if tiny else 1.0, image_size=32 if tiny else 64)
    return Logits(MobileNetV2ForImageClassification(MobileNetV2Config(tf_padding=False, num_labels=10, **sizes)))


def vit(tiny):
    from transformers import ViTConfig, ViTForImageClassification

    image, width, layers, heads = (32, 32, 2, 4) if tiny else (64, 384, 6, 6)
    sizes = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width)
    return Logits(ViTForImageClassification(ViTConfig(image_size=image, patch_size=8, num_labels=10, **sizes)))


def gpt2(tiny):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = dict(n_embd=32, n_layer=2, n_head=4, vocab_size=50) if tiny else dict(
        n_embd=384, n_layer=6, n_head=6, vocab_size=5000)  # fmt: skip
    config = GPT2Config(n_positions=64, bos_token_id=0, eos_token_id=0, **sizes)
    return Logits(GPT2LMHeadModel(config), use_cache=False)


def networks(tiny=False):
    """Name -> (function without arguments that makes the network, function of n that gives so many inputs)."""
    size = 32 if tiny else 64
    images, grey = (lambda n, c=c: torch.randn(n, c, size, size) for c in (3, 1))
    words = lambda n: torch.randint(0, 50, (n, 16 if tiny else 64))
    return {
        "ResNet-18": (lambda: resnet(tiny), images),
        "DenseNet": (lambda: DenseNet(*((8, (2, 2)) if tiny else (12, (12, 12, 12)))), grey),
        "MobileNet-v2": (lambda: mobilenet(tiny), images),
        "ViT": (lambda: vit(tiny), images),
        "GPT-2": (lambda: gpt2(tiny), words),
        "LSTM": (lambda: Words(*((50, 16, 16) if tiny else (5000, 256, 512))), words),
    }


def recorded(model, inputs, steps):
    """LEGC's p-values of a model that is shown noise for so many steps, a sample of its weights followed."""
    data, fixed = [inputs(8) for _ in range(4)], torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def loss(x, generator=None):  # labels are drawn anew, so that the training never settles
        logits = model(x).flatten(0, -2)
        labels = torch.randint(logits.shape[1], logits.shape[:1], generator=generator)
        return torch.nn.functional.cross_entropy(logits, labels)

    names = [name for name, p in model.named_parameters() if p.ndim > 1 and "embedding" not in name]
    error = lambda: loss(data[0], fixed.manual_seed(0)).item()
    recorder = LEGCRecorder(model, WINDOW, parameters=names, error=error, sample=SAMPLE, max_lag=1)
    recorder.attach(optimizer)
    for step in range(steps):
        optimizer.zero_grad()
        loss(data[step % 4]).backward()
        optimizer.step()
    recorder.detach()
    return recorder.pvalues()


def milliseconds(model, x, repeats):
    """Median time of a forward pass without gradients, of the processor."""
    with torch.no_grad():
        model(x)
        return 1e3 * float(np.median([seconds(lambda: model(x)) for _ in range(repeats)]))


def onnx_bytes(model, x):
    """Size of the exported model, weights included."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        file = Path(folder) / "model.onnx"
        torch.onnx.export(model, (x,), file, dynamo=True, verbose=False, external_data=False)
        return file.stat().st_size


@one_thread()
def table(quick=False):
    """Every network as it is, and cut by LEGC, magnitude and at random at equal shares: one row each.

    Columns: network; ranking and share (of each layer's units that go; dense: 0); parameters; parameters_share (of the
    dense network's); batch1_ms, batch32_ms (median forward pass in evaluation, processor time of one thread);
    onnx_bytes; difference (largest, of the cut network's outputs from the masked network's).
    """
    rows = []
    for network, (make, inputs) in networks(quick).items():
        torch.manual_seed(0)
        model = make()
        p = recorded(model, inputs, 60 if quick else STEPS)
        model.eval()
        x, more = inputs(1), inputs(32)
        for ranking, share in [("dense", 0.0)] + [(r, s) for s in SHARES for r in ("LEGC", "magnitude", "random")]:
            small, difference = model, 0.0
            if share:
                masked = copy.deepcopy(model)
                weights = dict(model.named_parameters())
                scores = {
                    n: weights[n].detach().abs() if ranking == "magnitude" else torch.rand(v.shape)
                    for n, v in p.items()
                }
                rule = dict(pvalues=p) if ranking == "LEGC" else dict(importance_scores=scores)
                prune_parameters(masked, method=LEGCStructured, amount=share, example_inputs=x, **rule)
                small = shrink(masked, x)
                with torch.no_grad():
                    difference = (masked(more) - small(more)).abs().max().item()
            parameters = sum(w.numel() for w in small.parameters())
            rows.append(dict(
                network=network, ranking=ranking, share=share, parameters=parameters,
                parameters_share=parameters / sum(w.numel() for w in model.parameters()),
                batch1_ms=milliseconds(small, x, 3 if quick else REPEATS),
                batch32_ms=milliseconds(small, more, 1 if quick else 7),
                onnx_bytes=onnx_bytes(small, x), difference=difference,
            ))  # fmt: skip
            print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    found = table()
    found.to_csv(Path(__file__).parent / "results" / "shrink.csv", index=False, float_format="%.6g")
