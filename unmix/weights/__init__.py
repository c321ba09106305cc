"""The weights that come with the package, as safetensors files with a JSON header.

``NAME-proxy.safetensors`` is the proxy of an effect, ``inverse.safetensors`` the encoder and
decoder of the inverse model, ``NAME-head.safetensors`` its head for an effect, and
``reranker.safetensors`` the re-ranker of its candidates. Training leaves a whole inverse model in
one file; both kinds load.
"""

from __future__ import annotations

import copy
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from unmix import effects
from unmix.data import fingerprint
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.networks import checkpoint
from unmix.runtime.files import file_hash

if TYPE_CHECKING:
    import torch

FORMAT = "unmix-weights"
INVERSE_FILE = "inverse.safetensors"
RERANKER_FILE = "reranker.safetensors"
HEADS = "heads."  # keys of the heads' tensors begin so, then comes the effect's name


def bundled(file: str) -> Path:
    """Path of a bundled file, whether it exists or not."""
    return Path(str(resources.files(__name__) / file))


def proxy_file(name: str) -> str:
    """File name of the weights of that effect's proxy."""
    return f"{name}-proxy.safetensors"


def head_file(name: str) -> str:
    """File name of the weights of the inverse model's head for that effect."""
    return f"{name}-head.safetensors"


def _header(about: dict) -> dict:
    """``about`` with what every file of weights says: its format, and the versions of the program
    and of the probe that it was written with."""
    return {**about, "format": FORMAT, **fingerprint.versions()}


def load_into(module, path, device: str = "cpu"):
    """Fill a module from a safetensors file and freeze it: evaluation mode, no gradients.

    Returns:
        (the module on ``device``, the JSON object in the file's header).

    Raises:
        UnmixError: the file is missing, damaged, or belongs to another model.
    """
    tensors, about = checkpoint.read(path, device)
    return _filled(module, path, tensors, device), about


def _filled(module, path, tensors: dict, device: str = "cpu"):
    checkpoint.load_weights(path, module.to(device), tensors)
    return module.eval().requires_grad_(False)


def proxied() -> tuple[str, ...]:
    """The installed effects whose proxy has bundled weights, in registry order."""
    return tuple(name for name in effects.names() if bundled(proxy_file(name)).exists())


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
        about: anything JSON to keep with them: metrics, data, seed.
        folder: another folder than the package's own.
    """
    path = Path(folder) / proxy_file(name) if folder else bundled(proxy_file(name))
    checkpoint.save_weights(path, proxy, _header({"effect": name, **about}))
    return path


def inverse_files(path=None) -> list[Path]:
    """The files that hold an inverse model: one, as training leaves it; or that of encoder and
    decoder, and beside it one for each effect's head.

    Args:
        path: of the first of them; the bundled one if None.

    Raises:
        UnmixError: the first file is missing or damaged.
    """
    path = Path(path) if path else bundled(INVERSE_FILE)
    if not path.exists():
        raise UnmixError(f"no weights for the inverse model ({path} is missing)")
    keys, about = checkpoint.read_header(path)
    if any(HEADS in key for key in keys):
        return [path]
    names = about.get("config", {}).get("effects", [])
    return [path, *(path.with_name(head_file(name)) for name in names)]


def bundled_effects() -> EffectSet:
    """The effects that the bundled inverse model knows."""
    _, about = checkpoint.read_header(inverse_files()[0])
    return EffectSet(tuple(about["config"]["effects"]))


def inverse_hash(path=None) -> str:
    """SHA-256 over all files of an inverse model, in hexadecimal."""
    whole, *heads = map(file_hash, inverse_files(path))
    return hashlib.sha256(" ".join([whole, *heads]).encode()).hexdigest() if heads else whole


def read_inverse(path=None, device: str = "cpu") -> tuple[dict, dict]:
    """All tensors of an inverse model, and the JSON of its (first) file's header.

    Raises:
        UnmixError: a file is missing, damaged, or a head is that of another model.
    """
    first, *heads = inverse_files(path)
    tensors, about = checkpoint.read(first, device)
    for file in heads:
        more, of_head = checkpoint.read(file, device)
        if of_head.get("effects") != about["config"]["effects"]:
            raise UnmixError(f"{file}: does not belong to {first}, which knows other effects")
        tensors |= more
    return tensors, about


def load_inverse(device: str = "cpu", path=None):
    """The trained inverse model, frozen. It knows the effects that its file lists.

    Args:
        device: where its tensors go.
        path: other weights than the bundled ones, e.g. ``model.safetensors`` of a run.

    Raises:
        UnmixError: no weights, or an effect that they are for is not installed.
    """
    from unmix.networks.model import InverseModel, ModelConfig

    path = Path(path) if path else bundled(INVERSE_FILE)
    tensors, about = read_inverse(path, device)
    try:
        model = InverseModel(ModelConfig.from_dict(about["config"]))
    except UnmixError as error:
        raise UnmixError(f"{path}: trained for an effect that is {error}") from None
    return _filled(model, path, tensors, device)


def save_inverse(model, about: dict, folder=None) -> list[Path]:
    """Write the inverse model's weights as float16 under the bundled names; returns the paths."""
    path = Path(folder) / INVERSE_FILE if folder else bundled(INVERSE_FILE)
    shared = {**about, "effects": model.effects.names}
    shared.pop("config", None)
    tensors = _halved(model)
    paths = [path]
    for name in model.effects.names:
        paths.append(path.with_name(head_file(name)))
        prefix = f"{HEADS}{name}."
        head = {key: tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
        checkpoint.write(paths[-1], head, _header({"effect": name, **shared}))
    checkpoint.write(path, tensors, _header({"config": model.config.to_dict(), **shared}))
    return paths


def _halved(model) -> dict:
    """The state dictionary as float16."""
    return copy.deepcopy(model).half().state_dict()


def load_reranker(vocabulary: EffectSet, path=None):
    """A trained reranker, frozen, on the CPU.

    Args:
        vocabulary: effects of the inverse model whose candidates it ranks.
        path: other weights than the bundled ones, e.g. ``best.safetensors`` of a run.

    Raises:
        UnmixError: no weights, or weights for other effects.
    """
    from unmix.inference.reranker import Reranker

    path = Path(path) if path else bundled(RERANKER_FILE)
    reranker, about = load_into(Reranker(vocabulary), path)
    if about.get("effects", list(vocabulary.names)) != list(vocabulary.names):
        raise UnmixError(f"{path}: ranks candidates of the effects {', '.join(about['effects'])}")
    return reranker


@cache
def bundled_models() -> tuple:
    """The bundled inverse model and its reranker, on the CPU, read once: not to be changed."""
    model = load_inverse()
    return model, load_reranker(model.effects)


def save_reranker(model, about: dict, folder=None) -> Path:
    """Write the reranker's weights as float16 under the bundled name; returns the path."""
    path = Path(folder) / RERANKER_FILE if folder else bundled(RERANKER_FILE)
    checkpoint.write(path, _halved(model), _header({**about, "effects": model.effects.names}))
    return path
