"""Scores of one first answer against the truth; coarse features for the nearest neighbour."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from unmix import effects
from unmix.chain import Chain, canonical_order, equivalents
from unmix.evaluation import sequence_metrics
from unmix.evaluation.held_out import knob_errors
from unmix.inference.intervals import covered, posterior_unit_intervals

SHARES = (0.5, 0.8, 0.9)  # of the intervals whose coverage is measured
TOP = 5


def coverage(posterior, true: Chain, generator: torch.Generator) -> dict[float, list[bool]]:
    """{share: whether each knob of the effects named rightly lies in its interval}, by a posterior;
    nothing lies in those of no posterior."""
    result = {share: [] for share in SHARES}
    for name, settings in true.steps:
        if posterior is None or name not in posterior.mixtures:
            continue
        knobs, _ = effects.get(name).to_unit(settings)
        for share in SHARES:
            found = posterior_unit_intervals(name, posterior.mixtures[name], share, generator)
            result[share] += covered(name, found, knobs)
    return result


def score(answer: Chain, ranked: list[tuple[str, ...]], true: Chain, audible, tie: int) -> dict:
    """How right an answer is: a chain in canonical form, and the best orders of effects.

    ``tie`` picks the order in which the true chain counts as made, of those that sound the same.
    """
    orders, right = equivalents(true.names), canonical_order(true.names)
    return {
        "length": len(true.names),
        "true": right,
        "named": answer.names,
        "equivalence": answer.names == right,
        "raw": answer.names == orders[tie % len(orders)],
        "ceiling": 1 / len(orders),
        "set": set(answer.names) == set(right),
        "top5": right in ranked[:TOP],
        "edit": sequence_metrics.edit_distance(answer.names, right),
        **knob_errors(answer, true, audible),
    }


def coarse(features: dict[str, torch.Tensor]) -> torch.Tensor:
    """Features (batch B, as ``extract.extract`` gives them) as vectors in which distances mean
    something: spectrograms averaged over 4 bands and 5 frames, in units of about one standard
    deviation: (B, D)."""
    scales = {"mel": 0.05, "source_mel": 0.05, "link": 1.0}
    parts = [
        F.avg_pool2d(features[name].float()[:, None], (4, 5)).flatten(1) * scale
        for name, scale in scales.items()
    ]
    transfer = features["transfer"].float() * torch.tensor([0.05, 1, 1, 1])[:, None]
    level = (features["level"] - features["source_level"]).float() * features["known"].float() / 10
    return torch.cat([*parts, transfer.flatten(1), level[:, None]], 1)
