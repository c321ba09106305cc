"""The first answer: features, the network's posterior, and its re-ranking by resynthesis."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unmix.features.extract import extract
from unmix.inference.rerank import rerank


@dataclass(frozen=True)
class Prediction:
    """What is inferred from a recording before any search.

    Attributes:
        posteriors: networks.posterior.Posterior of each candidate chain, most probable first.
        network: those of the network alone, before re-ranking; the same where there was none.
        features: of the recording, batch 1.
    """

    posteriors: list
    network: list
    features: dict[str, torch.Tensor]


@torch.no_grad()
def predict(problem, model, beams: int, reranker=None) -> Prediction:
    """Infer candidate chains with their posteriors of switches and knobs.

    Args:
        problem: a recording.prepare.Problem.
        model: a networks.model.InverseModel on the CPU.
        beams: candidates of the beam search.
        reranker: an inference.reranker.Reranker; candidates are re-ranked where the source is
            known.
    """
    pair = problem.pair
    recording = torch.from_numpy(pair.recording)[None]
    source = None if pair.source is None else torch.from_numpy(pair.source)[None]
    features = extract(recording, source)
    features["level_known"] = torch.full((1,), 0.0 if problem.match_gain else 1.0)
    network = model.infer(features, beams)[0]
    if reranker is None or source is None:
        return Prediction(network, network, features)
    posteriors = rerank(model, reranker, network, features, *pair.sounds())
    return Prediction(posteriors, network, features)
