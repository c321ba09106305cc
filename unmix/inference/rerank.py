"""The second hearing: candidates rendered, and ranked by how they differ from the recording.

To name a chain at first hearing, a network must know how every order of every effect sounds at any
knobs. Here each of its candidates is rendered by the real effects, with the knobs that it expects,
and heard by it as well: what it mishears of its renders is taken out of the knobs (``correct_bias``).
Still no render is right, but where it differs from the recording, and in what, says which order
was. No error is descended; where the source is hidden, there is no second hearing.
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
    """(K, MAX_LENGTH) effect numbers of inverse.model.Beliefs, −1 behind the end."""
    return padded([posterior.order for posterior in posteriors])


def compare(
    model, posteriors: list, features: dict, recording: np.ndarray, source: np.ndarray
) -> tuple[list, torch.Tensor, torch.Tensor]:
    """The beliefs with their knobs settled, the errors of their renders (K, RESIDUALS) and the
    recording's leanings (K, BASES, VIEWS), all with its band limit. Arguments as of ``correct_bias``."""
    limit = band_limit_of(posteriors, recording, source)
    posteriors = correct_bias(model, posteriors, features, recording, source, limit)
    found = residual_features(posteriors, features, recording, source, limit)
    return posteriors, found, order_scores(posteriors, features, recording, source, limit)


@torch.no_grad()
def rerank(model, reranker, posteriors: list, features: dict, recording, source) -> list:
    """Beliefs about a recording, with their knobs settled, ranked anew.

    Args:
        model: the inverse.model.InverseModel that believed, on the CPU.
        reranker: an inverse.reranker.Reranker on the CPU.
        beliefs, heard, recording, source: as of ``correct_bias``.

    Returns:
        The beliefs, most probable first, each with its new ``log_prob``. All together are as
        probable as before.
    """
    posteriors, off, lean = compare(model, posteriors, features, recording, source)
    log_prob = torch.tensor([posterior.log_prob for posterior in posteriors])
    ranked = reranker(off[None], lean[None], orders(posteriors)[None], log_prob[None])[0]
    ranked = (ranked + log_prob.logsumexp(0)).tolist()
    again = [
        dataclasses.replace(posterior, log_prob=p)
        for posterior, p in zip(posteriors, ranked, strict=True)
    ]
    return sorted(again, key=lambda posterior: -posterior.log_prob)
