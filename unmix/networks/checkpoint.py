"""Checkpoints: weights and optimizer state as safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from unmix.errors import UnmixError
from unmix.runtime.files import write_atomic

LAST, BEST = "last.safetensors", "best.safetensors"
HEADER = "unmix"  # key of the JSON text in the safetensors header


def save_weights(path, module: nn.Module, about: dict) -> None:
    """Write a module's state dictionary, with ``about`` as JSON in the header; whole or not."""
    write(path, module.state_dict(), about)


def save(path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: dict) -> None:
    """Write weights, optimizer state (momentum, counters) and ``progress`` as one file."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for i, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value for name, value in entry.items()}
    write(path, tensors, progress)


def write(path, tensors: dict[str, torch.Tensor], about: dict) -> None:
    """Write tensors, with ``about`` as JSON in the header; whole or not."""
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    header = {HEADER: json.dumps(about, ensure_ascii=False)}
    write_atomic(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def read(path, device: str = "cpu") -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and the JSON of the header.

    Raises:
        UnmixError: missing, damaged, or written by another program.
    """
    with _opened(path, device) as file:
        tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
        return tensors, json.loads((file.metadata() or {})[HEADER])


def read_header(path) -> tuple[list[str], dict]:
    """Names of the tensors and the JSON of the header; UnmixError as of ``read``."""
    with _opened(path) as file:
        return sorted(file.keys()), json.loads((file.metadata() or {})[HEADER])


@contextmanager
def _opened(path, device: str = "cpu"):
    """A file of this program, open for reading; UnmixError as of ``read``."""
    if not Path(path).exists():
        raise UnmixError(f"{path}: no such file")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            yield file
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise UnmixError(f"{path}: not a checkpoint of this program ({error})") from None


def _of(kind: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.partition(".")[2]: v for k, v in tensors.items() if k.partition(".")[0] == kind}


def read_weights(path) -> tuple[dict[str, torch.Tensor], dict]:
    """Of what ``save`` wrote, the weights and ``progress``; UnmixError as of ``read``."""
    tensors, progress = read(path)
    return _of("module", tensors), progress


def load(path, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    """Restore what ``save`` wrote into ``module`` and ``optimizer``; returns ``progress``.

    Raises:
        UnmixError: the file is damaged, or belongs to another model.
    """
    tensors, progress = read(path)
    entries = {}
    for key, tensor in _of("optimizer", tensors).items():
        number, _, name = key.partition(".")
        entries.setdefault(int(number), {})[name] = tensor
    load_weights(path, module, _of("module", tensors))
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": entries, "param_groups": groups})
    return progress


def load_weights(path, module: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """``module.load_state_dict`` with a clear error that names the file."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UnmixError(f"{path}: does not fit this model ({reason})") from None


def begin_from(path, module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Fill a module with the weights that were read from a file. A part that they do not have, or
    have in another size, stays as it is.

    Raises:
        UnmixError: nothing in the file fits.
    """
    own = module.state_dict()
    fits = {k: v.float() for k, v in tensors.items() if k in own and v.shape == own[k].shape}
    if not fits:
        raise UnmixError(f"{path}: nothing in it fits this model")
    load_weights(path, module, own | fits)
