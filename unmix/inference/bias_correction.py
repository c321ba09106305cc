"""Knobs moved by what the network gets wrong on its own renders."""

from __future__ import annotations

import numpy as np
import torch

from unmix.features import extract
from unmix.inference.resynthesis import _Believed, _likely, _renders, _window
from unmix.networks.branches import KnobBranch

STEPS = (1.0, 0.7, 0.5)  # shares of what was misheard that knobs are moved by, in turn


def settle(
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
    count, dry = _likely(posteriors), _window(source, recording.size)[None]
    believed = _Believed(posteriors[:count])
    places = dict(believed.medians)
    for step in STEPS:
        renders = _renders(believed.chains(places), source, recording.size, limit)
        again = extract.extract(torch.stack(renders), dry, KnobBranch.READS)
        again["level_known"] = features["level_known"].expand(count)
        for name, medians in model.posterior_medians(again, believed.posteriors).items():
            places[name] = places[name] + step * believed.above(name, medians)
    return believed.moved(places) + posteriors[count:]
