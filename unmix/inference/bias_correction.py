"""Knobs moved by what the network gets wrong on its own renders."""

from __future__ import annotations

import numpy as np
import torch

from unmix.features.extract import extract
from unmix.inference.resynthesis import PosteriorBatch, last_window, likely_count, render_candidates
from unmix.networks.branches import KnobBranch

STEPS = (1.0, 0.7, 0.5)  # shares of what was misheard that knobs are moved by, in turn


def correct_bias(
    model,
    posteriors: list,
    features: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> list:
    """Beliefs with their knobs moved to where the network hears the renders as the recording.

    What it mishears at one setting, it mishears much alike at another nearby. So when it takes a
    render for other knobs than were rendered, its answer about the recording was as far off. That
    is taken out in STEPS. A belief less than LIKELY times as probable as the first stays.

    Args:
        model: an inverse.model.InverseModel on the CPU.
        beliefs, heard, recording, source, limit: as of ``errors``; the most probable first.
    """
    count, dry = likely_count(posteriors), last_window(source, recording.size)[None]
    batch = PosteriorBatch(posteriors[:count])
    places = dict(batch.medians)
    for step in STEPS:
        renders = render_candidates(batch.chains(places), source, recording.size, limit)
        again = extract(torch.stack(renders), dry, KnobBranch.INPUTS)
        again["level_known"] = features["level_known"].expand(count)
        for name, medians in model.posterior_medians(again, batch.posteriors).items():
            places[name] = places[name] + step * batch.above(name, medians)
    return batch.moved(places) + posteriors[count:]
