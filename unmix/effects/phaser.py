"""Phaser: six swept all-pass stages with feedback, mixed with the dry sound."""

from __future__ import annotations

import numpy as np

from unmix.effects.base import Effect
from unmix.knobs import Knob


class Phaser(Effect):
    """pedalboard.Phaser. Its LFO starts as −sin; ``phase`` is reached by running it ahead."""

    name = "phaser"
    order = 4
    description = "Phaser: notches that sweep through the spectrum."
    knobs = (
        Knob("rate", "Hz", 0.05, 5, "log", 0.5, "speed of the sweep"),
        Knob("depth", "%", 0, 100, "linear", 50, "width of the sweep"),
        Knob("centre", "Hz", 200, 4_000, "log", 1_000, "middle of the sweep"),
        Knob("feedback", "%", 0, 80, "linear", 25, "sharpness of the notches"),
        Knob("dry_wet", "%", 0, 100, "linear", 50, "share of the swept path"),
        Knob("phase", "°", 0, 360, "circular", 0, "where the LFO stands at the first sample"),
    )

    def process(self, audio, sample_rate, settings):
        import pedalboard as pb

        device = pb.Phaser(
            rate_hz=settings["rate"],
            depth=settings["depth"] / 100,
            centre_frequency_hz=settings["centre"],
            feedback=settings["feedback"] / 100,
            mix=settings["dry_wet"] / 100,
        )
        ahead = round(settings["phase"] / 360 * sample_rate / settings["rate"])
        return device(np.pad(audio, ((0, 0), (ahead, 0))), sample_rate)[:, ahead:]
