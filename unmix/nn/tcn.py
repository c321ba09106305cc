"""Temporal convolutional network with feature-wise modulation by a condition vector."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


def mlp(*sizes: int) -> nn.Sequential:
    """Fully connected layers of those sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class TCN(nn.Module):
    """Causal dilated convolutions with residual connections and FiLM conditioning.

    Each block: x + W₂ · silu(γ(c) ⊙ conv(x) + β(c)), FiLM after Perez et al. 2018, dilated causal
    convolutions after Bai, Kolter, Koltun 2018.

    Args:
        inputs, outputs: channels of the signal.
        channels: width.
        condition: size of the condition vector; 0 for none.
        kernel: taps of each convolution (1: memoryless).
        dilations: one block each; receptive field = 1 + (kernel − 1) · Σ dilations.

    Shape:
        signal (B, inputs, T), condition (B, condition) -> (B, outputs, T)
    """

    def __init__(self, inputs, outputs, channels=32, condition=0, kernel=3, dilations=(1, 2, 4, 8)):
        super().__init__()
        self.enter = nn.Conv1d(inputs, channels, 1)
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=(kernel - 1) * d)
            for d in dilations
        )
        self.mixes = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)
        self.films = nn.ModuleList(
            nn.Linear(condition, 2 * channels) for _ in dilations if condition
        )
        self.leave = nn.Conv1d(channels, outputs, 1)
        for film in self.films:  # start as the identity modulation
            nn.init.normal_(film.weight, std=0.02)
            nn.init.zeros_(film.bias)

    def forward(self, signal: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        frames = signal.shape[-1]
        x = self.enter(signal)
        for i, (conv, mix) in enumerate(zip(self.convs, self.mixes, strict=True)):
            h = conv(x)[..., :frames]  # drop the right-hand padding: causal
            if self.films:
                gamma, beta = self.films[i](condition)[..., None].chunk(2, dim=1)  # (B, C, 1)
                h = (1 + gamma) * h + beta
            x = x + mix(F.silu(h))
        return self.leave(x)
