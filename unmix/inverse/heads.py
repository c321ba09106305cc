"""Heads that set the knobs and switches of each effect, given the whole chain."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unmix import effects
from unmix.dataset import MAX_LENGTH
from unmix.nn.mixture import Mixture, MixtureDensity


def chain_code(order: torch.Tensor, count: int) -> torch.Tensor:
    """(B, MAX_LENGTH) effect numbers, −1 behind the end -> (B, count · MAX_LENGTH) one-hot."""
    where = F.one_hot(order + 1, count + 1)[..., 1:]  # (B, MAX_LENGTH, count)
    return where.flatten(1).float()


class EffectHead(nn.Module):
    """Switch classifiers and the knobs' mixture density of one effect.

    The knobs are modelled given the switches: what a gain of 6 dB sounds like depends on the mode.
    """

    def __init__(self, effect, inputs: int, hidden: int, components: int, dropout: float):
        super().__init__()
        self.options = [len(switch.options) for switch in effect.switches]
        self.hidden = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
        )
        self.switches = nn.ModuleList(nn.Linear(hidden, count) for count in self.options)
        self.knobs = MixtureDensity(hidden + sum(self.options), effect.panel.circular, components)

    def forward(self, context: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(B, inputs) -> hidden (B, hidden) and logits (B, options) of each switch."""
        hidden = self.hidden(context)
        return hidden, [switch(hidden).float() for switch in self.switches]

    def mixture(self, hidden: torch.Tensor, switches: torch.Tensor) -> Mixture:
        """Knobs given the hidden vector and option numbers (B, S)."""
        codes = [F.one_hot(switches[:, i], n) for i, n in enumerate(self.options)]
        return self.knobs(torch.cat([hidden, *(code.to(hidden.dtype) for code in codes)], -1))


class Heads(nn.ModuleDict):
    """One EffectHead per registered effect; context = (z, chain code)."""

    def __init__(self, size: int, hidden: int = 320, components: int = 6, dropout: float = 0.1):
        names = effects.names()
        inputs = size + len(names) * MAX_LENGTH
        super().__init__(
            {n: EffectHead(effects.get(n), inputs, hidden, components, dropout) for n in names}
        )

    @staticmethod
    def context(z: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        return torch.cat([z, chain_code(order, len(effects.names())).to(z.dtype)], -1)
