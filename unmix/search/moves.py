"""Moves of a fit over hills that its descent does not climb, taken where the real effects agree.

``follow`` goes down the gradient of the proxies, in another landscape; ``kick`` tries other
controls drawn at random; ``lfo`` looks up where an LFO stands, ``borrow`` asks other fits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unmix.search.gauss_newton import GaussNewton

PERTURBATIONS = 6  # draws for each effect


OPTIONS_FOLLOWED, CHANGE = (
    4,
    0.01,
)  # options that are followed, if the cost changes by more than that share


ALONE_STEPS = 3  # of an effect whose switch or LFO has moved …


WHOLES, WHOLE_STEPS = 2, 6  # … and of so many chains as a whole, where that was not enough


NEAR, FLAT, SEARCHED = 0.1, 0.2, 8  # a move that changes the cost by less than that share of it …


PLACES = np.linspace(0.025, 0.975, 20)  # … and places that are tried of as many such knobs


def perturb(fit: GaussNewton) -> bool:
    """Effect by effect: other options of its switches, and knobs drawn anew, some of them or all,
    from the belief or from their whole range; the best is taken."""
    moved = False
    for i, effect in enumerate(fit.effects):
        place, options = fit.knob_slices[i], _other_options(fit, i)
        mixture = fit.start.mixtures.get(effect.name)
        generator = torch.Generator().manual_seed(int(fit.rng.integers(2**31)))
        for n in range(PERTURBATIONS):
            u = fit.rng.random(len(effect.knobs))
            if mixture and n % 2:
                u = mixture.sample(1, generator)[0, 0].double().numpy()
            if n % 4 < 2:  # one knob or two alone
                alone = np.zeros(len(u), bool)
                alone[fit.rng.integers(len(u), size=2)] = True
                u = np.where(alone, u, fit.knobs[place])
            options.append((u, fit.switches[i]))
        moved |= fit.accept_if_better(*fit.best_of(i, options)[0])
    return moved


def try_options(fit: GaussNewton) -> bool:
    """Other options of every switch, the nearest of those that change something."""
    trials = []
    for i in range(len(fit.effects)):
        options = _other_options(fit, i)
        trials += [(i, trial) for trial in fit.best_of(i, options, len(options))]
    trials = [item for item in trials if abs(item[1][0] - fit.cost) > CHANGE * fit.cost]
    trials = sorted(trials, key=lambda item: item[1][0])[:OPTIONS_FOLLOWED]
    return _descended(fit, trials)


def line_search(fit: GaussNewton) -> bool:
    """Other places in the range of each knob that hardly changes the sound where it stands: it may
    be on a plateau, which no descent leaves."""
    if not len(fit.knobs):
        return False
    curvature, _ = fit.curvature(*fit.jacobian())
    change = NEAR**2 * curvature.diagonal()
    moved = False
    for k in change.argsort()[:SEARCHED]:
        if change[k] > FLAT * fit.cost:
            break
        i, options = fit.effect_of[k], []
        for u in PLACES:
            knobs = fit.knobs.copy()
            knobs[k] = u
            options.append((knobs[fit.knob_slices[i]], fit.switches[i]))
        moved |= fit.accept_if_better(*fit.best_of(i, options)[0])
    return moved


def _other_options(fit: GaussNewton, i: int) -> list[tuple]:
    """Each other option of each switch of effect i: (knobs, switches), the knobs as they stand."""
    found = []
    for s, switch in enumerate(fit.effects[i].switches):
        for option in range(len(switch.options)):
            other = fit.switches[i].copy()
            other[s] = option
            if option != fit.switches[i][s]:
                found.append((fit.knobs[fit.knob_slices[i]], other))
    return found


def descend_steps(fit: GaussNewton, steps: int) -> None:
    """So many steps of descent, while it moves."""
    for _ in range(steps):
        if not fit.descend():
            break


def _descended(fit: GaussNewton, trials: Sequence[tuple]) -> bool:
    """Whether one of several trials (i, of effect i) is nearer after a few steps of the knobs of
    its effect alone; it is taken then. Of those that are not the nearest go on with all knobs:
    others may have made up for what was wrong with that effect."""
    moved, farther = False, []
    for i, trial in trials:
        alone = fit.restricted_to(i, *trial)
        descend_steps(alone, ALONE_STEPS)
        found = alone.cost, alone.knobs, alone.switches
        if fit.accept_if_better(*found):
            moved = True
        else:
            farther.append(found)
    farther = sorted(farther, key=lambda found: found[0])[:WHOLES]
    return descend_all(fit, farther) or moved


def descend_all(fit: GaussNewton, trials: Sequence[tuple]) -> bool:
    """Whether one of several trials (cost, knobs, switches) is nearer after a few steps of all
    knobs; the first such is taken."""
    for trial in trials:
        aside = fit.copy_at(*trial)
        descend_steps(aside, WHOLE_STEPS)
        if fit.accept_if_better(aside.cost, aside.knobs, aside.switches):
            return True
    return False
