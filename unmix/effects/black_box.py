"""A TCN as proxy of any effect: the baseline of the proxies, which knows nothing of the effect."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from unmix.nn.mixture_density import split
from unmix.nn.tcn import TCN

DILATIONS = tuple(2**i for i in range(10))
MEMORY = 2 * sum(DILATIONS)  # samples before the present one that reach the output
SIZE = 4_000  # parameters of the baseline of a proxy that has none
CROP = 8_192  # samples of each pair that a training step looks at


class BlackBox(nn.Module):
    """A TCN from dry to wet, conditioned by FiLM on knobs and switches alike at every sample.

    The arrangement of Steinmetz and Reiss, "Efficient neural networks for real-time modeling of
    analog dynamic range compression", AES 2022: dilated causal convolutions, static conditioning.

    Args:
        panel: of the effect.
        parameters: the width is the one that comes nearest to this many.

    Shape: audio (B, T), knobs (B, K) in 0…1, switches (B, S) option numbers -> (B, T).
    """

    def __init__(self, panel, parameters: int):
        super().__init__()
        self.options = [len(switch.options) for switch in panel.switches]
        self.is_angle = tuple(panel.circular.tolist())
        condition = len(panel.knobs) + int(panel.circular.sum()) + sum(self.options)
        blocks = len(DILATIONS)

        def size(channels: int) -> int:
            block = 4 * channels**2 + 2 * channels + 2 * channels * (condition + 1)
            return blocks * block + 3 * channels + 1

        width = min(range(2, 129), key=lambda channels: abs(size(channels) - parameters))
        self.network = TCN(1, 1, width, condition, kernel=3, dilations=DILATIONS)

    def forward(self, audio, knobs, switches):
        numbers, angles = split(knobs, self.is_angle)
        angles = 2 * math.pi * angles
        codes = [F.one_hot(switches[:, i], n) for i, n in enumerate(self.options)]
        condition = torch.cat([2 * numbers - 1, angles.cos(), angles.sin(), *codes], -1)
        return audio + self.network(audio[:, None], condition.to(audio.dtype))[:, 0]


def crop(batch: dict, rng: np.random.Generator) -> tuple[dict, int]:
    """A random stretch of CROP samples of every pair, with the MEMORY before it.

    The network costs hundreds of times what the proxies cost, but no sample farther back than
    MEMORY reaches its output: the error within the stretch is what it would be in the whole pair.

    Returns:
        the batch, and how many samples at its beginning are there to be remembered only.
    """
    end = int(rng.integers(min(CROP, batch["dry"].shape[-1]), batch["dry"].shape[-1] + 1))
    start = max(0, end - CROP)
    first = max(0, start - MEMORY)
    cut = {name: batch[name][:, first:end] for name in ("dry", "wet")}
    return batch | cut, start - first


def black_box(effect) -> BlackBox:
    """An untrained baseline of the size of the effect's proxy; of SIZE parameters where that has
    none."""
    proxy = effect.build_proxy()
    return BlackBox(effect.panel, sum(p.numel() for p in proxy.parameters()) or SIZE)
