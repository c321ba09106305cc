"""Reverb: Freeverb as pedalboard has it."""

from __future__ import annotations

import numpy as np

from unmix.effects.base import Effect
from unmix.knobs import Knob

# The device's own wet gain is 3 times its wet_level and its dry gain 2 times its dry_level.
DRY_SCALE = 2.0


class Reverb(Effect):
    """pedalboard.Reverb; linear and time-invariant."""

    name = "reverb"
    order = 5
    description = "Reverb: a room of eight combs and four all-passes (Freeverb)."
    knobs = (
        Knob("room_size", "%", 0, 90, "linear", 50, "length of the tail"),
        Knob("damping", "%", 0, 100, "linear", 50, "how fast the treble of the tail dies"),
        Knob("dry_wet", "%", 0, 100, "linear", 30, "share of the room; 0 % is the dry sound"),
    )
    linear_time_invariant = True

    def build_proxy(self):
        from unmix.effects.proxies.reverb import ReverbProxy

        return ReverbProxy(self.panel)

    def process(self, audio, sample_rate, settings):
        import pedalboard as pb

        mix = settings["dry_wet"] / 100
        device = pb.Reverb(
            room_size=settings["room_size"] / 100,
            damping=settings["damping"] / 100,
            wet_level=mix,
            dry_level=(1 - mix) / DRY_SCALE,
            width=1.0,
        )
        return device(np.ascontiguousarray(audio), sample_rate)
