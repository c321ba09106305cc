"""Reverb: Freeverb as pedalboard has it."""

from __future__ import annotations

import numpy as np
from numba import njit

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect
from unmix.effects.batch import LANES
from unmix.effects.controls import Knob
from unmix.effects.plotdata import Axis, Curve, Line

# The device's own wet gain is 3 times its wet_level and its dry gain 2 times its dry_level.
DRY_SCALE = 2.0
WET_SCALE = 3.0
INPUT_GAIN = 0.015
LOOP_GAIN = 0.7, 0.28  # of the smallest room, and what the largest has more
DAMPING_SCALE = 0.4
# Freeverb's delays in samples at 44.1 kHz (Smith, "Physical Audio Signal Processing", 2010,
# section "Freeverb")
COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (556, 441, 341, 225)
ALL_PASS_GAIN = 0.5
LINES = np.array([*COMBS, *ALL_PASSES])
LINES_END = int(LINES.sum())

# of the plot of the decay
DECAY_BANDS_HZ = {
    "below 500 Hz": (20, 500),
    "500 Hz to 4 kHz": (500, 4_000),
    "above 4 kHz": (4_000, 16_000),
}
DECAY_DB = 60.0
LONGEST_S = 16.0  # the largest room falls by 60 dB in less


def decay_db(response: np.ndarray) -> np.ndarray:
    """Energy that is still to come at each sample of an impulse response (samples,), in dB re all
    of it: backward integration (Schroeder, "New method of measuring reverberation time", JASA
    37(3), 1965)."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    return 10 * np.log10(left / (left[0] + 1e-30) + 1e-12)


def decay_time_s(decay: np.ndarray, sample_rate: int) -> float:
    """Reverberation time T20 (ISO 3382-1): three times the fall from −5 to −25 dB, in seconds."""
    return 3 * float(np.argmax(decay < -25) - np.argmax(decay < -5)) / sample_rate


@njit(cache=True, fastmath=True, nogil=True)
def _room(x, loop_gain, damping, wet_gain, dry_gain):
    """Freeverb: x (samples, LANES); the others (LANES,)."""
    wet, gain, half = np.empty_like(x), np.float32(INPUT_GAIN), np.float32(ALL_PASS_GAIN)
    lines = np.zeros((LINES_END, LANES), np.float32)
    leave, enter = np.zeros((12, LANES), np.float32), np.zeros((12, LANES), np.float32)
    low = np.zeros((8, LANES), np.float32)
    ends = np.cumsum(LINES)
    starts = ends - LINES
    places = starts.copy()
    for t in range(x.shape[0]):
        for k in range(12):  # apart from what follows, which then takes all lanes at once
            place = places[k]
            for n in range(LANES):
                leave[k, n] = lines[place, n]
        for n in range(LANES):
            sent, y = gain * x[t, n], np.float32(0)
            for k in range(8):
                y += leave[k, n]
                low[k, n] = leave[k, n] + damping[n] * (low[k, n] - leave[k, n])
                enter[k, n] = sent + loop_gain[n] * low[k, n]
            for k in range(8, 12):  # Freeverb's approximation of an all-pass
                enter[k, n] = y + half * leave[k, n]
                y = leave[k, n] - y
            wet[t, n] = dry_gain[n] * x[t, n] + wet_gain[n] * y
        for k in range(12):
            place = places[k]
            for n in range(LANES):
                lines[place, n] = enter[k, n]
            places[k] = place + 1 if place + 1 < ends[k] else starts[k]
    return wet


class Reverb(Effect):
    """pedalboard.Reverb; linear and time-invariant."""

    name = "reverb"
    order = 5
    proxy_class = "unmix.effects.reverb.proxy:ReverbProxy"
    description = "Reverb: a room of eight combs and four all-passes (Freeverb)."
    knobs = (
        Knob("room_size", "%", 0, 90, "linear", 50, "length of the tail"),
        Knob("damping", "%", 0, 100, "linear", 50, "how fast the treble of the tail dies"),
        Knob("dry_wet", "%", 0, 100, "linear", 30, "share of the room; 0 % is the dry sound"),
    )
    linear_time_invariant = True

    def response_plots(self, settings, input_audio, sample_rate=SAMPLE_RATE, lead=0):
        from scipy.signal import butter, sosfilt

        impulse = np.zeros(round(LONGEST_S * sample_rate), np.float32)
        impulse[0] = 1
        room = self.process(impulse, sample_rate, settings | {"dry_wet": 100.0})
        decays = {"all": decay_db(room)}
        for label, band in DECAY_BANDS_HZ.items():
            filtered = sosfilt(butter(2, band, "bandpass", fs=sample_rate, output="sos"), room)
            decays[label] = decay_db(filtered)
        end = max(int(np.argmax(decay < -DECAY_DB)) for decay in decays.values())
        every = max(1, end // 400)
        seconds = np.arange(0, end, every) / sample_rate
        lines = tuple(
            Line(label, seconds, decay[:end:every], faint=label == "all")
            for label, decay in decays.items()
        )
        t20 = decay_time_s(decays["all"], sample_rate)
        note = f"The room alone, after an impulse: it falls by 60 dB in {t20:.2f} s (T20)."
        level = Axis("energy still to come", "dB", -DECAY_DB, 0)
        return [Curve("Decay", Axis("time", "s", 0, end / sample_rate), level, lines, note=note)]

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

    def render_batch(self, audio, settings, smooth=False):
        room, damping, mix = (self.lanes(settings, knob.name) / 100 for knob in self.knobs)
        smallest, more = LOOP_GAIN
        figures = smallest + more * room, DAMPING_SCALE * damping, WET_SCALE * mix, 1 - mix
        return _room(audio, *map(np.float32, figures))
