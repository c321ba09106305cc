"""Intervals of an answer's knobs: a Laplace approximation at the answer.

A knob is as certain as the recording makes it. Near an answer with K knobs the spectrogram cost
(recording.objective) is c + δᵀ A δ, with A from slopes of real renders (Gauss-Newton). If the c
that remains were noise of N independent samples, the knobs would scatter around the truth with
covariance (N A / c)⁻¹ (nonlinear least squares; Seber and Wild, "Nonlinear Regression", 1989,
section 2.1). The cells of a spectrogram are not independent, and what remains is seldom noise, so
that N is fitted on held-out recordings instead. The posterior of the knobs joins as the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmix import effects
from unmix.recording.judge import Judge
from unmix.search.gauss_newton import GaussNewton
from unmix.search.point import InitialPoint

UNIFORM_VARIANCE = 1 / 12  # of a knob that may be anywhere in 0…1
NORMAL_90 = 1.645  # standard deviations to either side that hold 90 % of a normal distribution


@dataclass(frozen=True)
class LaplaceSettings:
    """What the intervals' widths depend on."""

    # N above: chosen on seed 2 of `evaluate refine`, 7 chains of 200 steps, 109 of 121 knobs inside
    effective_samples: float = 3.0
    # dB²: the cost that rounding leaves; not tuned
    least_cost: float = 1e-4


LAPLACE = LaplaceSettings()


def laplace_unit_intervals(
    judge: Judge, answer: InitialPoint, settings: LaplaceSettings = LAPLACE
) -> dict[str, list[tuple[float, float]]]:
    """90 % intervals around an answer that a search ended at.

    Args:
        judge: of the recording.
        answer: with the posterior of its knobs.
        settings: of the widths.

    Returns:
        {effect: (low, high) in 0…1 of each knob}; of an angle low may exceed high: through 0.
    """
    fit = GaussNewton(judge, [answer], np.random.default_rng(0))
    if not len(fit.knobs):
        return {}
    curvature, _ = fit.curvature(*fit.jacobian())
    precision = settings.effective_samples * curvature / (fit.cost + settings.least_cost)
    precision += np.diag(1 / np.minimum(fit.prior_std**2, UNIFORM_VARIANCE))
    wide = NORMAL_90 * np.sqrt(np.diag(np.linalg.inv(precision)))
    wide = np.minimum(wide, 0.5)
    low, high = fit.knobs - wide, fit.knobs + wide
    low = np.where(fit.circular, low % 1.0, low.clip(0, 1))
    high = np.where(fit.circular, high % 1.0, high.clip(0, 1))
    return {
        effect.name: list(zip(low[own].tolist(), high[own].tolist(), strict=True))
        for effect, own in zip(fit.effects, fit.knob_slices, strict=True)
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
