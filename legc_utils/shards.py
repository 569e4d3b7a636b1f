"""What processes that train one model together hold of it, and what they must agree on.

Parameters may be whole in every process, as under DistributedDataParallel, or DTensors, of which each process holds a
shard, as under torch.distributed.fsdp.fully_shard.
"""

import torch
from torch import distributed


def is_shard(tensor):
    """Whether a tensor is a DTensor."""
    return hasattr(tensor, "to_local")


def local(tensor):
    """The part of a tensor that this process holds: all of it, or its shard."""
    tensor = tensor.detach()
    return tensor.to_local() if is_shard(tensor) else tensor


def offset(tensor):
    """Where this process's shard begins in the whole tensor: a tuple of int, of zeros if it holds all of it."""
    if not is_shard(tensor):
        return (0,) * tensor.ndim
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    where = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(where[1])


def taken(tensor, places):
    """Flat indices in this process's shard of what has the flat indices `places`, sorted, in the whole tensor."""
    if not is_shard(tensor):
        return places
    flat = torch.zeros((), dtype=torch.int64)
    for size, first, whole in zip(local(tensor).shape, offset(tensor), tensor.shape):
        flat = flat[..., None] * whole + torch.arange(first, first + size)
    return torch.isin(flat.flatten(), places).nonzero()[:, 0]


def whole(values, tensor):
    """All of a tensor, in every process, that is divided as `tensor` is, and of which each holds `values`."""
    if not is_shard(tensor):
        return values
    from torch.distributed.tensor import DTensor

    parts = values.to(tensor.device), tensor.device_mesh, tensor.placements
    return DTensor.from_local(*parts, run_check=False, shape=tensor.shape, stride=tensor.stride()).full_tensor().cpu()


def of_all(value):
    """What every process has in the place of `value`, by rank: a list; of one process its own."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    found = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found
