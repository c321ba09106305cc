"""Four-band equaliser; the bands' frequency ranges touch and do not overlap."""

from __future__ import annotations

import numpy as np

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
