"""Features of recordings, as the table in ``spec.py`` has them."""

from __future__ import annotations

import numpy as np
import torch

from unmix.features.spec import FEATURES, NAMES
from unmix.features.spectra import Spectra
from unmix.runtime.workers import thread_map


def extract(
    recording: torch.Tensor, source: torch.Tensor | None, names=NAMES
) -> dict[str, torch.Tensor]:
    """Features of recordings (B, WINDOW) of one source (1, WINDOW), if that is known.

    Args:
        names: of the features. Levels and ``known`` are always there.

    Returns:
        {name: float32 (B, *shape)} by the table in ``spec.py``, zeros where the source is missing
        and needed; and level, source_level in dB re full scale, and known (1 or 0): (B,) each.
    """
    x = None if source is None else Spectra(source[0])
    rows = thread_map(lambda wet: _extract(Spectra(wet), x, names), recording)
    return {k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]}


def _extract(y: Spectra, x: Spectra | None, names) -> dict[str, np.ndarray]:
    """Features of one recording."""
    result = {
        "level": np.float32(y.level),
        "source_level": np.float32(0 if x is None else x.level),
        "known": np.float32(x is not None),
    }
    for feature in FEATURES:
        if feature.name in names:
            missing = feature.needs_source and x is None
            zeros = np.zeros(feature.shape, np.float32)
            result[feature.name] = zeros if missing else feature.of(y, x)
    return result
