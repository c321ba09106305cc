"""Proxy of OTT: crossovers, detector and gain law computed; the detector's input, learned."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp.envelope import attack_release
from unmix.dsp.fftconv import filter_by_response, padded_length, unit_circle
from unmix.effects.controls import Panel
from unmix.effects.ott.gain_law import (
    ATTACK_S,
    BAND_NAMES,
    CROSSOVERS_HZ,
    DOWN_SLOPE,
    INPUT_GAIN_DB,
    KNEE_DB,
    MAX_UP_DB,
    OUTPUT_GAIN_DB,
    POWER_FLOOR,
    RELEASE_S,
    UP_SLOPE,
    butterworth2,
)
from unmix.nn.tcn import TCN

STEP = 4  # samples that the proxy's detector takes at once
GAIN_STEP = 8  # samples from one computed gain to the next
FRAME = 32  # samples in a frame of the network
POWERS = FRAME // STEP
TINY = 1e-20  # power: keeps ratios of silence finite
CROSSOVER_TAIL = 4_096  # samples in which the 88 Hz sections have rung out
ONSET_DB = 9.0  # the most that a level counts as rising within one GAIN_STEP


def _soft_excess(excess_db: torch.Tensor) -> torch.Tensor:
    """The soft knee of ``gain_law`` for tensors."""
    half = KNEE_DB / 2
    return (excess_db + half).clamp(0, KNEE_DB).square() / (2 * KNEE_DB) + F.relu(excess_db - half)


@lru_cache(maxsize=8)
def _crossover_responses(length: int, device: torch.device) -> torch.Tensor:
    """The three bands' frequency responses on an FFT grid: complex64 (3, length/2 + 1)."""
    z = unit_circle(length, device).to(torch.complex128)  # 88 Hz is too close to 1 for complex64

    def section(hz, high):
        b0, b1, b2, a1, a2 = butterworth2(hz, SAMPLE_RATE, high)
        return (b0 + z * (b1 + z * b2)) / (1 + z * (a1 + z * a2))

    low1, low2 = (section(hz, high=False) for hz in CROSSOVERS_HZ)
    high1, high2 = (section(hz, high=True) for hz in CROSSOVERS_HZ)
    all_pass = low2**2 + high2**2
    bands = [low1**2 * all_pass, high1**2 * low2**2, high1**2 * high2**2]
    return torch.stack(bands).to(torch.complex64)


class OTTProxy(nn.Module):
    """Differentiable OTT: crossovers, detector and gain law are computed, the power that the
    detector takes at each of its steps is learned.

    As in the real effect: Linkwitz-Riley bands (by FFT), attack/release recursion (solved in
    parallel, see ``dsp.envelope``), soft-knee law, amount and gains; the figures are the same
    constants. Approximated: the follower takes STEP samples at once, and gains are computed every
    GAIN_STEP samples and joined by straight lines. The power of each step starts as mean ± standard
    deviation of 2 · STEP samples (a signal below the step rate still swings inside them), and a
    TCN on the shape of these powers, conditioned on band and ``time``, multiplies it by a factor.
    Shape means relative to the frame's mean: the factor is the same at every level.

    The audio's gradient takes the shape as fixed and runs through the mean power: exact for a
    change of level, and cheaper.

    Shape:
        audio (B, T), knobs (B, K) in 0…1, switches (B, 0) -> (B, T) float32, any T ≥ 1.
    """

    def __init__(self, panel: Panel):
        super().__init__()
        self.panel = panel
        self.factor = TCN(POWERS + 1, POWERS, 16, len(BAND_NAMES) + 1, dilations=(1, 2))
        nn.init.zeros_(self.factor.leave.weight)  # start at a factor of 1
        nn.init.zeros_(self.factor.leave.bias)

    def forward(self, audio, knobs, switches):
        samples = audio.shape[-1]
        audio = F.pad(audio.float(), (0, -samples % FRAME))
        length = padded_length(audio.shape[-1], CROSSOVER_TAIL)
        responses = _crossover_responses(length, audio.device)
        bands = filter_by_response(audio[:, None], responses, length)  # (B, 3, T)
        values = self.panel.values(knobs.float())
        powers = self._powers(bands, self.panel.units(knobs)["time"])
        env = self._follow(powers, values["time"] / 100)
        with torch.autocast(audio.device.type, enabled=False):
            gains = self._gains(env[..., GAIN_STEP // STEP - 1 :: GAIN_STEP // STEP], values)
        return (bands * gains).sum(1)[:, :samples]

    def _powers(self, bands, time):
        """Bands (B, 3, T), ``time`` (B,) in 0…1 -> (B, 3, T / STEP): the detector's input."""
        power = bands.square().unflatten(-1, (-1, 2, STEP))
        halves = power.mean(-1)
        mean = halves.mean(-1, keepdim=True)
        with torch.no_grad():
            variance = power.square().mean((-1, -2)) - mean[..., 0].square()
            swing = (variance.clamp_min(0).sqrt() / (mean[..., 0] + TINY)).clamp(max=1)
            swing = torch.copysign(swing, halves[..., 1] - halves[..., 0])
            shape = torch.stack([1 - swing, 1 + swing], -1)  # (B, 3, T / (2 · STEP), 2)
        loudness = 10 ** (INPUT_GAIN_DB / 10) * mean
        return (loudness * shape).flatten(2) * self._factors(mean[..., 0].detach(), shape, time)

    def _factors(self, mean, shape, time):
        """The network on frames -> (B, 3, T / STEP); see ``_powers`` for the arguments."""
        batch, bands = mean.shape[:2]
        powers = (mean[..., None] * shape).flatten(2).unflatten(-1, (-1, POWERS))
        level = powers.mean(-1, keepdim=True) + TINY  # (B, 3, frames, 1)
        change = (level / F.pad(level[:, :, :-1], (0, 0, 1, 0), value=TINY)).log().clamp(-5, 5)
        features = torch.cat([(powers / level + 1e-3).log(), change], -1)
        one_hot = torch.eye(bands, device=mean.device).expand(batch, -1, -1)
        condition = torch.cat([one_hot, time[:, None, None].expand(-1, bands, 1)], -1)
        log_factor = self.factor(features.flatten(0, 1).mT, condition.flatten(0, 1)).float()
        return log_factor.clamp(-5, 5).exp().mT.reshape(batch, bands, -1)

    def _follow(self, powers, time):
        """The attack/release recursion on (B, 3, T / STEP) powers; ``time`` (B,), 1 = 100 %."""
        taus_s = (time.new_tensor(tau) * time[:, None] for tau in (ATTACK_S, RELEASE_S))
        rates = [-torch.expm1(-STEP / (SAMPLE_RATE * tau)) for tau in taus_s]
        env = attack_release(powers.flatten(0, 1), *(rate.flatten() for rate in rates))
        return env.view_as(powers)

    def _gains(self, env, values):
        """Envelopes (B, 3, T / GAIN_STEP) at the ends of steps -> gain factors (B, 3, T)."""
        level = 10 * torch.log10(env + POWER_FLOOR)
        silence = torch.full_like(level[..., :1], 10 * math.log10(POWER_FLOOR))
        before = torch.cat([silence, level[..., :-1]], -1).maximum(level - ONSET_DB)
        ends = torch.stack([self._gain(before, values), self._gain(level, values)], -1)
        ramp = torch.arange(1, GAIN_STEP + 1, device=env.device) / GAIN_STEP
        return (ends @ torch.stack([1 - ramp, ramp])).flatten(2)

    def _gain(self, level, values):
        """Levels in dB (B, 3, frames) -> gain factors of the bands, same shape."""
        above = torch.stack([values[f"above_{band}"] for band in BAND_NAMES], 1)
        below = torch.stack([values[f"below_{band}"] for band in BAND_NAMES], 1).minimum(above)
        fixed = level.new_tensor(OUTPUT_GAIN_DB)[:, None] + INPUT_GAIN_DB
        up = (UP_SLOPE * _soft_excess(below[..., None] - level)).clamp(max=MAX_UP_DB)
        down = level.new_tensor(DOWN_SLOPE)[:, None] * _soft_excess(level - above[..., None])
        gain_db = values["amount"][:, None, None] / 100 * (fixed + up - down)
        return (gain_db * (math.log(10) / 20)).exp()
