"""Moves of LFO knobs: by look-up over time, from fits of other orders, along equivalent paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.effects.batch import by_lanes, in_rows
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search import lfo_grid
from unmix.search.gauss_newton import FINE_SOLVED, FINISH_BELOW, GaussNewton
from unmix.search.moves import _descended, descend_steps

LFO_CLIP_DB = 12.0


LFO_TRIALS, LFO_STEPS = 3, (2, 3)  # steps down, alone, of the best ones, and then of the nearest


TRADES, TRADE_TURNS, TRADE_POINTS = 14, 1.5, 64  # rates, up to so many turns, and times of the way


GRID_STEPS, FARTHEST, GRID_DESCENT = (8, 1), 3.0, 5  # steps of the rate, how far at most, and down


GRID_BELOW = 1e-3  # of the waveform's cost


LFO_ABOVE, LFO_AGAIN = 0.3, 0.6  # dB²: below, the LFO is found; shares of the last sweep's cost


def lfo(fit: GaussNewton) -> bool:
    """Find where the LFO of each effect that has one stands, over time, and take its knobs.

    Many are compared by looking up (lfo.py); the best are rendered. Nothing is done where the LFO
    is found, or the other knobs are not much better than the last time.
    """
    if fit.cost < LFO_ABOVE or fit.cost > LFO_AGAIN * fit.searched_at:
        return False
    fit.searched_at, moved = fit.cost, False
    for i, effect in enumerate(fit.effects):
        if effect.lfo is None:
            continue
        settings = fit.settings(i)
        found = lfo_grid.search_grid(effect, _held(fit, i), fit.judge.lead / SAMPLE_RATE)
        options = [effect.to_unit(settings | values) for values in found]
        near = fit.best_of(i, options, LFO_TRIALS)
        trials = [fit.restricted_to(i, *trial) for trial in near]
        for steps in LFO_STEPS:
            for trial in trials:
                descend_steps(trial, steps)
            trials = [min(trials, key=lambda trial: trial.cost)]
        moved |= fit.accept_if_better(trials[0].cost, trials[0].knobs, trials[0].switches)
    return moved


def copy_lfo(fit: GaussNewton, others: Sequence[GaussNewton]) -> None:
    """Take over where the LFOs stand in fits of other orders, if that is nearer; if it is much
    nearer, they are found."""
    before = fit.cost
    for i, effect in enumerate(fit.effects):
        known = [dict(other.chain.steps).get(effect.name) for other in others]
        if effect.lfo is None or not any(known):
            continue
        settings = fit.settings(i)
        lfos = [{name: there[name] for name in effect.lfo.knobs} for there in known if there]
        options = [effect.to_unit(settings | values) for values in lfos]
        fit.accept_if_better(*fit.best_of(i, options)[0])
    if fit.cost < LFO_AGAIN * before:
        fit.searched_at = fit.cost


def trade_rate(fit: GaussNewton) -> bool:
    """Other rates of every LFO that is heard for little more than a turn, with its other knobs such
    that it goes almost the same way: a valley that bends too much for a descent."""
    judge, moved = fit.judge, False
    seconds = _seconds(judge)
    fastest = TRADE_TURNS / (seconds[-1] - seconds[0])
    for i, effect in enumerate(fit.effects):
        settings = fit.settings(i)
        if effect.lfo is None or settings[effect.lfo.rate] > fastest:
            continue
        slowest = effect.knob(effect.lfo.rate).low
        rates = np.geomspace(slowest, fastest, TRADES)
        ways = lfo_grid.equivalent_lfo(effect, settings, seconds, rates)
        near = fit.best_of(i, [effect.to_unit(settings | values) for values in ways], LFO_TRIALS)
        moved |= _descended(fit, [(i, trial) for trial in near])
    return moved


def refine_rate_grid(fit: GaussNewton, out_of_time: Callable[[], bool] = lambda: False) -> bool:
    """Other rates of every LFO whose device takes its rate in steps, by the waveform: each with the
    knobs that let it go almost the same way, and steps down with the rate held. Over the rate the
    error is a parabola then, where a descent sees steps alone."""
    if not fit.quantised or fit.cost > FINISH_BELOW:
        return False
    error = fit.error()
    if not FINE_SOLVED < error < GRID_BELOW:
        return False
    near, least = fit, error
    for i, effect in enumerate(fit.effects):
        if effect.lfo and effect.lfo.grain_hz:
            for grains in GRID_STEPS:
                near, least = _nearer(near, least, i, grains * effect.lfo.grain_hz, out_of_time)
    if near.cost * least < fit.cost * error:
        fit.set(near.cost, near.knobs, near.switches)
        return True
    return False


def _nearer(
    near: GaussNewton, least: float, i: int, step: float, out_of_time
) -> tuple[GaussNewton, float]:
    """The nearest of a fit with the error ``least`` and of those with the LFO of effect i slower
    and faster by a step (Hz), and where these three lead; and its error."""
    way, middle = near.settings(i), least
    here = way[near.effects[i].lfo.rate]

    def error_at(rate: float) -> float:
        """Of a fit that begins where the nearest stands, which it becomes if it is nearer."""
        nonlocal near, least
        trial = None if out_of_time() else _at_rate(near, i, way, rate)
        found = math.inf if trial is None else trial.error()
        if found < least:
            near, least = trial, found
        return found

    below, above = error_at(here - step), error_at(here + step)
    if max(below, above) < math.inf:
        error_at(here + step * _lowest(below, middle, above))
    return near, least


def _lowest(below: float, middle: float, above: float) -> float:
    """Where a parabola through three values at −1, 0 and 1 is lowest, FARTHEST at most."""
    curved = below - 2 * middle + above
    if curved <= 0:
        return FARTHEST if above < below else -FARTHEST
    return min(max((below - above) / (2 * curved), -FARTHEST), FARTHEST)


def _at_rate(fit: GaussNewton, i: int, way: dict, rate: float) -> GaussNewton | None:
    """The fit with the LFO of effect i at another rate (Hz), on the way that it goes with the
    settings ``way``, after a few steps down on the waveform; None outside the rate's range."""
    effect = fit.effects[i]
    knob = effect.knob(effect.lfo.rate)
    if not knob.low <= rate <= knob.high:
        return None
    (lfo_knobs,) = lfo_grid.equivalent_lfo(effect, way, _seconds(fit.judge), [rate])
    (there,) = fit.best_of(i, [effect.to_unit(fit.settings(i) | lfo_knobs)])
    trial = fit.copy_at(*there)
    trial.descend_waveform(GRID_DESCENT, hold=True)
    return trial


def _seconds(judge: Judge) -> np.ndarray:
    """Times at which two ways of an LFO are compared."""
    return np.linspace(judge.lead, judge.source.size, TRADE_POINTS) / SAMPLE_RATE


def _held(fit: GaussNewton, i: int) -> np.ndarray:
    """Distance to the recording in dB, with effect i held at lfo.POSITIONS, about its mean in each
    frame, of what sounds at once: (positions, frames)."""
    effect, settings, judge = fit.effects[i], fit.settings(i), fit.judge
    rest = Chain(fit.chain.steps[i + 1 :])
    target = lfo_grid.levels(judge.target.numpy())[0]
    weights = lfo_grid.direct_share(fit.stage_inputs[i], rest, judge.lead) ** 2

    def distance(wet: np.ndarray) -> np.ndarray:
        audio = judge.level(torch.from_numpy(wet)[None]).numpy()
        off = np.abs(lfo_grid.levels(audio)[0] - target).clip(max=LFO_CLIP_DB)
        return (off * weights).mean(0)

    def renders(positions: np.ndarray) -> np.ndarray:
        audio = effect.render_frozen_batch(fit.stage_inputs[i], settings, positions)
        for name, own in rest.steps:
            audio = effects.get(name).render_batch(audio, [own] * len(positions))
        return in_rows(audio, len(positions))

    wets = thread_map(renders, by_lanes(lfo_grid.POSITIONS))
    distances = np.stack(thread_map(distance, np.concatenate(wets)))
    judge.renders += len(distances)
    return distances - distances.mean(0)
