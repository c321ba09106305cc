"""What the network believes of a prepared recording, and how sure it is."""

from __future__ import annotations

import math

import torch

from unmix import effects, features

INTERVAL = (0.05, 0.95)
INTERVAL_SAMPLES = 512


@torch.no_grad()
def believe(model, prepared, beams: int) -> list:
    """The network's beliefs about a prepare.Prepared recording, most probable first.

    ``model`` is an inverse.model.InverseModel on the CPU.
    """
    pair = prepared.pair
    recording = torch.from_numpy(pair.recording)[None]
    source = None if pair.source is None else torch.from_numpy(pair.source)[None]
    heard = features.extract(recording, source)
    heard["level_known"] = torch.full((1,), 0.0 if prepared.match_gain else 1.0)
    return model.believe(heard, beams)[0]


def intervals(
    name: str, mixture, generator: torch.Generator | None = None
) -> dict[str, tuple[float, float]]:
    """90 % of a belief's samples, {knob: (low, high)} in units.

    An angle's interval lies about the mean direction of the samples.
    """
    effect = effects.get(name)
    draws = mixture.sample(INTERVAL_SAMPLES, generator)[:, 0].double()  # (samples, K)
    intervals = {}
    for knob, u in zip(effect.knobs, draws.unbind(1), strict=True):
        centre = 0.0
        if knob.circular:
            turn = 2 * math.pi * u
            centre = math.atan2(turn.sin().mean(), turn.cos().mean()) / (2 * math.pi) - 0.5
            u = (u - centre) % 1.0
        low, high = torch.quantile(u, torch.tensor(INTERVAL, dtype=torch.float64)).tolist()
        if knob.circular:
            low, high = (low + centre) % 1.0, (high + centre) % 1.0
        intervals[knob.name] = (float(knob.from_unit(low)), float(knob.from_unit(high)))
    return intervals
