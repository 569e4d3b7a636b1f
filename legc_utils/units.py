"""Which parts of parameters make up a unit: a neuron, a filter with its bias and batch norm, an attention head."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.modules import batchnorm, conv

from legc_utils.protocols import check, is_whole


class Part(NamedTuple):
    """The unit to which each index along one dimension of a parameter belongs; -1: to none."""

    module: torch.nn.Module
    name: str
    dim: int
    member: np.ndarray  # int (size of dim,)
    makes: bool = True  # these weights compute the unit, and their p-values are its own; else they use it

    def units(self):
        """The unit of every weight, int array of the parameter's shape."""
        shape = getattr(self.module, self.name).shape
        return np.broadcast_to(along(self.member, self.dim, len(shape)), shape)


def along(member, dim, ndim):
    """Indices (size of dim,) that can be broadcast to a shape of `ndim` dimensions."""
    return np.expand_dims(member, [k for k in range(ndim) if k != dim])


def numbered(groups, size):
    """`groups` as an array, or ValueError if these are not the units of `size` indices."""
    groups = np.asarray(groups)
    if groups.shape != (size,) or groups.dtype.kind not in "iu" or (groups < 0).any():
        raise ValueError(f"groups={groups.tolist()!r} is not allowed; give {size} whole numbers from 0 on")
    return groups


def attention_heads(n_heads, width, projections=1):
    """`groups` for `LEGCStructured`: the head of each index of an attention projection, int (projections · width,).

    width : int, the size of the embedding. projections : int, how many lie on top of each other, 3 in the
    in_proj_weight of torch.nn.MultiheadAttention. With dim=0 for queries, keys and values, dim=1 for the output.
    Raises ValueError unless n_heads divides width.
    """
    check(n_heads=n_heads, width=width, projections=projections)
    if width % n_heads:
        raise ValueError(f"n_heads={n_heads!r} is not allowed; give a divisor of width={width}")
    return np.tile(np.repeat(np.arange(n_heads), width // n_heads), projections)


def is_transposed(module):
    """Whether a layer's weight has inputs first: transposed convolutions, and Conv1D of transformers."""
    return isinstance(module, conv._ConvTransposeNd) or type(module).__name__ == "Conv1D"


def output_dim(module, name, dim="out"):
    """The dimension of `module.<name>` that counts outputs, or `dim` itself, from 0 on; ValueError for others."""
    if isinstance(dim, str) and dim == "out":
        return int(is_transposed(module) and name == "weight")
    ndim = getattr(module, name).ndim
    if not is_whole(dim, -ndim, ndim - 1):
        raise ValueError(f"dim={dim!r} is not allowed; {name} has the dimensions 0 to {ndim - 1}")
    return dim % ndim


def outputs(module, member):
    """The outputs of a layer or a norm: of its weight, and of its bias."""
    own = [name for name in ("weight", "bias") if isinstance(getattr(module, name, None), torch.Tensor)]
    return [Part(module, name, output_dim(module, name), member) for name in own]


def inputs(module, member):
    """The inputs of a layer."""
    return [Part(module, "weight", 1 - output_dim(module, "weight"), member, False)]


HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "heads")


def heads(module):
    """The heads of an attention: its outputs are queries, keys and values. An empty list for any other module.

    torch's own, or with a linear layer for each of query, key, value and, last, output; or one for the first three.
    """
    n = next((getattr(module, name) for name in HEADS if is_whole(getattr(module, name, None))), None)
    if isinstance(module, torch.nn.MultiheadAttention):
        width, stacks = module.embed_dim, dict(q_proj_weight=1, k_proj_weight=1, v_proj_weight=1)
        found = [Part(module, name, 0, attention_heads(n, width, k))
                 for name, k in (stacks | dict(in_proj_weight=3, in_proj_bias=3)).items()
                 if isinstance(getattr(module, name, None), torch.Tensor)]  # fmt: skip
        return found + inputs(module.out_proj, attention_heads(n, width))
    layers = {k: c for k, c in module.named_children() if isinstance(c, torch.nn.Linear) or is_transposed(c)}
    if n is None or len(layers) not in (2, 4) or "query_key_value" in layers:  # which has the heads interleaved
        return []
    *many, last = layers.values()
    width, stack = last.weight.shape[1 - output_dim(last, "weight")], 3 if len(many) == 1 else 1
    if width % n or any(c.weight.shape[output_dim(c, "weight")] != stack * width for c in many):
        return []
    found = [part for c in many for part in outputs(c, attention_heads(n, width, stack))]
    return found + inputs(last, attention_heads(n, width))


def layer(module, name, dim="out", groups=None, norm=None, biases=True):
    """The units along a dimension of one parameter; of outputs, with the bias, and the batch norm that follows."""
    dim = output_dim(module, name, dim)
    size = getattr(module, name).shape[dim]
    member = numbered(range(size) if groups is None else groups, size)
    found = [Part(module, name, dim, member)]
    if biases and name == "weight" and dim == output_dim(module, name):
        follows = isinstance(norm, batchnorm._BatchNorm) and norm.num_features == size
        found += [part for part in outputs(module, member)[1:] + (outputs(norm, member) if follows else [])
                  if len(getattr(part.module, part.name)) == size]  # fmt: skip
    return found


def layers(model, names, biases=True, **options):
    """The units of parameters, (module, name) pairs, a list of parts for each set; heads first, without `options`.

    **options : dim and groups, as in `LEGCStructured.apply`
    """
    found = [] if options else [parts for module in model.modules() if (parts := heads(module))]
    found = [[part for part in parts if biases or "bias" not in part.name] for parts in found]
    found = [parts for parts in found if any((part.module, part.name) in names for part in parts)]
    follows = {}
    for parent in model.modules():
        children = [c for c in parent.children() if next(c.parameters(), None) is not None]
        follows |= dict(zip(children, children[1:]))
    covered = {(part.module, part.name) for parts in found for part in parts}
    for module, name in sorted(names, key=lambda place: getattr(*place).ndim == 1):  # biases go with their weights
        if (module, name) not in covered:
            found.append(layer(module, name, norm=follows.get(module), biases=biases, **options))
            covered |= {(part.module, part.name) for part in found[-1]}
    return found
