"""Other frequencies for the bands of an equaliser, by variable projection.

A band at a wrong frequency is what all other knobs have adapted to: wherever it moves alone, the
sound is farther off. What the others would do is known by their slopes: for every frequency and Q
of the band, its gain and all other knobs are fitted in closed form, by linear least squares, which
tells how near the chain would come (Golub and Pereyra, "The differentiation of pseudo-inverses and
nonlinear least squares problems whose variables separate", 1973).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import product

import numpy as np
import torch

from unmix.search import moves
from unmix.search.gauss_newton import GaussNewton


@dataclass(frozen=True)
class BandMoveSettings:
    """Which bands are tried. "Not tuned": no trial is on record that chose the value. Frequency, Q
    and other knobs count in 0…1."""

    # frequencies of a band: first, last, count; not tuned
    frequencies: tuple[float, float, int] = (0.06, 0.94, 7)
    # Qs of a band; not tuned
    widths: tuple[float, ...] = (0.3, 0.6)
    # dB: the gain whose render shows what a band does at a frequency; not tuned
    shown_db: float = 2.0
    # new frequencies are so far from the old one at least, and from each other; not tuned
    away: float = 0.05
    apart: float = 0.15
    # new settings of each band; not tuned
    per_band: int = 2
    # of all, how many descend …; not tuned
    trials: int = 2
    # … if they cost no more than that many times the present cost; not tuned
    factor: float = 2.0
    # dB²: cost above which slopes do not tell what the other knobs would do; not tuned
    below: float = 1.0
    # of the other knobs, as a share of their curvature; not tuned
    damping: float = 0.01
    # how far another knob goes at most; not tuned
    farthest: float = 0.3


BAND_MOVES = BandMoveSettings()


def relocate_band(fit: GaussNewton, settings: BandMoveSettings = BAND_MOVES) -> bool:
    """Try other frequencies for every band; whether one is nearer."""
    if fit.cost > settings.below or not any(effect.eq_bands for effect in fit.effects):
        return False
    (residuals, slopes), found = fit.linear or fit.jacobian(), []
    for i, effect in enumerate(fit.effects):
        names = [knob.name for knob in effect.knobs]
        for one in effect.eq_bands:
            own = [fit.knob_slices[i].start + names.index(name) for name in astuple(one)]
            found += _relocated(fit, own, residuals, slopes, settings)
    controls = [(knobs, fit.switches) for knobs in found]
    costs = fit.costs(controls)
    near = np.argsort(costs, kind="stable")[: settings.trials]
    near = [n for n in near if costs[n] < settings.factor * fit.cost]
    return moves.descend_all(fit, [(fit.cost_of(*controls[n]), *controls[n]) for n in near])


def _relocated(
    fit: GaussNewton,
    own: list[int],
    residuals: torch.Tensor,
    slopes: torch.Tensor,
    settings: BandMoveSettings,
) -> list[np.ndarray]:
    """All knobs (K,) of the chain with one band at each of its best other frequencies.

    Args:
        fit: with the present settings.
        own: numbers of the band's knobs: frequency, gain, Q.
        residuals, slopes: (D,), (K, D) of the present settings.
        settings: of the move.
    """
    freq, gain, _ = own
    i = fit.effect_of[freq]
    knob = fit.effects[i].knobs[gain - fit.knob_slices[i].start]
    flat, shown = knob.to_unit(0.0), knob.to_unit(settings.shown_db)
    sites = list(product(np.linspace(*settings.frequencies), settings.widths))
    trials = np.tile(fit.knobs, (1 + len(sites), 1))
    trials[0, gain] = flat
    trials[1:, own] = [(site, shown, width) for site, width in sites]
    base, *shows = fit.residuals([(knobs, fit.switches) for knobs in trials], i)
    changes = (torch.stack(shows) - base) / (shown - flat)  # per range of the gain

    others = np.setdiff1d(np.arange(len(fit.knobs)), own)
    weights = fit.judge.spectrogram.irls_weights(residuals)
    weighted = slopes[others] * weights
    curvature = (weighted @ slopes[others].T).double().numpy()
    curvature += np.diag(settings.damping * curvature.diagonal() + 1e-9)
    products = (weighted @ torch.cat([base[None], changes]).T).double().numpy()
    steps = -np.linalg.solve(curvature, products)  # of the others, for no gain and for its range
    # cost with a gain of g ranges: rest + 2 g · slope + g² · curved
    rest = float((weights * base) @ base) + products[:, 0] @ steps[:, 0]
    slope = ((changes * weights) @ base).double().numpy() + products[:, 0] @ steps[:, 1:]
    curved = (changes.square() @ weights).double().numpy() + (products * steps)[:, 1:].sum(0)
    level = np.clip(-slope / np.maximum(curved, 1e-9), -flat, 1 - flat)
    cost = rest + 2 * level * slope + level**2 * curved

    found: list[np.ndarray] = []
    for n in cost.argsort(kind="stable"):
        knobs = trials[1 + n].copy()
        apart = [abs(knobs[freq] - other[freq]) > settings.apart for other in found]
        away = abs(knobs[freq] - fit.knobs[freq]) > settings.away
        if len(found) < settings.per_band and all(apart) and away:
            knobs[gain] = flat + level[n]
            step = steps[:, 0] + level[n] * steps[:, 1 + n]
            knobs[others] += step.clip(-settings.farthest, settings.farthest)
            found.append(fit.within(knobs))
    return found
