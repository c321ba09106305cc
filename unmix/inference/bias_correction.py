"""Bias correction: knobs moved by what the network gets wrong on its own renders.

The network is biased, and much the same for the recording and for a render near it. Of a render the
true knobs are known, so the bias is estimated there and subtracted from the answer about the
recording; the next render is nearer, and so is the next estimate (indirect inference: Gouriéroux,
Monfort and Renault, "Indirect Inference", Journal of Applied Econometrics 8, 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unmix.features.extract import extract
from unmix.inference.resynthesis import PosteriorBatch, last_window, likely_count, render_candidates
from unmix.networks.branches import KnobBranch


@dataclass(frozen=True)
class BiasCorrection:
    """Settings of the stage.

    Attributes:
        steps: shares of the estimated bias that are subtracted, one an iteration. Not tuned.
        spread: factor on the standard deviations of the posterior, which is narrower after the
            correction. Chosen on held-out chains of seed 2.
    """

    steps: tuple[float, ...] = (1.0, 0.7, 0.5)
    spread: float = 0.85


SETTINGS = BiasCorrection()


def correct_bias(
    model,
    posteriors: list,
    features: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> list:
    """Posteriors with the network's bias subtracted from the medians of their knobs.

    Those much less probable than the first (``resynthesis.likely_count``) stay as they are.

    Args:
        model: a networks.model.InverseModel on the CPU.
        posteriors, features, recording, source, limit: as of ``residuals.residual_features``; the
            most probable posterior first.
    """
    count, dry = likely_count(posteriors), last_window(source, recording.size)[None]
    batch = PosteriorBatch(posteriors[:count])
    corrected = dict(batch.medians)
    for step in SETTINGS.steps:
        renders = render_candidates(batch.chains(corrected), source, recording.size, limit)
        of_renders = extract(torch.stack(renders), dry, KnobBranch.INPUTS)
        of_renders["level_known"] = features["level_known"].expand(count)
        for name, medians in model.posterior_medians(of_renders, batch.posteriors).items():
            # the answers to both differ as the knobs of recording and render do
            corrected[name] = corrected[name] + step * batch.medians_less(name, medians)
    return batch.with_medians(corrected, SETTINGS.spread) + posteriors[count:]
