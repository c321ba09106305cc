"""Sixteen sounds side by side: lanes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LANES = 16  # sounds that ``Effect.render_batch`` takes: as many as a processor adds up at once


def filled(items: list) -> list:
    """One for every lane: after the last the first again."""
    return [*items, *items[:1] * (LANES - len(items))]


def by_lanes(items: Sequence) -> list[Sequence]:
    """Groups of as many as there are lanes; the last may be shorter."""
    return [items[n : n + LANES] for n in range(0, len(items), LANES)]


def in_rows(audio: np.ndarray, count: int) -> np.ndarray:
    """The first sounds of (samples, LANES), each in one piece: (count, samples)."""
    return np.ascontiguousarray(audio.T[:count])
