"""Other places for the filters of an equaliser, where a descent finds none.

A filter in a wrong place is what all other knobs have come to agree with: wherever it goes alone,
the sound is farther off, and so it is wherever they go without it. What they would do is known by
their slopes: for every place of the filter, linear least squares over its gain and all other knobs
tell how near the chain would come.
"""

from __future__ import annotations

from dataclasses import astuple
from itertools import product

import numpy as np
import torch

from unmix.search import moves
from unmix.search.gauss_newton import GaussNewton

SITES, WIDTHS = np.linspace(0.06, 0.94, 7), (0.3, 0.6)  # of a filter on its knobs, 0…1
SHOWN_DB = 2.0  # a gain that shows what a filter does at a site
LEFT, APART = 0.05, 0.15  # new places are so far from where it was, and from each other
PLACES, CHAINS, NEAR = 2, 2, 2.0  # of each filter; of all, which go down if not much farther
BELOW = 1.0  # dB²: above, slopes do not tell what other knobs would do
DAMPING, FARTHEST = 0.01, 0.3  # of the other knobs, and how far one goes


def relocate_band(fit: GaussNewton) -> bool:
    """Try other places for every filter; whether one is nearer."""
    if fit.cost > BELOW or not any(effect.eq_bands for effect in fit.effects):
        return False
    slopes, found = fit.linear or fit.jacobian(), []
    for i, effect in enumerate(fit.effects):
        names = [knob.name for knob in effect.knobs]
        for one in effect.eq_bands:
            own = [fit.knob_slices[i].start + names.index(name) for name in astuple(one)]
            found += _elsewhere(fit, i, own, *slopes)
    controls = [(knobs, fit.switches) for knobs in found]
    costs = fit.costs(controls)
    near = [n for n in np.argsort(costs, kind="stable")[:CHAINS] if costs[n] < NEAR * fit.cost]
    return moves.descend_all(fit, [(fit.cost_of(*controls[n]), *controls[n]) for n in near])


def _elsewhere(
    fit: GaussNewton, i: int, own: list[int], here: torch.Tensor, slopes: torch.Tensor
) -> list[np.ndarray]:
    """All knobs of the chain with one filter of effect i in its best other places, by the
    differences as the settings stand and their slopes; ``own`` are the numbers of its knobs."""
    freq, gain, _ = own
    knob = fit.effects[i].knobs[gain - fit.knob_slices[i].start]
    flat, shown = knob.to_unit(0.0), knob.to_unit(SHOWN_DB)
    sites = np.tile(fit.knobs, (1 + len(SITES) * len(WIDTHS), 1))
    sites[0, gain] = flat
    sites[1:, own] = [(site, shown, width) for site, width in product(SITES, WIDTHS)]
    base, *there = fit.residuals([(knobs, fit.switches) for knobs in sites], i)
    weight = fit.judge.spectrogram.irls_weights(here)
    changes = (torch.stack(there) - base) / (shown - flat)  # per range of the gain

    others = np.setdiff1d(np.arange(len(fit.knobs)), own)
    weighted = slopes[others] * weight
    curvature = (weighted @ slopes[others].T).double().numpy()
    curvature += np.diag(DAMPING * curvature.diagonal() + 1e-9)
    products = (weighted @ torch.cat([base[None], changes]).T).double().numpy()
    moves = -np.linalg.solve(curvature, products)  # of the others, for no gain and for its range
    # cost with a gain of g ranges: left + 2 g · slope + g² · curved
    left = float((weight * base) @ base) + products[:, 0] @ moves[:, 0]
    slope = ((changes * weight) @ base).double().numpy() + products[:, 0] @ moves[:, 1:]
    curved = (changes.square() @ weight).double().numpy() + (products * moves)[:, 1:].sum(0)
    level = np.clip(-slope / np.maximum(curved, 1e-9), -flat, 1 - flat)
    cost = left + 2 * level * slope + level**2 * curved

    found: list[np.ndarray] = []
    for n in cost.argsort(kind="stable"):
        knobs = sites[1 + n].copy()
        away = [abs(knobs[freq] - other[freq]) > APART for other in found]
        if len(found) < PLACES and all(away) and abs(knobs[freq] - fit.knobs[freq]) > LEFT:
            knobs[gain] = flat + level[n]
            step = moves[:, 0] + level[n] * moves[:, 1 + n]
            knobs[others] += step.clip(-FARTHEST, FARTHEST)
            found.append(fit.within(knobs))
    return found
