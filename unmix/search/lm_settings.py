"""Settings of Levenberg-Marquardt (gauss_newton.py), in the spectrogram and in the waveform
objective."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LmSettings:
    """How Levenberg-Marquardt goes in one objective. Knobs count in 0…1; "share" is relative.

    None is tuned: no trial is on record that chose a value.
    """

    # of the judge: "spectrogram" or "waveform"; not tuned
    objective: str
    # no knob moves farther in a step; not tuned
    trust: float
    # at least, as a share of each knob's curvature; not tuned
    least_damping: float
    # factor by which an accepted step lowers the damping; not tuned
    damping_fall: float
    # whether damping stays where failed tries left it, or goes back; not tuned
    keeps_damping: bool
    # curvature of a knob that damping reckons with at least, as a share of the largest; not tuned
    least_curvature: float
    # difference of a knob for its slope, at least and at most; not tuned
    least_difference: float
    most_difference: float
    # relative fall of the cost from which on the next step keeps the slopes; not tuned
    carried_gain: float
    # steps with the same measured slopes, at most; not tuned
    carried_steps: float
    # relative fall by a step with new slopes at which the descent ends; not tuned
    least_gain: float
    # first difference, where later ones follow the slopes; None where the cost alone decides; not
    # tuned
    first_difference: float | None = None
    # what those later differences change, as a share of the residuals' norm; not tuned
    difference_change: float = 0.0
    # share of the cost that a knob must be able to lower alone, to be measured every time rather
    # than every other time; None: all are measured every time; not tuned
    matters: float | None = None
    # dB² for one standard deviation from the posterior's mean where the cost is 1 dB² or more;
    # below, that share of the cost; not tuned
    prior_weight: float = 0.0
    # damping at first, as a share of each knob's curvature; not tuned
    damping: float = 1e-2
    # factor by which a failed try raises the damping; not tuned
    damping_rise: float = 8.0
    # tries of a step with new slopes of all knobs; not tuned
    tries: int = 5
    # tries of a step with other slopes; not tuned
    carried_tries: int = 2
    # whether a step that failed counts among the steps; not tuned
    counts_failures: bool = False
    # whether it goes on at its end with the quantised LFO rates held; not tuned
    holds_rates: bool = False
    # cost below which nothing is left to find; not tuned
    solved: float = 0.0
    # spectrogram cost in dB² above which it is not begun; not tuned, but never seen to help there
    start_below: float = math.inf


SPECTROGRAM = LmSettings(
    objective="spectrogram",
    trust=0.3,
    least_damping=1e-4,
    damping_fall=5.0,
    keeps_damping=False,
    least_curvature=1e-3,
    least_difference=0.001,
    most_difference=0.004,
    carried_gain=0.05,
    carried_steps=3,
    least_gain=1e-3,
    matters=1e-3,
    prior_weight=1e-3,
)
WAVEFORM = LmSettings(
    objective="waveform",
    trust=0.1,
    least_damping=1e-8,
    damping_fall=8.0,
    keeps_damping=True,
    least_curvature=1e-6,
    least_difference=1e-5,
    most_difference=3e-3,
    carried_gain=0.5,
    carried_steps=math.inf,
    least_gain=0.1,
    first_difference=1e-4,
    difference_change=0.3,
    counts_failures=True,
    holds_rates=True,
    solved=1e-8,
    start_below=3.0,
)
