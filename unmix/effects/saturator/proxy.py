"""Proxy of the saturator: a learned curve between exact gains."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from unmix.effects.saturator.device import CURVES
from unmix.nn.tcn import TCN


class SaturatorProxy(nn.Module):
    """Stand-in of the saturator: a learned curve between exact gains.

    Exact: drive and output gain, the dry/wet mix, the absence of memory, odd symmetry, the slope 0
    or the period 4 of every curve far outside ±1. Learned: the four curves, each by a network of
    kernel 1 whose inputs are the driven sample squashed at several scales, and its angle in that
    period.

    The networks are run once a call, on a grid of driven values, for the curves in the batch; each
    sample is interpolated linearly between two grid points, so that the cost per sample does not
    depend on the network. Between points h apart the error is at most h²/8 · max|f″|, that is
    3·10⁻⁴ for the curves here; the corners of the hard clip lie on the grid.
    """

    # for train_proxy: see FitConfig.geometric
    schedule: ClassVar = {"learning_rate": 1e-2, "final_share": 1e-3, "geometric": True}
    PERIOD = 4.0
    REACH = 128.0  # driven values inside the grid; beyond, whole periods are taken off
    POINTS_PER_UNIT = 32
    SCALES = (0.25, 0.5, 1.0)

    def __init__(self, panel, channels: int = 32, blocks: int = 3):
        super().__init__()
        self.panel = panel
        features = 2 * len(self.SCALES) + 2
        self.curves = nn.ModuleList(
            TCN(features, 1, channels, kernel=1, dilations=(1,) * blocks) for _ in CURVES
        )

    def table(self, options: torch.Tensor) -> torch.Tensor:
        """Option numbers (C,) -> their curves on the grid 0, h, 2h, … REACH: (C, points)."""
        points = round(self.REACH * self.POINTS_PER_UNIT) + 1
        x = torch.linspace(0, self.REACH, points, device=options.device)
        angle = 2 * math.pi / self.PERIOD * x
        features = [f(x / s) for s in self.SCALES for f in (torch.tanh, lambda v: v.clamp(max=1))]
        features += [angle.sin(), angle.cos()]
        signal = torch.stack(features)[None]  # (1, features, points)
        return torch.cat([torch.tanh(x) * self.curves[i](signal)[0] for i in options.tolist()])

    def forward(self, audio, knobs, switches):
        """(B, T), (B, K) in 0…1, (B, S) option numbers -> (B, T), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            return self._forward(audio.float(), knobs.float(), switches)

    def _forward(self, audio, knobs, switches):
        values = {name: value[:, None] for name, value in self.panel.values(knobs).items()}
        used, row = self.panel.options(switches)["curve"].unique(return_inverse=True)
        table = self.table(used)
        driven = 10 ** (values["drive"] / 20) * audio
        size = driven.abs()
        beyond = (size.detach() - self.REACH).clamp_min(0)
        position = (size - self.PERIOD * (beyond / self.PERIOD).ceil()) * self.POINTS_PER_UNIT
        left = position.detach().long().clamp(0, table.shape[1] - 2)
        index = left + row[:, None] * table.shape[1]
        start = table.flatten()[index]
        slope = F.pad(table.diff(dim=1), (0, 1)).flatten()[index]
        shaped = driven.sign() * (start + slope * (position - left))
        mix = values["dry_wet"] / 100
        return (1 - mix) * audio + mix * 10 ** (values["output"] / 20) * shaped
