"""Phaser: six swept all-pass stages with feedback, mixed with the dry sound."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect, Lfo
from unmix.effects.batch import LANES
from unmix.effects.controls import Knob
from unmix.effects.plotdata import FREQUENCY, Axis, Curve, Image, Line, response_db, time_axis

# the device looks at its LFO once in so many samples, and comes to a new rate over that time
HOLD, RAMP_S = 4, 0.05
STAGES = 6
HASTE = 64  # looks at the LFO while it hastens ahead
SWEEP_HZ = (20.0, 20_000.0)  # the LFO moves the cutoff along this logarithmic axis, 0…1
# of the plot: seconds where no sound is known, its grid, and positions of the LFO measured
PLOT_S, PLOT_COLUMNS, PLOT_ROWS, POSITIONS = 4.0, 360, 180, 96


@njit(cache=True, nogil=True)
def _angles(start, step, looks):
    """Where LFOs stand at each look, float32 (looks, LANES). They count in 32 bits, and drift, as
    the device does."""
    turn = np.float32(2 * math.pi)
    angles = np.empty((looks, LANES), np.float32)
    angle = start.copy()
    for look in range(looks):
        for n in range(LANES):
            angles[look, n] = angle[n]
            angle[n] += step[n]
            if angle[n] >= turn:
                angle[n] -= turn
    return angles


@njit(cache=True, fastmath=True, nogil=True)
def _swept(x, gains, feedback, mix):
    """Six first-order all-passes of the trapezoidal rule in a feedback loop (Zavalishin, "The Art
    of VA Filter Design", 2018, chapter 3): x (samples, LANES), their gains (looks, LANES)."""
    wet = np.empty_like(x)
    states = np.zeros((STAGES + 1, LANES), np.float32)  # the output is fed back
    for t in range(x.shape[0]):
        look = t // HOLD
        for n in range(LANES):
            y = x[t, n] - states[STAGES, n]
            for stage in range(STAGES):
                v = gains[look, n] * (y - states[stage, n])
                low = v + states[stage, n]
                y = low + low - y
                states[stage, n] = low + v
            states[STAGES, n] = y * feedback[n]
            wet[t, n] = x[t, n] + mix[n] * (y - x[t, n])
    return wet


def _gains(place: np.ndarray) -> np.ndarray:
    """Of the stages, where the LFO stands at a place: float32 in the same shape."""
    low, high = SWEEP_HZ
    octaves = np.float32(math.log(high / low)) * place.clip(0, 1).astype(np.float32)
    tangent = np.tan(np.float32(math.pi * low / SAMPLE_RATE) * np.exp(octaves))
    return tangent / (1 + tangent)


class Phaser(Effect):
    """pedalboard.Phaser. Its LFO starts as −sin; ``phase`` is reached by running it ahead.

    It runs ahead at a rate that brings it there in some 60 ms, and comes to its own while doing so:
    at its own rate it would take up to 20 s, and drift, as the device counts the angle in 32 bits.
    """

    name = "phaser"
    order = 4
    proxy_class = "unmix.effects.phaser.proxy:PhaserProxy"
    description = "Phaser: notches that sweep through the spectrum."
    knobs = (
        Knob("rate", "Hz", 0.05, 5, "log", 0.5, "speed of the sweep"),
        Knob("depth", "%", 0, 100, "linear", 50, "width of the sweep"),
        Knob("centre", "Hz", 200, 4_000, "log", 1_000, "middle of the sweep"),
        Knob("feedback", "%", 0, 80, "linear", 25, "sharpness of the notches"),
        Knob("dry_wet", "%", 0, 100, "linear", 50, "share of the swept path"),
        Knob("phase", "°", 0, 360, "circular", 0, "where the LFO stands at the first sample"),
    )

    # the angle, below 2π, has 24 bits: the rate comes in steps of its last one
    lfo = Lfo("rate", "depth", "centre", "phase", 2**-21 / (2 * math.pi) * SAMPLE_RATE / HOLD)

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

    def render_batch(self, audio, settings, smooth=False):
        values = {knob.name: self.lanes(settings, knob.name) for knob in self.knobs}
        turn = np.float32(2 * math.pi)
        step = turn / np.float32(SAMPLE_RATE / HOLD) * np.float32(values["rate"])
        start = turn * np.float32(values["phase"] / 360 % 1)
        angles = _angles(start, step, -(-len(audio) // HOLD))
        if smooth:  # all drift as the first does
            looks = np.arange(len(angles))[:, None]
            ahead = (start - start[0]) + (step - step[0]).astype(float) * looks
            angles = (angles[:, :1] + ahead).astype(np.float32)
        swing = np.sin(angles)
        swing *= np.float32(values["depth"] / 200)
        place = np.float32(self._place(values["centre"])) - swing
        feedback, mix = (np.float32(values[name] / 100) for name in ("feedback", "dry_wet"))
        return _swept(audio, _gains(place), feedback, mix)

    def render_frozen_batch(self, audio, settings, positions):
        positions = np.resize(positions, LANES)
        gains = np.repeat(_gains(positions)[None], -(-len(audio) // HOLD), 0)
        feedback, mix = (
            np.full(LANES, settings[name] / 100, np.float32) for name in ("feedback", "dry_wet")
        )
        return _swept(np.repeat(audio[:, None], LANES, 1), gains, feedback, mix)

    @staticmethod
    def _place(hertz):
        """Of a frequency on the LFO's axis."""
        low, high = np.log(SWEEP_HZ)
        return (np.log(hertz) - low) / (high - low)

    def position(self, values, seconds):
        turns = values["phase"] / 360 + values["rate"] * seconds
        swing = values["depth"] / 200 * np.sin(2 * np.pi * turns)
        return self._place(values["centre"]) - swing

    def render_frozen(self, audio, settings, position):
        low, high = SWEEP_HZ
        return self._device(settings, 0.0, low * (high / low) ** position)(audio, SAMPLE_RATE)

    def response_plots(self, settings, input_audio, sample_rate=SAMPLE_RATE, lead=0):
        samples = (
            round(PLOT_S * sample_rate) if input_audio is None else max(1, len(input_audio) - lead)
        )
        time = time_axis(samples, sample_rate)
        seconds, hz = time.grid(PLOT_COLUMNS), FREQUENCY.grid(PLOT_ROWS)
        place = np.clip(self.position(settings, seconds + lead / sample_rate), 0, 1)
        measured = np.linspace(place.min(), place.max(), POSITIONS)
        impulse = np.zeros(1 << 13, np.float32)
        impulse[0] = 1
        table = [
            response_db(self.render_frozen(impulse, settings, position), SAMPLE_RATE, hz)
            for position in measured
        ]
        nearest = np.abs(place[:, None] - measured).argmin(1)
        image = Image(np.array(table)[nearest].T, Axis("gain", "dB", -30, 12))
        low, high = SWEEP_HZ
        lfo = Line("cutoff of the stages", seconds, low * (high / low) ** place)
        note = "Dark lines are notches. Measured with the sweep held still at each moment."
        return [Curve("Notches over time", time, FREQUENCY, (lfo,), image, note, timeline=True)]
