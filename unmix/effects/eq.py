"""Four-band equaliser; the bands' frequency ranges touch and do not overlap."""

from __future__ import annotations

import math

import numpy as np

from unmix.audio import SAMPLE_RATE
from unmix.curves import FREQUENCY, Axis, Curve, Line, response_db
from unmix.effects.base import Effect
from unmix.knobs import Knob, Switch

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


class Equalizer(Effect):
    """Four filters in series: pedalboard's shelves and bells; a cut is two first-order filters."""

    name = "eq"
    order = 2
    description = "Equaliser with four bands: cut, shelf or bell at the ends, bells between."
    knobs = tuple(knob for band in BANDS for knob in _band_knobs(band))
    switches = tuple(
        Switch(f"mode_{band}", modes, "bell", f"shape of band {band}")
        for band, (*_, modes) in BANDS.items()
        if len(modes) > 1
    )
    linear_time_invariant = True

    def is_neutral(self, settings):
        return all(
            settings[f"gain_{band}"] == 0 and not self.mode(settings, band).endswith("cut")
            for band in BANDS
        )

    def build_proxy(self):
        from unmix.effects.proxies.eq import EqualizerProxy

        return EqualizerProxy(self.panel)

    def curves(self, settings, heard, sample_rate=SAMPLE_RATE, lead=0):
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
