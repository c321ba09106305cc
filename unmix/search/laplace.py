"""How sure an answer is of its knobs: from the curvature of the distance at the answer.

A knob is as certain as the recording makes it. Near an answer with K knobs the cost of picture.py
is c + δᵀ A δ, with A from slopes of real renders (Gauss-Newton). If the c that remains were noise
of N independent cells, the knobs would scatter around the truth with covariance (N A / c)⁻¹
(nonlinear least squares; Seber and Wild, "Nonlinear Regression", 1989, section 2.1). The cells are
not independent and what remains is seldom noise, so that N is fitted on held-out recordings
instead (CELLS). What the network believed beforehand joins as the prior.
"""

from __future__ import annotations

import numpy as np

from unmix import effects
from unmix.recording.judge import Judge
from unmix.search.gauss_newton import GaussNewton
from unmix.search.starts import InitialPoint

EFFECTIVE_SAMPLES = (
    3.0  # 109 of 121 knobs inside: 7 chains of `evaluate refine`'s seed 2, 200 steps each
)
LEAST_COST = 1e-4  # dB²: what rounding leaves
EVERYWHERE = 1 / 12  # variance of a knob that may stand anywhere in 0…1
NORMAL_90 = 1.645


def laplace_unit_intervals(
    judge: Judge, answer: InitialPoint
) -> dict[str, list[tuple[float, float]]]:
    """90 % intervals about an answer that a search ended at.

    Args:
        judge: of the recording.
        answer: the chain that a search ended at, with what was believed of its knobs.

    Returns:
        {effect: (low, high) in 0…1 of each knob}; of an angle low may exceed high: through 0.
    """
    fit = GaussNewton(judge, [answer], np.random.default_rng(0))
    if not len(fit.knobs):
        return {}
    curvature, _ = fit.curvature(*fit.jacobian())
    precision = EFFECTIVE_SAMPLES * curvature / (fit.cost + LEAST_COST)
    precision += np.diag(1 / np.minimum(fit.prior_std**2, EVERYWHERE))
    wide = NORMAL_90 * np.sqrt(np.diag(np.linalg.inv(precision)))
    wide = np.minimum(wide, 0.5)
    low, high = fit.knobs - wide, fit.knobs + wide
    low = np.where(fit.circular, low % 1.0, low.clip(0, 1))
    high = np.where(fit.circular, high % 1.0, high.clip(0, 1))
    return {
        effect.name: list(zip(low[place].tolist(), high[place].tolist(), strict=True))
        for effect, place in zip(fit.effects, fit.knob_slices, strict=True)
    }


def laplace_intervals(
    judge: Judge, answer: InitialPoint
) -> dict[str, dict[str, tuple[float, float]]]:
    """The same in units: {effect: {knob: (low, high)}}."""
    return {
        name: {
            knob.name: (float(knob.from_unit(low)), float(knob.from_unit(high)))
            for knob, (low, high) in zip(effects.get(name).knobs, found, strict=True)
        }
        for name, found in laplace_unit_intervals(judge, answer).items()
    }
