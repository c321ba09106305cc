"""A small network that ranks candidates by how their renders differ from the recording."""

from __future__ import annotations

import torch
from torch import nn

from unmix.chain import MAX_LENGTH
from unmix.effects import EffectSet
from unmix.inference.order_test import BASES, VIEWS
from unmix.inference.residuals import RESIDUALS
from unmix.networks.heads import chain_code

FARTHEST = 5.0  # spreads from the mean that an error counts at most


class Reranker(nn.Module):
    """Log-probabilities of the candidates for one recording.

    The score of a candidate is a sum: what the network gave it; the errors of its render with
    weights that depend on its chain, as an error says other things of other chains; how the
    recording leans to it; and what a small network makes of errors and chain. An error is a
    logarithm, so that the second part is a product of powers of errors, and counts beside those of
    the other candidates.

    Args:
        effects: of the network that gave the candidates, by which ``order`` is numbered.
        hidden: width of the small network. dropout: in it.

    Attributes:
        mean, spread: (RESIDUALS,) of the errors in training, which bring them to one size.

    Shape: errors (B, K, RESIDUALS) and leanings (B, K, BASES, VIEWS) by ``second_hearing``, order
    (B, K, MAX_LENGTH), log_prob (B, K) -> (B, K), sum of probabilities 1.
    """

    def __init__(self, effects: EffectSet, hidden: int = 48, dropout: float = 0.3):
        super().__init__()
        self.effects = effects
        code = len(effects) * MAX_LENGTH
        self.register_buffer("mean", torch.zeros(RESIDUALS))
        self.register_buffer("spread", torch.ones(RESIDUALS))
        self.trust = nn.Parameter(torch.ones(()))
        self.weights = nn.Linear(code, RESIDUALS)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        self.leaning = nn.Linear(BASES * VIEWS, 1, bias=False)
        nn.init.zeros_(self.leaning.weight)
        self.judge = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(RESIDUALS + code + 1, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 1, bias=False),
        )
        nn.init.zeros_(self.judge[-1].weight)

    def forward(self, errors, order_scores, order, log_prob):
        errors = ((errors - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)
        errors = errors - errors.mean(1, keepdim=True)
        chain = chain_code(order, len(self.effects))
        features = torch.cat([errors, chain, log_prob[..., None] / 4], -1)
        weighted = (errors * self.weights(chain)).sum(-1)
        lean = self.leaning(order_scores.flatten(2))[..., 0]
        score = self.trust * log_prob + weighted + lean + self.judge(features)[..., 0]
        return score.log_softmax(-1)
