"""Several processes that train one model together, as ``torchrun`` starts them.

Each takes its own random batches; gradients are averaged, so that all hold the same weights. The
first process (rank 0) alone validates and writes. Without ``torchrun`` everything here is idle.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import torch
from torch import distributed, nn


def rank() -> int:
    """This process's number among them; 0 where there is one."""
    return int(os.environ.get("RANK", 0))


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", 1))


def default_device() -> str:
    """This process's own CUDA device, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"


def join(device: str) -> None:
    """Find the other processes, once."""
    if world() == 1 or distributed.is_initialized():
        return
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl")
    else:
        distributed.init_process_group("gloo")
    atexit.register(distributed.destroy_process_group)


def agree(values: Sequence[float], device: str) -> list[float]:
    """The values of rank 0, in every process."""
    if world() == 1:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.broadcast(tensor, 0)
    return tensor.tolist()


def same_weights(module: nn.Module) -> None:
    """Copy the weights and buffers of rank 0 into every process."""
    if world() > 1:
        for tensor in module.state_dict().values():
            distributed.broadcast(tensor, 0)


def mean_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes; one that is missing counts as 0."""
    if world() == 1:
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([grad.flatten() for grad in grads])
    distributed.all_reduce(flat)
    flat /= world()
    sizes = [p.numel() for p in parameters]
    for p, mean in zip(parameters, flat.split(sizes), strict=True):
        p.grad = mean.view_as(p)


def wait() -> None:
    """Until every process is here."""
    if world() > 1:
        distributed.barrier()
