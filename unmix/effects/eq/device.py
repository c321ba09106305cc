"""Four-band equaliser; the bands' frequency ranges touch and do not overlap."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import njit

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect, EqBand
from unmix.effects.batch import LANES
from unmix.effects.controls import Knob, Switch
from unmix.effects.plotdata import FREQUENCY, Axis, Curve, Line, response_db

#            band: (low Hz, high Hz, default Hz, modes)
BANDS = {
    1: (30, 200, 80, ("low_cut", "low_shelf", "bell")),
    2: (200, 1_200, 500, ("bell",)),
    3: (1_200, 6_000, 2_500, ("bell",)),
    4: (6_000, 16_000, 10_000, ("high_cut", "high_shelf", "bell")),
}
GAIN_DB = 15.0
Q_RANGE = (0.3, 10.0)
RESPONSE_SAMPLES = 1 << 17  # the slowest filter, 30 Hz with Q 10, falls by 60 dB in 0.73 s


def _band_knobs(band: int) -> tuple[Knob, ...]:
    low, high, default, _ = BANDS[band]
    return (
        Knob(f"freq_{band}", "Hz", low, high, "log", default, f"band {band}: corner or centre"),
        Knob(
            f"gain_{band}", "dB", -GAIN_DB, GAIN_DB, "linear", 0, f"band {band}: no effect on a cut"
        ),
        Knob(f"q_{band}", "", *Q_RANGE, "log", 0.71, f"band {band}: no effect on a cut"),
    )


def _bell(freq, gain_db, q) -> list[tuple]:
    """Sections (b0, b1, b2, a0, a1, a2) of float32 arrays: Bristow-Johnson, "Audio EQ Cookbook".
    The device counts in 32 bits, on which low frequencies hang; so do these."""
    a, w = _amplitude(gain_db), _angle(freq)
    alpha, c = np.sin(w) / (2 * q), -2 * np.cos(w)
    return [(1 + alpha * a, c, 1 - alpha * a, 1 + alpha / a, c, 1 - alpha / a)]


def _shelf(freq, gain_db, q, side: int) -> list[tuple]:
    """The same of a low (side 1) or a high shelf (−1), as the device has them: with √A/Q."""
    a, w = _amplitude(gain_db), _angle(freq)
    beta, c = np.sin(w) * np.sqrt(a) / q, side * np.cos(w)
    less, more = a - 1, a + 1
    b = more - less * c + beta, side * 2 * (less - more * c), more - less * c - beta
    poles = more + less * c + beta, side * -2 * (less + more * c), more + less * c - beta
    return [(a * b[0], a * b[1], a * b[2], *poles)]


def _cut(freq, gain_db, q, side: int) -> list[tuple]:
    """Two first-order sections: a high cut (side 1) or a low cut (−1), bilinear transform."""
    t, one = np.tan(_angle(freq) / 2), np.ones_like(freq)
    b = (t, t) if side == 1 else (one, -one)
    return 2 * [(*b, 0 * t, t + 1, t - 1, 0 * t)]


def _amplitude(gain_db):
    return np.sqrt(10 ** (gain_db / 20))


def _angle(freq):
    return np.float32(2 * math.pi) * freq / np.float32(SAMPLE_RATE)


SHAPES = {
    "bell": _bell,
    "low_shelf": partial(_shelf, side=1),
    "high_shelf": partial(_shelf, side=-1),
    "low_cut": partial(_cut, side=-1),
    "high_cut": partial(_cut, side=1),
}
SECTIONS = 6  # four bands, of which the outer ones may have two


def sections(knobs: dict[str, np.ndarray], modes: dict[int, np.ndarray]) -> np.ndarray:
    """The filters of N equalisers in series: float32 (SECTIONS, 5, N), (b0, b1, b2, a1, a2) each.

    Args:
        knobs: {name: (N,)} in units. modes: {band: (N,) shapes}, of the bands with a switch.
    """
    count = len(next(iter(knobs.values())))
    found = np.zeros((SECTIONS, 5, count), np.float32)
    found[:, 0], first = 1, 0
    for band, (*_, choices) in BANDS.items():
        controls = [np.float32(knobs[f"{knob}_{band}"]) for knob in ("freq", "gain", "q")]
        own = modes.get(band, np.full(count, "bell"))
        for mode in set(own.tolist()):
            for k, (*b, a0, a1, a2) in enumerate(SHAPES[mode](*controls), first):
                section = np.stack([*b, a1, a2]) * (1 / a0)
                found[k][:, own == mode] = section[:, own == mode]
        first += 2 if len(choices) > 1 else 1
    return found


@njit(cache=True, fastmath=True, nogil=True)
def _filtered(x, sections):
    """Second-order ``sections`` (SECTIONS, 5, LANES) in series, transposed direct form II."""
    wet = np.empty_like(x)
    states = np.zeros((SECTIONS, 2, LANES), np.float32)
    for t in range(x.shape[0]):
        for n in range(LANES):
            u = x[t, n]
            for k in range(SECTIONS):
                y = sections[k, 0, n] * u + states[k, 0, n]
                states[k, 0, n] = sections[k, 1, n] * u - sections[k, 3, n] * y + states[k, 1, n]
                states[k, 1, n] = sections[k, 2, n] * u - sections[k, 4, n] * y
                u = y
            wet[t, n] = u
    return wet


class Equalizer(Effect):
    """Four filters in series: pedalboard's shelves and bells; a cut is two first-order filters."""

    name = "eq"
    order = 2
    proxy_class = "unmix.effects.eq.proxy:EqualizerProxy"
    description = "Equaliser with four bands: cut, shelf or bell at the ends, bells between."
    knobs = tuple(knob for band in BANDS for knob in _band_knobs(band))
    switches = tuple(
        Switch(f"mode_{band}", modes, "bell", f"shape of band {band}")
        for band, (*_, modes) in BANDS.items()
        if len(modes) > 1
    )
    linear_time_invariant = True
    eq_bands = tuple(EqBand(f"freq_{band}", f"gain_{band}", f"q_{band}") for band in BANDS)

    def is_neutral(self, settings):
        return all(
            settings[f"gain_{band}"] == 0 and not self.mode(settings, band).endswith("cut")
            for band in BANDS
        )

    def response_plots(self, settings, input_audio, sample_rate=SAMPLE_RATE, lead=0):
        hz = FREQUENCY.grid(480)
        impulse = np.zeros(RESPONSE_SAMPLES, np.float32)
        impulse[0] = 1

        def response(values: dict) -> np.ndarray:
            return response_db(self.process(impulse, sample_rate, values), sample_rate, hz)

        flat = {f"gain_{band}": 0.0 for band in BANDS}
        flat |= {switch.name: "bell" for switch in self.switches}
        alone = []
        for band in BANDS:
            own = {k: v for k, v in settings.items() if k.endswith(f"_{band}")}
            if not self.is_neutral(settings | flat | own):
                line = response(settings | flat | own)
                alone.append(Line(f"band {band}", hz, line, faint=True))
        whole = Line("all bands", hz, response(settings))
        reach = float(np.abs(whole.y[whole.y > -2 * GAIN_DB]).max(initial=GAIN_DB))
        ends = 6 * math.ceil((reach + 1) / 6)
        gain = Axis("gain", "dB", -ends, ends)
        note = "Measured on the filters themselves, by their response to an impulse."
        return [Curve("Frequency response", FREQUENCY, gain, (*alone, whole), note=note)]

    @staticmethod
    def mode(settings: dict, band: int) -> str:
        """What shape a band has; bands without a switch are bells."""
        return settings.get(f"mode_{band}", "bell")

    def process(self, audio, sample_rate, settings):
        import pedalboard as pb

        filters = []
        for band in BANDS:
            freq, gain, q = (settings[f"{knob}_{band}"] for knob in ("freq", "gain", "q"))
            match self.mode(settings, band):
                case "bell":
                    filters.append(pb.PeakFilter(freq, gain, q))
                case "low_shelf":
                    filters.append(pb.LowShelfFilter(freq, gain, q))
                case "high_shelf":
                    filters.append(pb.HighShelfFilter(freq, gain, q))
                case "low_cut":
                    filters += [pb.HighpassFilter(freq), pb.HighpassFilter(freq)]
                case "high_cut":
                    filters += [pb.LowpassFilter(freq), pb.LowpassFilter(freq)]
        return pb.Pedalboard(filters)(np.ascontiguousarray(audio), sample_rate)

    def render_batch(self, audio, settings, smooth=False):
        knobs = {knob.name: self.lanes(settings, knob.name) for knob in self.knobs}
        modes = {band: self.lanes(settings, f"mode_{band}", "bell") for band in BANDS}
        return _filtered(audio, sections(knobs, modes))
