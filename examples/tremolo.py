"""A new effect in one file: tremolo, an LFO that turns the level down and up again.

Copy the file into ``unmix/effects/``. It is found there by itself::

    cp examples/tremolo.py unmix/effects/
    unmix effects tremolo --picture tremolo.png
    pytest tests/effects -k tremolo                                  # the contract of all effects
    unmix gen-data --effect tremolo --count 2000 --out data/tremolo
    unmix train-proxy --effect tremolo --data data/tremolo --out runs/tremolo --minutes 5

The bundled network does not know it: it can be rendered, refined in a chain that is given, and
exported, and no other answer changes. For the network to name it, make new chains and train again,
see examples/train_from_nothing.sh.
"""

from __future__ import annotations

import math

import numpy as np

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect
from unmix.effects.controls import Knob

STEEPEST = 6.0  # slope of the hardest LFO's zero crossings; 1 is a sine's


class Tremolo(Effect):
    """y = x · (1 − depth · (1 + w) / 2), w the LFO: a sine that ``hardness`` bends to a square.

    w = tanh(s · sin φ) / tanh(s) with s from 0.01 (a sine) to STEEPEST, φ = phase + 2π · rate · t.
    """

    # 1. what the user sees, and what it does: one line a knob
    name = "tremolo"
    order = 6  # place in the registry: behind the effects that come with the program
    description = "Tremolo: an LFO turns the level down and up again."
    knobs = (
        Knob("rate", "Hz", 0.5, 12, "log", 4, "speed of the LFO"),
        Knob("depth", "%", 0, 100, "linear", 50, "how far the level goes down"),
        Knob("hardness", "%", 0, 100, "linear", 0, "shape of the LFO: from sine to square"),
        Knob("phase", "°", 0, 360, "circular", 0, "where the LFO stands at the first sample"),
    )
    min_sample_rate = 0  # the DSP below is right at every rate

    # 2. the real DSP: one channel, from a fresh state
    def process(self, audio, sample_rate, settings):
        turns = settings["phase"] / 360 + settings["rate"] * np.arange(audio.size) / sample_rate
        steep = 0.01 + settings["hardness"] / 100 * (STEEPEST - 0.01)
        wave = np.tanh(steep * np.sin(2 * np.pi * turns)) / math.tanh(steep)
        return (audio * (1 - settings["depth"] / 200 * (1 + wave))).astype(np.float32)

    # 3. settings that change nothing
    def is_neutral(self, settings):
        return settings["depth"] == 0

    # 4. the differentiable stand-in; torch is imported here, so that a mere list stays quick
    def build_proxy(self):
        import torch
        from torch import nn

        from unmix.nn.tcn import mlp

        class TremoloProxy(nn.Module):
            """Exact: rate, phase and depth. Learned: the shape of one turn of the LFO."""

            def __init__(self, panel):
                super().__init__()
                self.panel = panel
                self.shape = mlp(3, 32, 32, 1)

            def forward(self, audio, knobs, switches):
                """(B, T), (B, K) in 0…1, (B, 0) -> (B, T), float32."""
                with torch.autocast(audio.device.type, enabled=False):
                    audio, knobs = audio.float(), knobs.float()
                    values = {k: v[:, None] for k, v in self.panel.values(knobs).items()}
                    seconds = torch.arange(audio.shape[-1], device=audio.device) / SAMPLE_RATE
                    angle = 2 * math.pi * (values["phase"] / 360 + values["rate"] * seconds)
                    hardness = (values["hardness"] / 100).expand_as(angle)
                    turn = torch.stack([angle.sin(), angle.cos(), hardness], -1)  # (B, T, 3)
                    wave = self.shape(turn)[..., 0]
                    return audio * (1 - values["depth"] / 200 * (1 + wave))

        return TremoloProxy(self.panel)
