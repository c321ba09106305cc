"""What a bug report needs to say: versions, devices, weights."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from unmix.runtime.files import file_hash

PACKAGES = ("torch", "torchaudio", "numpy", "scipy", "numba", "pedalboard", "soundfile", "geoopt")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def collect() -> dict:
    """{"unmix", "python", "system", "packages", "devices", "weights"}, ready for JSON.

    ``devices``: the CPU with the cores and threads that torch may use, then CUDA devices.
    ``weights``: {file: sha256} of what is bundled.
    """
    import torch

    from unmix.runtime.workers import cores
    from unmix.weights import bundled

    devices = [{"device": "cpu", "cores": cores(), "threads": torch.get_num_threads()}]
    for i in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(i).total_memory
        devices.append(
            {"device": f"cuda:{i}", "name": torch.cuda.get_device_name(i), "bytes": memory}
        )
    return {
        "unmix": version("unmix"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {package: _version(package) for package in PACKAGES},
        "devices": devices,
        "weights": {
            path.name: file_hash(path) for path in sorted(bundled("").glob("*.safetensors"))
        },
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.endswith("_NUM_THREADS")},
    }


def as_text(environment: dict) -> str:
    """The same in aligned lines; hashes by their first 16 digits."""
    rows = [(key, environment[key]) for key in ("unmix", "python", "system")]
    rows += [(name, found or "missing") for name, found in environment["packages"].items()]
    for device in environment["devices"]:
        about = [f"{key} {value}" for key, value in device.items() if key != "device"]
        rows.append((device["device"], ", ".join(about)))
    rows += [(name, digest[:16]) for name, digest in environment["weights"].items()]
    rows += environment["variables"].items()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
