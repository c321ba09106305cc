"""Moves of a point to regions that its descent does not reach, taken where the real effects agree.

``perturb`` draws controls at random (iterated local search), ``try_options`` follows other options
of the switches, ``line_search`` goes through the range of knobs that stand on a plateau. Moves of
LFOs are in lfo_moves.py, of EQ bands in band_moves.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unmix.search.gauss_newton import GaussNewton


@dataclass(frozen=True)
class MoveSettings:
    """How far and how often is tried. "Not tuned": no trial is on record that chose the value."""

    # random draws for each effect; not tuned
    draws: int = 6
    # other options that are followed, the nearest first; not tuned
    options: int = 4
    # share of the cost by which an option must change it to be followed; not tuned
    option_change: float = 0.01
    # steps of the effect alone whose switch or LFO has moved; not tuned
    alone_steps: int = 3
    # of those that are no nearer by then, how many go on with all knobs; not tuned
    whole_trials: int = 2
    # steps of all knobs; not tuned
    whole_steps: int = 6
    # a knob is on a plateau if a move by this part of its range changes the cost …; not tuned
    plateau_move: float = 0.1
    # … by less than this share of it; not tuned
    plateau_change: float = 0.2
    # such knobs that are searched, the flattest first; not tuned
    plateau_knobs: int = 8
    # values that are tried of each: first, last, count; not tuned
    line: tuple[float, float, int] = (0.025, 0.975, 20)


MOVES = MoveSettings()


def perturb(fit: GaussNewton, settings: MoveSettings = MOVES) -> bool:
    """Effect by effect: other options of its switches, and knobs drawn anew, some of them or all,
    from the posterior or from their whole range; the best is taken."""
    moved = False
    for i, effect in enumerate(fit.effects):
        own, options = fit.knob_slices[i], _other_options(fit, i)
        mixture = fit.origin.mixtures.get(effect.name)
        generator = torch.Generator().manual_seed(int(fit.rng.integers(2**31)))
        for n in range(settings.draws):
            u = fit.rng.random(len(effect.knobs))
            if mixture and n % 2:
                u = mixture.sample(1, generator)[0, 0].double().numpy()
            if n % 4 < 2:  # one knob or two alone
                alone = np.zeros(len(u), bool)
                alone[fit.rng.integers(len(u), size=2)] = True
                u = np.where(alone, u, fit.knobs[own])
            options.append((u, fit.switches[i]))
        moved |= fit.accept_if_better(*fit.best_of(i, options)[0])
    return moved


def try_options(fit: GaussNewton, settings: MoveSettings = MOVES) -> bool:
    """Other options of every switch, the nearest of those that change something."""
    trials = []
    for i in range(len(fit.effects)):
        options = _other_options(fit, i)
        trials += [(i, trial) for trial in fit.best_of(i, options, len(options))]
    least = settings.option_change * fit.cost
    trials = [item for item in trials if abs(item[1][0] - fit.cost) > least]
    trials = sorted(trials, key=lambda item: item[1][0])[: settings.options]
    return descend_trials(fit, trials, settings)


def line_search(fit: GaussNewton, settings: MoveSettings = MOVES) -> bool:
    """Other values over the range of each knob that hardly changes the sound where it is: it may be
    on a plateau, which no descent leaves."""
    if not len(fit.knobs):
        return False
    curvature, _ = fit.curvature(*fit.jacobian())
    change = settings.plateau_move**2 * curvature.diagonal()
    moved = False
    for k in change.argsort()[: settings.plateau_knobs]:
        if change[k] > settings.plateau_change * fit.cost:
            break
        i, options = fit.effect_of[k], []
        for u in np.linspace(*settings.line):
            knobs = fit.knobs.copy()
            knobs[k] = u
            options.append((knobs[fit.knob_slices[i]], fit.switches[i]))
        moved |= fit.accept_if_better(*fit.best_of(i, options)[0])
    return moved


def _other_options(fit: GaussNewton, i: int) -> list[tuple]:
    """Each other option of each switch of effect i: (knobs, switches), with the present knobs."""
    found = []
    for s, switch in enumerate(fit.effects[i].switches):
        for option in range(len(switch.options)):
            other = fit.switches[i].copy()
            other[s] = option
            if option != fit.switches[i][s]:
                found.append((fit.knobs[fit.knob_slices[i]], other))
    return found


def descend_steps(fit: GaussNewton, steps: int) -> None:
    """So many steps of descent, as long as each lowers the cost."""
    for _ in range(steps):
        if not fit.descend():
            break


def descend_trials(
    fit: GaussNewton, trials: Sequence[tuple], settings: MoveSettings = MOVES
) -> bool:
    """Whether one of several trials (i, of effect i) is nearer after a few steps of the knobs of
    its effect alone; it is taken then. Of those that are not, the nearest go on with all knobs:
    others may have compensated for what was wrong with that effect."""
    moved, farther = False, []
    for i, trial in trials:
        alone = fit.restricted_to(i, *trial)
        descend_steps(alone, settings.alone_steps)
        found = alone.cost, alone.knobs, alone.switches
        if fit.accept_if_better(*found):
            moved = True
        else:
            farther.append(found)
    farther = sorted(farther, key=lambda found: found[0])[: settings.whole_trials]
    return descend_all(fit, farther, settings) or moved


def descend_all(fit: GaussNewton, trials: Sequence[tuple], settings: MoveSettings = MOVES) -> bool:
    """Whether one of several trials (cost, knobs, switches) is nearer after a few steps of all
    knobs; the first such is taken."""
    for trial in trials:
        descended = fit.copy_at(*trial)
        descend_steps(descended, settings.whole_steps)
        if fit.accept_if_better(descended.cost, descended.knobs, descended.switches):
            return True
    return False
