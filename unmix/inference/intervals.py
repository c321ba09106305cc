"""Intervals of a posterior, and whether they cover the truth."""

from __future__ import annotations

import math

import torch

from unmix import effects

SHARE = 0.9  # of the probability that an interval holds
INTERVAL_SAMPLES = 512


def posterior_unit_intervals(
    name: str, mixture, share: float = SHARE, generator: torch.Generator | None = None
) -> list[tuple[float, float]]:
    """Where the middle ``share`` of a posterior's samples lies: (low, high) in 0…1 of each knob.

    An angle's interval lies about the mean direction of the samples; low may exceed high: through
    0.
    """
    draws = mixture.sample(INTERVAL_SAMPLES, generator)[:, 0].double()  # (samples, K)
    ends = torch.tensor([0.5 - share / 2, 0.5 + share / 2], dtype=torch.float64)
    intervals = []
    for knob, u in zip(effects.get(name).knobs, draws.unbind(1), strict=True):
        if not knob.circular:
            intervals.append(tuple(torch.quantile(u, ends).tolist()))
            continue
        turn = 2 * math.pi * u
        opposite = math.atan2(turn.sin().mean(), turn.cos().mean()) / (2 * math.pi) - 0.5
        low, high = torch.quantile((u - opposite) % 1.0, ends).tolist()
        intervals.append(((low + opposite) % 1.0, (high + opposite) % 1.0))
    return intervals


def posterior_intervals(
    name: str, mixture, generator: torch.Generator | None = None
) -> dict[str, tuple[float, float]]:
    """90 % intervals of a posterior, {knob: (low, high)} in units; see
    ``posterior_unit_intervals``."""
    found = posterior_unit_intervals(name, mixture, SHARE, generator)
    return {
        knob.name: (float(knob.from_unit(low)), float(knob.from_unit(high)))
        for knob, (low, high) in zip(effects.get(name).knobs, found, strict=True)
    }


def covered(name: str, intervals: list[tuple[float, float]], knobs) -> list[bool]:
    """Whether each of ``knobs`` (K,) in 0…1 lies in its interval."""
    return [
        bool((u - low) % 1.0 <= (high - low) % 1.0 if knob.circular else low <= u <= high)
        for knob, (low, high), u in zip(effects.get(name).knobs, intervals, knobs, strict=True)
    ]
