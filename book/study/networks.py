"""Small relatives of the networks that the paper leaves to future work: ResNet, DenseNet, transformer.

Plain torch modules that train in seconds on a processor. Each keeps every linear map in a `Linear` or `Conv2d` of its
own, so that any pruning method finds it, and says in `units` what can be left out as a whole. Built with `copies`, each
is that many networks side by side, which read the same and never meet (`side_by_side`).
"""

import pandas as pd
import torch
from numba import njit
from torch import nn
from torch.nn import functional as F

from legc_utils import training


def mlp(weights, biases, layers, output="sigmoid"):
    """The paper's network of these flat parameters (see `training`): torch.nn.Sequential of Linear and Sigmoid.

    weights (n_weights,), biases (n_biases,) float64 arrays; output "softmax" has a Softmax at its end instead.
    """
    modules = []
    for w, b, (fan_out, fan_in) in training.layer_slices(layers):
        linear = torch.nn.Linear(fan_in, fan_out, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(weights[w].reshape(fan_out, fan_in)))
            linear.bias.copy_(torch.as_tensor(biases[b]))
        modules += [linear, torch.nn.Sigmoid()]
    if output == "softmax":
        modules[-1] = torch.nn.Softmax(dim=-1)
    return torch.nn.Sequential(*modules)


def forward(weights, biases, X, layers, output="sigmoid"):
    """Outputs (M, n, outputs) of M networks on X, as a torch tensor of the weights' type.

    weights (M, n_weights), biases (M, n_biases): arrays or tensors. X (n, inputs) for all, or (G, n, inputs) with one
    block for each of G groups of M / G networks that follow each other.
    """
    weights, biases = torch.as_tensor(weights), torch.as_tensor(biases)
    a = torch.as_tensor(X, dtype=weights.dtype)
    a = a.reshape(-1, *a.shape[-2:])
    # split rather than sliced: one gradient is put together, instead of one of full size added for every layer
    parts = weights.split([i * o for i, o in zip(layers, layers[1:])], 1), biases.split(list(layers[1:]), 1)
    for layer, (w, b, fan_in, fan_out) in enumerate(zip(*parts, layers, layers[1:]), start=2):
        # networks of a group see the same inputs: one large product for their first layers, instead of many small ones
        together = w.reshape(len(a), -1, fan_in)
        alone = len(a) == 1  # torch is a third faster without the batch axis
        z = torch.nn.functional.linear(a[0], together[0])[None] if alone else a @ together.transpose(1, 2)
        z = z.unflatten(-1, (-1, fan_out)).transpose(1, 2).flatten(0, 1) + b[:, None]
        a = torch.softmax(z, -1) if layer == len(layers) and output == "softmax" else torch.sigmoid(z)
    return a


def linear_maps(model):
    """Names of the weights of all `Linear` and `Conv2d` modules, in the model's order: list of str.

    These are the weights that the chapters record, rank and prune; biases, norms and embedding tables are left alone.
    """
    return [f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def layers(model):
    """The linear maps of a model: DataFrame by name of their shape, number of weights, and units (NA where none)."""
    maps = {name: model.get_parameter(name) for name in linear_maps(model)}
    table = pd.DataFrame({name: {"shape": tuple(w.shape), "weights": w.numel()} for name, w in maps.items()}).T
    return table.assign(units=pd.Series(model.units, dtype="Int64"))


def side_by_side(build, models):
    """Several networks as one that takes each step of all of them at once: small networks mostly wait for each other.

    Parameters
    ----------
    build : callable, copies=k -> torch.nn.Module
        Every parameter of k copies is the parameters of the k networks behind each other along one dimension.
    models : sequence of torch.nn.Module
        Networks of that build, without buffers; their parameters are copied.

    Returns
    -------
    torch.nn.Module: inputs -> (…, copies · n_classes), the logits of the first network first.
    """
    with torch.device("meta"):
        many = build(copies=len(models))
    state = {}
    for name, whole in many.named_parameters():
        parts = [model.get_parameter(name).detach() for model in models]
        dim = next((d for d, size in enumerate(parts[0].shape) if size != whole.shape[d]), 0)
        state[name] = torch.cat(parts, dim)
    many.load_state_dict(state, assign=True)
    return many.to(memory_format=torch.channels_last)  # oneDNN's kernels for many groups are fastest so


def _conv(n_in, n_out, size, stride=1, copies=1):
    return nn.Conv2d(copies * n_in, copies * n_out, size, stride, padding=size // 2, bias=False, groups=copies)


@njit(cache=True, error_model="numpy")
def _add_products(g, x, out):
    """out[k, o, i] += Σ_t g[t, k, o] · x[t, k, i], eight t at a time; no sum depends on the length of a vector."""
    n, copies, n_out = g.shape
    for k in range(copies):
        for t in range(0, n - n % 8, 8):
            a, b, c, d = x[t, k], x[t + 1, k], x[t + 2, k], x[t + 3, k]
            e, f, h, j = x[t + 4, k], x[t + 5, k], x[t + 6, k], x[t + 7, k]
            for o in range(n_out):
                row, w = out[k, o], g[t : t + 8, k, o]
                for i in range(row.size):
                    row[i] += (
                        ((w[0] * a[i] + w[1] * b[i]) + (w[2] * c[i] + w[3] * d[i]))
                        + ((w[4] * e[i] + w[5] * f[i]) + (w[6] * h[i] + w[7] * j[i]))
                    )  # fmt: skip
        for t in range(n - n % 8, n):
            for o in range(n_out):
                out[k, o] += g[t, k, o] * x[t, k]


class _Maps(torch.autograd.Function):
    """(…, copies · n_in), weight (copies · n_out, n_in) -> (…, copies · n_out), fast for many small maps.

    As convolutions of single points, since oneDNN's kernels are twice as fast here as the batched product of MKL; it is
    slow only at the gradient of the weights, which `_add_products` sums up.
    """

    @staticmethod
    def forward(ctx, x, weight, copies):
        ctx.save_for_backward(x, weight)
        ctx.copies = copies
        return _map(x, weight, copies)

    @staticmethod
    def backward(ctx, g):
        (x, weight), copies = ctx.saved_tensors, ctx.copies
        parts = (y.contiguous().view(-1, copies, y.shape[-1] // copies).numpy() for y in (g, x))
        gradient = torch.zeros_like(weight)
        _add_products(*parts, gradient.view(copies, -1, weight.shape[1]).numpy())
        back = weight.unflatten(0, (copies, -1)).transpose(1, 2).flatten(0, 1)
        return _map(g, back, copies), gradient, None


def _map(x, weight, copies):
    points = x.reshape(len(x), -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
    y = F.conv2d(points, weight[..., None, None], groups=copies)
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


class Linear(nn.Linear):
    """Linear maps side by side: (…, copies · n_in) -> (…, copies · n_out), each of its own part of the input."""

    def __init__(self, n_in, n_out, bias=True, copies=1):
        super().__init__(n_in, copies * n_out, bias)
        self.copies = copies

    def forward(self, x):
        if self.copies == 1:
            return super().forward(x)
        y = _Maps.apply(x, self.weight, self.copies)
        return y if self.bias is None else y + self.bias


class LayerNorm(nn.LayerNorm):
    """Layer norms side by side: (…, copies · width) -> the same."""

    def __init__(self, width, copies=1):
        super().__init__(copies * width)
        self.copies = copies

    def forward(self, x):
        if self.copies == 1:
            return super().forward(x)
        parts = x.unflatten(-1, (self.copies, -1))
        return F.layer_norm(parts, parts.shape[-1:]).flatten(-2) * self.weight + self.bias


def _batch_norm(width):
    """Batch norm by the statistics of the batch at hand, in evaluation too.

    Running averages lag behind a training of a few hundred steps, and blur every error that is asked for on the way.
    """
    return nn.BatchNorm2d(width, track_running_stats=False)


def _stem(width):
    """Images at a quarter of their height and width, and a first convolution: (n, 1, 28, 28) -> (n, width, 7, 7).

    Copies read the same image, so that a stem of several is a wider one.
    """
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False))


class BasicBlock(nn.Module):
    """relu(x + f(x)), f two 3×3 convolutions with batch norm (He et al. 2016, figures 2 and 5, left)."""

    def __init__(self, n_in, n_out, stride, copies=1):
        super().__init__()
        self.conv1 = _conv(n_in, n_out, 3, stride, copies)
        self.norm1 = _batch_norm(copies * n_out)
        self.conv2 = _conv(n_out, n_out, 3, copies=copies)
        self.norm2 = _batch_norm(copies * n_out)
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else _conv(n_in, n_out, 1, stride, copies)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.norm2(self.conv2(y)))


class ResNet(nn.Module):
    """A residual network for grey images (He et al. 2016): one block a width, each but the first at half the size.

    Parameters
    ----------
    widths : sequence of int
        Channels of each block.
    n_classes, copies : int

    Notes
    -----
    float32 (n, 1, height, width) -> logits (n, copies · n_classes). `units` names the first convolution of every block:
    its filters can go without touching the sum x + f(x).
    """

    def __init__(self, widths=(8, 16, 32), n_classes=10, copies=1):
        super().__init__()
        pairs = zip((widths[0], *widths), widths)
        blocks = [BasicBlock(n_in, n_out, 2 if k else 1, copies) for k, (n_in, n_out) in enumerate(pairs)]
        self.stem = nn.Sequential(_stem(copies * widths[0]), _batch_norm(copies * widths[0]), nn.ReLU())
        self.blocks = nn.Sequential(*blocks)
        self.head = Linear(widths[-1], n_classes, copies=copies)
        self.units = {f"blocks.{k}.conv1.weight": width for k, width in enumerate(widths)}

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


class DenseLayer(nn.Module):
    """x and growth new channels, from batch norm, relu and a 3×3 convolution of x (Huang et al. 2017, equation 2)."""

    def __init__(self, n_in, growth, copies=1):
        super().__init__()
        self.copies = copies
        self.norm = _batch_norm(copies * n_in)
        self.conv = _conv(n_in, growth, 3, copies=copies)

    def forward(self, x):
        new = self.conv(F.relu(self.norm(x)))
        if self.copies == 1:
            return torch.cat([x, new], dim=1)
        parts = [y.permute(0, 2, 3, 1).unflatten(-1, (self.copies, -1)) for y in (x, new)]  # channels stay last
        return torch.cat(parts, dim=-1).flatten(-2).permute(0, 3, 1, 2)


class DenseNet(nn.Module):
    """A densely connected network for grey images (Huang et al. 2017): every layer sees all layers before it.

    Parameters
    ----------
    growth : int
        Channels that a layer adds.
    layers : sequence of int
        Layers of each dense block; between two blocks a 1×1 convolution halves the channels and pooling the size.
    n_classes, copies : int

    Notes
    -----
    float32 (n, 1, height, width) -> logits (n, copies · n_classes). `units` names the convolutions of the dense layers.
    """

    def __init__(self, growth=8, layers=(3, 3), n_classes=10, copies=1):
        super().__init__()
        width, parts, self.units = 2 * growth, [], {}
        for b, n_layers in enumerate(layers):
            if b:
                narrow = _conv(width, width // 2, 1, copies=copies)
                parts.append(nn.Sequential(_batch_norm(copies * width), nn.ReLU(), narrow, nn.AvgPool2d(2)))
                width //= 2
            for _ in range(n_layers):
                self.units[f"features.{len(parts)}.conv.weight"] = growth
                parts.append(DenseLayer(width, growth, copies))
                width += growth
        self.stem = _stem(copies * 2 * growth)
        self.features = nn.Sequential(*parts)
        self.norm = _batch_norm(copies * width)
        self.head = Linear(width, n_classes, copies=copies)

    def forward(self, x):
        return self.head(F.relu(self.norm(self.features(self.stem(x)))).mean(dim=(2, 3)))


class Attention(nn.Module):
    """Causal multi-head self-attention with a projection each for queries, keys, values and output.

    Vaswani et al. 2017, section 3.2; (n, length, copies · width) -> the same. Raises ValueError if the heads do not
    divide the width.
    """

    def __init__(self, width, heads, copies=1):
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} is not allowed with {heads} heads; give a multiple of {heads}")
        self.heads = copies * heads
        self.query, self.key, self.value, self.out = (Linear(width, width, False, copies) for _ in range(4))

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then two linear layers at each position, each added to its input; norms come first."""

    def __init__(self, width, heads, copies=1):
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(width, copies), LayerNorm(width, copies)
        self.attention = Attention(width, heads, copies)
        self.up, self.down = Linear(width, 2 * width, copies=copies), Linear(2 * width, width, copies=copies)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """A language model of characters: the decoder of Vaswani et al. 2017 without an encoder.

    Parameters
    ----------
    n_characters : int
        Size of the vocabulary.
    context : int
        Longest text that it reads, in characters.
    width, heads, blocks, copies : int

    Notes
    -----
    int64 (n, length) -> logits (n, length, copies · n_characters) for the character that follows each. `units` names
    the hidden layer of every block, whose units are neurons, and its value projection, whose units are heads: a head
    without values says nothing. Raises ValueError for a text longer than the context.
    """

    def __init__(self, n_characters, context=32, width=48, heads=4, blocks=2, copies=1):
        super().__init__()
        self.context = context
        self.characters, self.positions = (nn.Embedding(n, copies * width) for n in (n_characters, context))
        self.blocks = nn.Sequential(*[TransformerBlock(width, heads, copies) for _ in range(blocks)])
        self.norm, self.head = LayerNorm(width, copies), Linear(width, n_characters, copies=copies)
        self.units = {f"blocks.{k}.attention.value.weight": heads for k in range(blocks)}
        self.units |= {f"blocks.{k}.up.weight": 2 * width for k in range(blocks)}

    def forward(self, x):
        if x.shape[1] > self.context:
            raise ValueError(f"the text has {x.shape[1]} characters; allowed: up to {self.context}")
        place = torch.arange(x.shape[1], device=x.device)
        return self.head(self.norm(self.blocks(self.characters(x) + self.positions(place))))
