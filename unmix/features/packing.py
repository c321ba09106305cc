"""Features as data sets hold them: one byte or two a number."""

from __future__ import annotations

import numpy as np
import torch

# in data sets one byte a number: {name: (value of 0, one step)}; 0.5 dB, or 1/127 of a coherence
BYTES = {
    **dict.fromkeys(("mel", "source_mel", "score", "source_score"), (-40.0, 0.5)),
    **dict.fromkeys(("link", "score_link"), (0.0, 1 / 127)),
}


def pack(heard: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Features as a data set keeps them: int8 where BYTES says so, float16 elsewhere."""
    packed = {}
    for name, values in heard.items():
        if name in BYTES:
            zero, step = BYTES[name]
            packed[name] = np.clip(np.rint((values - zero) / step), -127, 127).astype(np.int8)
        else:
            packed[name] = values.astype(np.float16)
    return packed


def unpack(name: str, values: torch.Tensor) -> torch.Tensor:
    """What ``pack`` made of one feature as float32; other tensors as they are."""
    if name in BYTES:
        zero, step = BYTES[name]
        return values.float() * step + zero
    return values.float() if values.dtype == torch.float16 else values
