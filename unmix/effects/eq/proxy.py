"""Proxy of the equaliser: sections with learned coefficients, one FFT convolution."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp import fftconv
from unmix.effects.eq.device import BANDS
from unmix.nn.tcn import mlp


@lru_cache(maxsize=4)
def _powers(length: int, order: int, device: str) -> torch.Tensor:
    """pⁱ·q^(order − i), i = 0 … order, with p = 1 − z⁻¹ and q = 1 + z⁻¹: (order + 1, 2·bins).

    The last dimension holds real and imaginary parts in turn.
    """
    z = fftconv.damped_delay(length)
    powers = torch.stack([(1 - z) ** i * (1 + z) ** (order - i) for i in range(order + 1)])
    return torch.view_as_real(powers.to(torch.complex64)).flatten(1).to(device)


def _multiply(sections: torch.Tensor) -> torch.Tensor:
    """Polynomials of second degree (B, sections, 3) -> coefficients of their product (B, n)."""
    product = sections[:, 0]
    for section in sections[:, 1:].unbind(1):
        terms = [F.pad(product * section[:, i, None], (i, 2 - i)) for i in range(3)]
        product = torch.stack(terms).sum(0)
    return product


class EqualizerProxy(nn.Module):
    """Stand-in of the equaliser: four second-order sections with learned coefficients.

    Exact: linearity and time-invariance, the order of the sections, the bilinear transform
    s = p / (K·q) with p = 1 − z⁻¹, q = 1 + z⁻¹, K = tan(π·freq/rate) (prewarped to the knob's
    frequency), that gain and q do nothing to a cut, and that a band of 0 dB is neutral. Learned:
    each section's coefficients, (n₀ + n₁s + n₂s²) / (d₀ + d₁s + s²). The network gives ln dᵢ, and
    ln(nᵢ/dᵢ) as a multiple of the gain, so that poles and zeros stay in the left half-plane; the
    numerators of the cuts have learned factors besides, which may become 0. The analogue forms
    are those of the Audio EQ Cookbook (Bristow-Johnson), where these logarithms are nearly linear
    in gain and ln q: each mode has a linear layer beside the common network.

    The sections are multiplied out to two polynomials of order 8 in p and q, summed by one matrix
    product with the powers on the FFT grid; one division and one FFT convolution follow.
    """

    # for train_proxy: see FitConfig.geometric
    schedule: ClassVar = {"learning_rate": 3e-2, "final_share": 1e-3, "geometric": True}
    MODES = ("low_cut", "low_shelf", "bell", "high_shelf", "high_cut")

    def __init__(self, panel, hidden: int = 48):
        super().__init__()
        self.panel = panel
        self.by_mode = nn.Linear(4 * len(self.MODES), 5, bias=False)
        self.common = mlp(3 + len(self.MODES), hidden, hidden, 5)
        self.factors = nn.Parameter(torch.ones(len(self.MODES), 3))
        nn.init.zeros_(self.by_mode.weight)
        nn.init.zeros_(self.common[-1].weight)
        nn.init.zeros_(self.common[-1].bias)

    def modes(self, switches: torch.Tensor) -> torch.Tensor:
        """(B, S) -> numbers into MODES (B, bands); a band without a switch is a bell."""
        options = self.panel.options(switches)
        columns = []
        for band, (*_, names) in BANDS.items():
            numbers = torch.tensor([self.MODES.index(n) for n in names], device=switches.device)
            first = switches.new_zeros(len(switches))
            columns.append(numbers[options.get(f"mode_{band}", first)])
        return torch.stack(columns, 1)

    def sections(self, knobs, switches) -> tuple[torch.Tensor, torch.Tensor]:
        """Numerators and denominators in s, lowest power first: two (B, bands, 3)."""
        units, values = self.panel.units(knobs), self.panel.values(knobs)
        mode = self.modes(switches)
        one_hot = F.one_hot(mode, len(self.MODES)).float()  # (B, bands, modes)
        cut = torch.tensor([n.endswith("cut") for n in self.MODES], device=knobs.device)[mode]
        freq = torch.stack([values[f"freq_{b}"] for b in BANDS], 1)
        gain = torch.stack([2 * units[f"gain_{b}"] - 1 for b in BANDS], 1).masked_fill(cut, 1.0)
        q = torch.stack([2 * units[f"q_{b}"] - 1 for b in BANDS], 1).masked_fill(cut, 0.0)
        inputs = torch.stack([(freq / 1_000).log() / 3, gain, q], -1)
        linear = torch.cat([torch.ones_like(inputs[..., :1]), inputs], -1)  # (B, bands, 4)
        crossed = (one_hot[..., None] * linear[..., None, :]).flatten(2)
        out = self.by_mode(crossed) + self.common(torch.cat([inputs, one_hot], -1))
        denominators = torch.cat([out[..., :2].exp(), torch.ones_like(out[..., :1])], -1)
        factors = torch.where(cut[..., None], self.factors[mode], 1.0)
        numerators = denominators * (gain[..., None] * out[..., 2:]).exp() * factors
        # s = p / (K·q): multiply both polynomials by K²·q²
        k = (math.pi / SAMPLE_RATE * freq).tan()
        scale = torch.stack([k**2, k, torch.ones_like(k)], -1)
        return numerators * scale, denominators * scale

    def response(self, knobs, switches, length: int) -> torch.Tensor:
        """Frequency response at ``fftconv.damped_delay``: complex64 (B, length/2 + 1)."""
        polynomials = [_multiply(sections) for sections in self.sections(knobs, switches)]
        coefficients = torch.cat(polynomials)  # (2·B, 9)
        values = coefficients @ _powers(length, coefficients.shape[1] - 1, str(knobs.device))
        above, below = torch.view_as_complex(values.unflatten(-1, (-1, 2))).chunk(2)
        return above / below

    def forward(self, audio, knobs, switches):
        """(B, T), (B, K) in 0…1, (B, S) option numbers -> (B, T), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            length = fftconv.damped_length(audio.shape[-1])
            response = self.response(knobs.float(), switches, length)
            return fftconv.damped_convolve(audio.float(), response, length)
