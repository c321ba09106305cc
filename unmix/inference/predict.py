"""What the network believes of a prepared recording, and how sure it is."""

from __future__ import annotations

import torch

from unmix.features import extract
from unmix.inference.rerank import rerank


@torch.no_grad()
def infer(model, prepared, beams: int, reranker=None) -> list:
    """The network's beliefs about a prepare.Prepared recording, most probable first.

    Args:
        model: an inverse.model.InverseModel on the CPU.
        reranker: an inverse.reranker.Reranker, for a second hearing where the source is known.
    """
    pair = prepared.pair
    recording = torch.from_numpy(pair.recording)[None]
    source = None if pair.source is None else torch.from_numpy(pair.source)[None]
    features = extract.extract(recording, source)
    features["level_known"] = torch.full((1,), 0.0 if prepared.match_gain else 1.0)
    posteriors = model.infer(features, beams)[0]
    if reranker is None or source is None:
        return posteriors
    return rerank(model, reranker, posteriors, features, *pair.sounds())
