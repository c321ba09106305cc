"""Proxy of the phaser: its own state space, moved from block to block."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp.statespace import BlockOperators, filter_blocks
from unmix.effects.phaser.device import HOLD, STAGES, SWEEP_HZ
from unmix.nn.tcn import TCN

BLOCK = 32  # samples with one cutoff
FRAME = 8  # blocks per frame of the TCN
GRID = 256  # cutoffs at which the operators are tabulated
DILATIONS = (1, 2, 4)


def sweep_position(frequency_hz):
    """Place of a frequency (float or tensor) on the LFO's axis, 0…1."""
    low, high = SWEEP_HZ
    log = frequency_hz.log() if isinstance(frequency_hz, torch.Tensor) else math.log(frequency_hz)
    return (log - math.log(low)) / math.log(high / low)


def allpass_chain(cutoff_hz: torch.Tensor, feedback: torch.Tensor):
    """State space of the six stages in their feedback loop, at standing cutoffs.

    One stage is the first-order all-pass of the trapezoidal rule (Zavalishin, "The Art of VA Filter
    Design", 2018, chapter 3), with g = tan(π f / rate), G = g / (1 + g), input e and state s:
    v = G (e − s), s' = s + 2v, out = 2 (v + s) − e. The input of the first stage is
    x − feedback · last output, so the states are the six s and that output.

    Args:
        cutoff_hz: (G,).
        feedback: (B,), 0…1.

    Returns:
        A (B, G, 7, 7), B (B, G, 7), C (B, G, 7), D (B, G).
    """
    g = torch.tan(math.pi / SAMPLE_RATE * cutoff_hz)[:, None]
    gain = g / (1 + g)
    # each signal is a row of its dependence on (six states, last output, x): (B, G, 8)
    unit = torch.eye(STAGES + 2, dtype=feedback.dtype, device=feedback.device)
    signal = (unit[-1] - feedback[:, None] * unit[-2])[:, None].expand(-1, len(cutoff_hz), -1)
    rows = []
    for state in unit[:STAGES]:
        v = gain * (signal - state)
        rows.append(state + 2 * v)
        signal = 2 * (v + state) - signal
    system = torch.stack([*rows, signal], -2)  # (B, G, 7, 8)
    return system[..., :-1], system[..., -1], signal[..., :-1], signal[..., -1]


class PhaserProxy(nn.Module):
    """The phaser as a linear filter that moves from block to block.

    Physics, taken over from the device: the six all-pass stages with feedback around them and the
    states that they carry along (``allpass_chain``), the sine LFO on a logarithmic axis from 20 Hz
    to 20 kHz and where it stands at the first sample, the linear dry/wet mix. Approximate: the
    cutoff stands still for BLOCK samples instead of HOLD, and operators are interpolated
    between GRID cutoffs. Learned: a TCN on the LFO and the knobs shifts the cutoff, in
    proportion to the depth, to make up for what the blocks get wrong; untrained, it shifts nothing.
    It has next to nothing left to learn: on 150 held-out pairs the network makes a difference of
    −0.02 ± 0.06 dB in mean ESR. What remains is mostly the device's own LFO, whose float32 phase
    drifts at slow rates.
    """

    def __init__(self, panel, channels: int = 16):
        super().__init__()
        self.panel = panel
        self.tcn = TCN(4, 1, channels, condition=len(panel.knobs), dilations=DILATIONS)
        nn.init.zeros_(self.tcn.leave.weight)
        nn.init.zeros_(self.tcn.leave.bias)

    @staticmethod
    def lfo(values: dict, seconds: torch.Tensor):
        """The LFO at times (J,): sine, cosine and the cutoff's unclamped place, each (B, J)."""
        angle = values["phase"][:, None] * (math.pi / 180)
        angle = angle + 2 * math.pi * values["rate"][:, None] * seconds
        sine, cosine = angle.sin(), angle.cos()
        swing = values["depth"][:, None] / 200
        return sine, cosine, sweep_position(values["centre"])[:, None] - swing * sine

    def shift(self, knobs: torch.Tensor, values: dict, blocks: int) -> torch.Tensor:
        """The learned shift of the cutoff's place, per block: (B, J)."""
        history = 2 * sum(DILATIONS)  # the LFO ran before the first sample, too
        frames = torch.arange(-history, -(-blocks // FRAME), device=knobs.device)
        seconds = ((frames + 0.5) * FRAME * BLOCK - HOLD / 2) / SAMPLE_RATE
        sine, cosine, place = self.lfo(values, seconds)
        speed = values["rate"][:, None] * values["depth"][:, None] / 100 * cosine
        learned = self.tcn(torch.stack([sine, cosine, 2 * place - 1, speed], 1), knobs)
        learned = learned[..., history:]  # (B, 1, frames)
        learned = F.interpolate(learned, scale_factor=FRAME, mode="linear")[:, 0, :blocks]
        return 0.05 * values["depth"][:, None] / 100 * learned.tanh()

    def forward(self, audio, knobs, switches):
        """(B, T), (B, K) in 0…1, (B, 0) -> (B, T), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            audio, knobs = audio.float(), knobs.float()
            values = self.panel.values(knobs)
            blocks = -(-audio.shape[-1] // BLOCK)
            middle = torch.arange(blocks, device=audio.device) * BLOCK + (BLOCK - HOLD) / 2
            place = self.lfo(values, middle / SAMPLE_RATE)[2] + self.shift(knobs, values, blocks)
            low, high = SWEEP_HZ
            grid = low * (high / low) ** torch.linspace(0, 1, GRID, device=audio.device)
            system = allpass_chain(grid, values["feedback"] / 100)
            operators = BlockOperators.build(*system, BLOCK).pick(place.clamp(0, 1))
            wet = filter_blocks(audio, operators)
            return audio + values["dry_wet"][:, None] / 100 * (wet - audio)
