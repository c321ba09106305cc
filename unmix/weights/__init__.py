"""The weights that come with the package: one safetensors file a proxy, and the model's own."""

from __future__ import annotations

import copy
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from unmix import effects
from unmix.errors import UnmixError
from unmix.networks import checkpoint

if TYPE_CHECKING:
    import torch

INVERSE_FILE = "inverse.safetensors"
RERANKER_FILE = "reranker.safetensors"


def bundled(file: str) -> Path:
    """Path of a bundled file, whether it exists or not."""
    return Path(str(resources.files(__name__) / file))


def proxy_file(name: str) -> str:
    """File name of the weights of that effect's proxy."""
    return f"{name}-proxy.safetensors"


def load_into(module, path, device: str = "cpu"):
    """Fill a module from a safetensors file and freeze it: evaluation mode, no gradients.

    Returns:
        (the module on ``device``, the JSON object in the file's header).

    Raises:
        UnmixError: the file is missing, damaged, or belongs to another model.
    """
    tensors, about = checkpoint.read(path, device)
    checkpoint.load_weights(path, module.to(device), tensors)
    return module.eval().requires_grad_(False), about


def load_proxy(name: str, device: str = "cpu", path: str | Path | None = None) -> torch.nn.Module:
    """The trained proxy of an effect, frozen: ``proxy(audio, knobs, switches)``.

    Args:
        name: the effect.
        device: where its tensors go.
        path: other weights than the bundled ones, e.g. ``best.safetensors`` of a run.

    Raises:
        UnmixError: no such effect, or no weights that fit it.
    """
    proxy = effects.get(name).build_proxy()
    path = Path(path) if path else bundled(proxy_file(name))
    if not path.exists():
        raise UnmixError(f"no weights for the proxy of {name} ({path} is missing)")
    return load_into(proxy, path, device)[0]


def save_proxy(proxy, name: str, about: dict, folder=None) -> Path:
    """Write a proxy's weights under its bundled name; returns the path.

    Args:
        about: anything JSON to keep with them: figures, data, seed.
        folder: another folder than the package's own.
    """
    path = Path(folder) / proxy_file(name) if folder else bundled(proxy_file(name))
    checkpoint.save_weights(path, proxy, {"effect": name, **about})
    return path


def load_inverse(device: str = "cpu", path=None):
    """The trained inverse model, frozen.

    Args:
        device: where its tensors go.
        path: other weights than the bundled ones, e.g. ``model.safetensors`` of a run.

    Raises:
        UnmixError: no weights, or weights for other effects than the installed ones.
    """
    from unmix.networks.model import InverseModel, ModelConfig

    path = Path(path) if path else bundled(INVERSE_FILE)
    if not path.exists():
        raise UnmixError(f"no weights for the inverse model ({path} is missing)")
    _, about = checkpoint.read(path)
    config = ModelConfig.from_dict(about["config"])
    if config.effects != effects.names():
        raise UnmixError(
            f"{path}: trained for the effects {', '.join(config.effects)}; "
            f"installed are {', '.join(effects.names())}; train again with unmix train"
        )
    return load_into(InverseModel(config), path, device)[0]


def save_inverse(model, about: dict, folder=None) -> Path:
    """Write the inverse model's weights as float16 under the bundled name; returns the path."""
    path = Path(folder) / INVERSE_FILE if folder else bundled(INVERSE_FILE)
    _save_halved(path, model, {"config": model.config.to_dict(), **about})
    return path


def _save_halved(path, model, about: dict) -> None:
    """Write weights as float16."""
    checkpoint.save_weights(path, copy.deepcopy(model).half(), about)


def load_reranker(path=None):
    """The trained reranker of the bundled inverse model's candidates, frozen, on the CPU.

    Args:
        path: other weights than the bundled ones, e.g. ``best.safetensors`` of a run.

    Raises:
        UnmixError: no weights, or weights that do not fit the installed effects.
    """
    from unmix.inference.reranker import Reranker

    return load_into(Reranker(), path or bundled(RERANKER_FILE))[0]


@cache
def bundled_models() -> tuple:
    """The bundled inverse model and its reranker, on the CPU, read once: not to be changed."""
    return load_inverse(), load_reranker()


def save_reranker(model, about: dict, folder=None) -> Path:
    """Write the reranker's weights as float16 under the bundled name; returns the path."""
    path = Path(folder) / RERANKER_FILE if folder else bundled(RERANKER_FILE)
    _save_halved(path, model, about)
    return path
