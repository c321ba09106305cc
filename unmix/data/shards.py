"""The files on disk: a data set is a folder of safetensors shards and a manifest.

``shard-00000.safetensors`` … hold the items stacked along the first dimension; ``manifest.json``
says what they are and holds the hash of each. Every file is published whole (temp + fsync +
rename), and nothing in it depends on the time or the machine: the same samples give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from unmix.data.fingerprint import versions
from unmix.errors import UnmixError
from unmix.runtime.files import file_hash, write_atomic, write_text

FORMAT = "unmix-data"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_KEYS = {
    **dict.fromkeys(("format", "unmix", "kind", "fingerprint"), str),
    **dict.fromkeys(("version", "seed", "count", "shard_items"), int),
    **{"complete": bool, "config": dict, "tensors": dict, "shards": list},
}
_SHARD_KEYS = {"file": str, "first": int, "count": int, "sha256": str, "bytes": int}


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.safetensors"


def new_manifest(sampler, count: int, shard_items: int, tensors: dict) -> dict:
    """The manifest of a data set that has no shard yet.

    Args:
        sampler: its ``config`` ("kind" and "seed" in it) and ``fingerprint`` are recorded.
        count: items in the finished data set.
        shard_items: items in every shard but the last.
        tensors: {name: {"dtype", "shape"}} of one item, see ``describe``.
    """
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        **versions(),
        **{key: sampler.config[key] for key in ("kind", "seed", "effect") if key in sampler.config},
        "count": count,
        "complete": False,
        "config": sampler.config,
        "fingerprint": sampler.fingerprint,
        "shard_items": shard_items,
        "tensors": tensors,
        "shards": [],
    }


def describe(stacked: dict[str, np.ndarray]) -> dict:
    """{name: {"dtype", "shape"}} of one item of arrays (items, …)."""
    return {
        name: {"dtype": str(array.dtype), "shape": list(array.shape[1:])}
        for name, array in sorted(stacked.items())
    }


def write_manifest(folder, manifest: dict) -> None:
    """Publish the manifest; UnmixError if the folder cannot be written."""
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    write_text(Path(folder) / MANIFEST, text + "\n")


def write_shard(folder, number: int, first: int, stacked: dict, fingerprint: str) -> dict:
    """Publish one shard.

    Args:
        folder: of the data set.
        number: of the shard.
        first: number of its first item.
        stacked: {name: array (items, …)}.
        fingerprint: of the sampler.

    Returns:
        The shard's record for the manifest.
    """
    from safetensors.numpy import save

    count = len(next(iter(stacked.values())))
    # one key only: safetensors writes several in an order that changes from run to run
    header = json.dumps({"first": first, "count": count, "fingerprint": fingerprint})
    contiguous = {name: np.ascontiguousarray(array) for name, array in stacked.items()}
    data = save(contiguous, metadata={FORMAT: header})
    path = Path(folder) / shard_name(number)
    write_atomic(path, lambda temporary: Path(temporary).write_bytes(data))
    return {
        "file": path.name,
        "first": first,
        "count": count,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
    }


def intact(folder, record: dict) -> bool:
    """Whether the shard of a manifest's record is there with the recorded size and hash."""
    path = Path(folder) / record["file"]
    if not path.is_file() or path.stat().st_size != record["bytes"]:
        return False
    return file_hash(path) == record["sha256"]


@contextmanager
def locked(folder: Path):
    """Keep a second run out of the folder while this one writes; the lock dies with the process."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UnmixError(
            f"{folder}: another run is writing here; wait for it, or stop it"
        ) from None
    finally:
        os.close(handle)
