"""What the samplers of pairs and chains share: the configuration that decides every bit."""

from __future__ import annotations

import hashlib
import json

import numpy as np

PEAK_RANGE_DB = (-30.0, 6.0)
_PAIRS, _CHAINS, _TEST = 1, 2, 3  # keeps the random streams of the purposes apart


def _peak_ok(audio: np.ndarray) -> bool:
    peak = np.abs(audio).max()
    return 10 ** (PEAK_RANGE_DB[0] / 20) <= peak <= 10 ** (PEAK_RANGE_DB[1] / 20)


class _Sampler:
    """Shared by both: the configuration that decides every bit, and its fingerprint."""

    config: dict

    @property
    def fingerprint(self) -> str:
        """Changes when anything changes that decides the samples."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()
