"""Proxy of the phaser: its own state space, moved from block to block."""

from __future__ import annotations

import math

import torch
from torch import nn

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp.statespace import BlockOperators, filter_blocks
from unmix.effects.phaser.device import HOLD, STAGES, SWEEP_HZ

BLOCK = 32  # samples with one cutoff
GRID = 256  # cutoffs at which the operators are tabulated


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
    between GRID cutoffs. Nothing is learned, and there are no parameters: a TCN that shifted the
    cutoff made a difference of −0.02 ± 0.06 dB in mean ESR on 150 held-out pairs. What remains is
    mostly the device's own LFO, whose float32 phase drifts at slow rates.
    """

    def __init__(self, panel):
        super().__init__()
        self.panel = panel

    @staticmethod
    def lfo(values: dict, seconds: torch.Tensor):
        """The unclamped place of the cutoff at times (J,): (B, J)."""
        angle = values["phase"][:, None] * (math.pi / 180)
        angle = angle + 2 * math.pi * values["rate"][:, None] * seconds
        swing = values["depth"][:, None] / 200
        return sweep_position(values["centre"])[:, None] - swing * angle.sin()

    def forward(self, audio, knobs, switches):
        """(B, T), (B, K) in 0…1, (B, 0) -> (B, T), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            audio, knobs = audio.float(), knobs.float()
            values = self.panel.values(knobs)
            blocks = -(-audio.shape[-1] // BLOCK)
            middle = torch.arange(blocks, device=audio.device) * BLOCK + (BLOCK - HOLD) / 2
            place = self.lfo(values, middle / SAMPLE_RATE)
            low, high = SWEEP_HZ
            grid = low * (high / low) ** torch.linspace(0, 1, GRID, device=audio.device)
            system = allpass_chain(grid, values["feedback"] / 100)
            operators = BlockOperators.build(*system, BLOCK).pick(place.clamp(0, 1))
            wet = filter_blocks(audio, operators)
            return audio + values["dry_wet"][:, None] / 100 * (wet - audio)
