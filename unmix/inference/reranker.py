"""A small network that ranks candidates by how their renders differ from the recording."""

from __future__ import annotations

import torch
from torch import nn

from unmix.chain import MAX_LENGTH
from unmix.effects import EffectSet
from unmix.inference.order_test import BASES, VIEWS
from unmix.inference.residuals import RESIDUALS
from unmix.networks.heads import chain_code

FARTHEST = 5.0  # standard deviations from the mean that a residual counts at most; not tuned


class Reranker(nn.Module):
    """Log-probabilities of the candidates for one recording.

    The logit of a candidate is a sum: its log-probability by the network; the residual features of
    its render with weights that depend on its chain, as a residual says other things of other
    chains; its order scores with a weight each; and the output of a small network on residual
    features and chain. Residual features are logarithms, so that the second part is a product of
    powers of residuals; they count relative to their mean over the candidates.

    The names of the weights (``leaning``, ``judge``) are those in files.

    Args:
        effects: of the network that gave the candidates, by which ``order`` is numbered.
        hidden: width of the small network. dropout: in it.

    Attributes:
        mean, spread: (RESIDUALS,) mean and standard deviation of the residual features in training.

    Shape: residuals (B, K, RESIDUALS) and order_scores (B, K, BASES, VIEWS) as ``rerank.compare``
    gives them, order (B, K, MAX_LENGTH), log_prob (B, K) -> (B, K), sum of probabilities 1.
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

    def forward(self, residuals, order_scores, order, log_prob):
        residuals = ((residuals - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)
        residuals = residuals - residuals.mean(1, keepdim=True)
        chain = chain_code(order, len(self.effects))
        features = torch.cat([residuals, chain, log_prob[..., None] / 4], -1)
        weighted = (residuals * self.weights(chain)).sum(-1)
        tested = self.leaning(order_scores.flatten(2))[..., 0]
        logits = self.trust * log_prob + weighted + tested + self.judge(features)[..., 0]
        return logits.log_softmax(-1)
