"""Phaser: six swept all-pass stages with feedback, mixed with the dry sound."""

from __future__ import annotations

import math

import numpy as np

from unmix.audio import SAMPLE_RATE
from unmix.curves import FREQUENCY, Axis, Curve, Image, Line, response_db, time_axis
from unmix.effects.base import Effect, Sweep
from unmix.knobs import Knob

# the device looks at its LFO once in so many samples, and comes to a new rate over that time
HOLD, RAMP_S = 4, 0.05
HASTE = 64  # looks at the LFO while it hastens ahead
SWEEP_HZ = (20.0, 20_000.0)  # the LFO moves the cutoff along this logarithmic axis, 0…1
# of the picture: seconds where no sound is known, its grid, and positions of the LFO measured
PICTURE_S, PICTURE_COLUMNS, PICTURE_ROWS, POSITIONS = 4.0, 360, 180, 96


class Phaser(Effect):
    """pedalboard.Phaser. Its LFO starts as −sin; ``phase`` is reached by running it ahead.

    It runs ahead at a rate that brings it there in some 60 ms, and comes to its own while doing so:
    at its own rate it would take up to 20 s, and drift, as the device counts the angle in 32 bits.
    """

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

    sweep = Sweep("rate", "depth", "centre", "phase")

    @staticmethod
    def _device(settings: dict, depth: float, centre_hz: float):
        import pedalboard as pb

        return pb.Phaser(
            rate_hz=settings["rate"],
            depth=depth,
            centre_frequency_hz=centre_hz,
            feedback=settings["feedback"] / 100,
            mix=settings["dry_wet"] / 100,
        )

    def process(self, audio, sample_rate, settings):
        device = self._device(settings, settings["depth"] / 100, settings["centre"])
        turns, rate = settings["phase"] / 360 % 1, settings["rate"]
        if turns == 0:
            return device(np.ascontiguousarray(audio), sample_rate)
        looks = sample_rate / HOLD  # a second
        ramp = int(RAMP_S * looks)
        slowing = (ramp + 1) / 2 + 1  # turns: rate · slowing + haste · (HASTE + (ramp − 1) / 2)
        turns += math.ceil(max(0, rate * slowing / looks - turns))
        device.rate_hz = (turns * looks - rate * slowing) / (HASTE + (ramp - 1) / 2)
        block = HOLD * HASTE  # the same in both calls: another would start the LFO anew
        device(np.zeros(block, np.float32), sample_rate, block)
        device.rate_hz = rate
        ahead = HOLD * (ramp + 1)
        return device(np.pad(audio, (ahead, 0)), sample_rate, block, False)[ahead:]

    def position(self, values, seconds):
        low, high = np.log(SWEEP_HZ)
        turns = values["phase"] / 360 + values["rate"] * seconds
        swing = values["depth"] / 200 * np.sin(2 * np.pi * turns)
        return (np.log(values["centre"]) - low) / (high - low) - swing

    def standing(self, audio, settings, position):
        low, high = SWEEP_HZ
        return self._device(settings, 0.0, low * (high / low) ** position)(audio, SAMPLE_RATE)

    def curves(self, settings, heard, sample_rate=SAMPLE_RATE, lead=0):
        samples = round(PICTURE_S * sample_rate) if heard is None else max(1, len(heard) - lead)
        time = time_axis(samples, sample_rate)
        seconds, hz = time.grid(PICTURE_COLUMNS), FREQUENCY.grid(PICTURE_ROWS)
        place = np.clip(self.position(settings, seconds + lead / sample_rate), 0, 1)
        measured = np.linspace(place.min(), place.max(), POSITIONS)
        impulse = np.zeros(1 << 13, np.float32)
        impulse[0] = 1
        table = [
            response_db(self.standing(impulse, settings, position), SAMPLE_RATE, hz)
            for position in measured
        ]
        nearest = np.abs(place[:, None] - measured).argmin(1)
        image = Image(np.array(table)[nearest].T, Axis("gain", "dB", -30, 12))
        low, high = SWEEP_HZ
        sweep = Line("cutoff of the stages", seconds, low * (high / low) ** place)
        note = "Dark lines are notches. Measured with the sweep held still at each moment."
        return [Curve("Notches over time", time, FREQUENCY, (sweep,), image, note, timeline=True)]

    def build_proxy(self):
        from unmix.effects.proxies.phaser import PhaserProxy

        return PhaserProxy(self.panel)
