"""Re-ranking by resynthesis: candidates rendered, and ranked by how they differ from the recording.

The network alone would have to know how every order of every effect sounds at any knobs. Here each
of its candidate chains is rendered by the real effects at the posterior medians, and the network's
bias, estimated on these renders, is subtracted from the knobs. No render is right yet, but where
and in what it differs from the recording tells which chain was right. Nothing is optimised, and
without the source there is no re-ranking.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from unmix.inference.bias_correction import correct_bias
from unmix.inference.order_test import order_scores
from unmix.inference.residuals import residual_features
from unmix.inference.resynthesis import band_limit_of
from unmix.networks.model import padded


def orders(posteriors: list) -> torch.Tensor:
    """The chains of K posteriors as effect numbers: (K, MAX_LENGTH), −1 behind the end."""
    return padded([posterior.order for posterior in posteriors])


def compare(
    model, posteriors: list, features: dict, recording: np.ndarray, source: np.ndarray
) -> tuple[list, torch.Tensor, torch.Tensor]:
    """What the re-ranker decides by. The renders get the recording's band limit.

    Args:
        model, posteriors, features, recording, source: as of ``correct_bias``.

    Returns:
        The K posteriors with bias-corrected knobs, the residual features of their renders
        (K, RESIDUALS), and the order scores (K, BASES, VIEWS).
    """
    limit = band_limit_of(posteriors, recording, source)
    posteriors = correct_bias(model, posteriors, features, recording, source, limit)
    residuals = residual_features(posteriors, features, recording, source, limit)
    return posteriors, residuals, order_scores(posteriors, features, recording, source, limit)


@torch.no_grad()
def rerank(model, reranker, posteriors: list, features: dict, recording, source) -> list:
    """Posteriors of a recording's candidate chains, bias-corrected and re-ranked.

    Args:
        model: the networks.model.InverseModel that inferred them, on the CPU.
        reranker: an inference.reranker.Reranker on the CPU.
        posteriors, features, recording, source: as of ``correct_bias``.

    Returns:
        The posteriors, most probable first, each with its new ``log_prob``. Their probabilities
        have the same sum as before.
    """
    posteriors, residuals, scores = compare(model, posteriors, features, recording, source)
    log_prob = torch.tensor([posterior.log_prob for posterior in posteriors])
    ranked = reranker(residuals[None], scores[None], orders(posteriors)[None], log_prob[None])[0]
    ranked = (ranked + log_prob.logsumexp(0)).tolist()
    again = [
        dataclasses.replace(posterior, log_prob=p)
        for posterior, p in zip(posteriors, ranked, strict=True)
    ]
    return sorted(again, key=lambda posterior: -posterior.log_prob)
