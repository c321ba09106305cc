"""Proxy of the reverb: Freeverb's structure with learned figures in it."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import torch
from torch import nn

from unmix.dsp import fftconv
from unmix.effects.reverb.device import ALL_PASS_GAIN, ALL_PASSES, COMBS
from unmix.nn.tcn import mlp


@lru_cache(maxsize=8)
def diffusion(length: int, device: str) -> torch.Tensor:
    """Response of the four fixed all-passes in series at ``fftconv.damped_delay``: complex64.

    Freeverb's approximation of an all-pass: ((1 + g)·z⁻ᴰ − 1) / (1 − g·z⁻ᴰ).
    """
    z = fftconv.damped_delay(length)
    response = torch.ones_like(z)
    for samples in ALL_PASSES:
        late = z**samples
        response *= ((1 + ALL_PASS_GAIN) * late - 1) / (1 - ALL_PASS_GAIN * late)
    return response.to(torch.complex64).to(device)


class ReverbProxy(nn.Module):
    """Stand-in of the reverb: Freeverb's structure with learned figures in it.

    Exact: linearity and time-invariance, the dry/wet mix, the delays, the all-passes, one loop
    filter g·(1 − d)/(1 − d·z⁻¹) for all combs. Learned, by a small network and a linear layer from
    room size and damping: loop gain g, damping d, and the level of each comb.

    After k rounds through a comb the impulse has become the loop filter's k-th power, a short
    pulse that is the same in every comb and lies at (k + 1)·D. So the pulses are made once, from
    the loop filter's response, and laid down for the eight combs; one FFT convolution follows.
    """

    # for train_proxy: see FitConfig.geometric
    schedule: ClassVar = {"learning_rate": 1e-2, "final_share": 1e-3, "geometric": True}
    PULSE = 256  # samples of room for the loop filter's k-th power
    ROUNDS = 230  # after which a loop of the largest gain has decayed by 98 dB

    def __init__(self, panel, hidden: int = 64):
        super().__init__()
        self.panel = panel
        self.straight = nn.Linear(2, 2 + len(COMBS))
        self.bent = mlp(2, hidden, hidden, 2 + len(COMBS))
        for last in (self.straight, self.bent[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        turn = -2 * torch.pi * torch.arange(self.PULSE // 2 + 1, dtype=torch.float64) / self.PULSE
        self.register_buffer("cos", turn.cos().float(), persistent=False)
        self.register_buffer("sin", turn.sin().float(), persistent=False)

    def figures(self, knobs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, K) -> loop gain (B,) in 0.01…0.98, damping (B,) in ±0.9, comb levels (B, 8)."""
        units = self.panel.units(knobs)
        inputs = torch.stack([2 * units[k] - 1 for k in ("room_size", "damping")], -1)
        out = self.straight(inputs) + self.bent(inputs)
        # the constants are where training starts: a middling room
        gain = (0.8 + out[:, 0]).clamp(0.01, 0.98)
        damping = (0.2 + out[:, 1]).clamp(-0.9, 0.9)
        return gain, damping, 0.05 * (1 + out[:, 2:])

    def pulses(self, gain: torch.Tensor, damping: torch.Tensor, rounds: int) -> torch.Tensor:
        """Powers 0 … rounds − 1 of the loop filter, as impulse responses (B, rounds, PULSE)."""
        # log|1 − d·z⁻¹|² and the angle of 1 − d·z⁻¹, with z⁻¹ = cos + i·sin
        d = damping[:, None]
        real, imaginary = 1 - d * self.cos, -d * self.sin
        size = (gain * (1 - damping)).log()[:, None] - 0.5 * (real**2 + imaginary**2).log()
        angle = -torch.atan2(imaginary, real)
        k = torch.arange(rounds, device=gain.device)[:, None]
        size, angle = (k * size[:, None]).exp(), k * angle[:, None]  # (B, rounds, PULSE/2 + 1)
        return torch.fft.irfft(torch.complex(size * angle.cos(), size * angle.sin()), self.PULSE)

    def combs(self, knobs: torch.Tensor, samples: int) -> torch.Tensor:
        """Impulse response of the eight combs: (B, samples)."""
        gain, damping, levels = self.figures(knobs)
        rounds = min(self.ROUNDS, samples // COMBS[0])
        pulses = self.pulses(gain, damping, max(rounds, 1))
        place = torch.arange(self.PULSE, device=knobs.device)
        size = max(samples, (rounds + 1) * COMBS[-1] + self.PULSE)
        response = torch.zeros(len(knobs), size, device=knobs.device)
        for i, samples_late in enumerate(COMBS):
            late = samples_late * torch.arange(1, len(pulses[0]) + 1, device=knobs.device)
            index = (late[:, None] + place).flatten()
            response.index_add_(1, index, (levels[:, i, None, None] * pulses).flatten(1))
        return response[:, :samples]

    def forward(self, audio, knobs, switches):
        """(B, T), (B, K) in 0…1, (B, 0) -> (B, T), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            audio, knobs = audio.float(), knobs.float()
            length = fftconv.damped_length(audio.shape[-1])
            late = fftconv.damped_transform(self.combs(knobs, audio.shape[-1]), length)
            room = fftconv.damped_convolve(
                audio, late * diffusion(length, str(audio.device)), length
            )
            mix = self.panel.values(knobs)["dry_wet"][:, None] / 100
            return (1 - mix) * audio + mix * room
