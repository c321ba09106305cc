"""What the re-ranker learns from: the network's candidates for recordings, and their renders."""

from __future__ import annotations

import numpy as np
import torch

from unmix.data import fingerprint
from unmix.data.chains import ChainOptions, ChainSampler
from unmix.features.extract import extract
from unmix.inference import bias_correction, rerank
from unmix.weights import bundled_effects, inverse_hash, load_inverse

CANDIDATES = 6  # of each recording
BEAMS = 2 * CANDIDATES


class CandidateSampler(ChainSampler):
    """Recordings of known sources, as of ChainSampler, with the bundled network's candidates.

    Args:
        seed: with the item's number it decides everything.
        shares: of the sources, as of ChainSampler.
    """

    def __init__(self, seed: int, shares: dict[str, float] | None = None):
        super().__init__(seed, shares, ChainOptions(effects=bundled_effects()))
        self.model = None
        self.config |= fingerprint.plain(
            {
                "kind": "candidates",
                "candidates": CANDIDATES,
                "beams": BEAMS,
                "network": inverse_hash(),
                "settled": bias_correction.SETTINGS.steps,
            }
        )

    def family(self, family: int) -> list[dict[str, np.ndarray]]:
        """Items of one family. Of CANDIDATES, most probable first:

        errors (CANDIDATES, RESIDUALS), the residual features, and leanings (CANDIDATES, BASES,
        VIEWS), the order scores, by ``rerank.compare``; candidate_order (CANDIDATES, MAX_LENGTH)
        and log_prob (CANDIDATES,). And right: which of them is the true chain, −1 for none.
        """
        self.model = self.model or load_inverse()
        source, pairs = self.audio_family(family)
        recordings = torch.from_numpy(np.stack([wet for _, wet in pairs]))
        features = extract(recordings, torch.from_numpy(source)[None])
        features["level_known"] = torch.ones(len(pairs))
        items = []
        for i, posteriors in enumerate(self.model.infer(features, BEAMS)):
            (chain, wet), posteriors = pairs[i], posteriors[:CANDIDATES]
            asked = {name: values[i : i + 1] for name, values in features.items()}
            right = [posterior.names == chain.canonical().names for posterior in posteriors]
            posteriors, *found = rerank.compare(self.model, posteriors, asked, wet, source)
            errors, order_scores = (values.numpy().astype(np.float16) for values in found)
            items.append(
                {
                    "errors": errors,
                    "leanings": order_scores,
                    "candidate_order": rerank.orders(posteriors).numpy().astype(np.int8),
                    "log_prob": np.array([p.log_prob for p in posteriors], np.float32),
                    "right": np.int8(right.index(True) if any(right) else -1),
                }
            )
        return items
