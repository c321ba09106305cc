"""Features as data sets hold them: one byte or two a number, by the table in ``spec.py``."""

from __future__ import annotations

import numpy as np
import torch

from unmix.features.spec import BY_NAME


def _byte(name: str):
    return BY_NAME[name].stored if name in BY_NAME else None


def pack(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Features as a data set keeps them: int8 where the table says so, float16 elsewhere."""
    packed = {}
    for name, values in features.items():
        if byte := _byte(name):
            rounded = np.rint((values - byte.zero) / byte.step)
            packed[name] = np.clip(rounded, -127, 127).astype(np.int8)
        else:
            packed[name] = values.astype(np.float16)
    return packed


def unpack(name: str, values: torch.Tensor) -> torch.Tensor:
    """What ``pack`` made of one feature as float32; other tensors as they are."""
    if byte := _byte(name):
        return values.float() * byte.step + byte.zero
    return values.float() if values.dtype == torch.float16 else values
