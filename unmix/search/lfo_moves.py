"""Moves of LFO knobs.

``search_lfo`` finds an LFO by grid search over frozen renders (lfo_grid.py), ``copy_lfo`` takes it
from points of other orders; ``trade_rate`` goes along the valley in which rate, depth and phase
make up for each other; ``refine_rate_grid`` steps over the rates that a device quantises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.effects.batch import by_lanes, in_rows
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search import lfo_grid
from unmix.search.gauss_newton import GaussNewton
from unmix.search.lm_settings import WAVEFORM
from unmix.search.moves import descend_steps, descend_trials


@dataclass(frozen=True)
class LfoMoveSettings:
    """How LFOs are moved. "Not tuned": no trial is on record that chose the value."""

    # dB: a cell of the frozen renders counts as no farther from the recording; not tuned
    clip_db: float = 12.0
    # settings of the grid search that are rendered and descend; not tuned
    trials: int = 3
    # steps of the effect alone, of all these and then of the nearest; not tuned
    steps: tuple[int, int] = (2, 3)
    # dB²: below that cost the LFO counts as found; not tuned
    search_above: float = 0.3
    # share of the cost of the last search above which it is not repeated; not tuned
    search_again: float = 0.6
    # other rates that are tried along the valley; not tuned
    rates: int = 14
    # LFO periods in the recording, at most, for the valley to matter; not tuned
    periods: float = 1.5
    # times at which two courses of an LFO are compared; not tuned
    times: int = 64
    # steps of the rate, as multiples of the device's, one after the other; not tuned
    rate_steps: tuple[int, ...] = (8, 1)
    # how many of these steps the parabola may lead at most; not tuned
    farthest: float = 3.0
    # steps of descent in the waveform at each rate; not tuned
    rate_descent: int = 5
    # waveform cost above which the parabola tells nothing; not tuned
    rate_below: float = 1e-3


LFO_MOVES = LfoMoveSettings()


def search_lfo(fit: GaussNewton, settings: LfoMoveSettings = LFO_MOVES) -> bool:
    """Search for the LFO of each effect that has one, and take its knobs if they are nearer.

    Many settings are compared by table look-up (lfo_grid.py); the best are rendered. Nothing is
    done where the cost is small, or not much smaller than at the last search.
    """
    if fit.cost < settings.search_above or fit.cost > settings.search_again * fit.searched_at:
        return False
    fit.searched_at, moved = fit.cost, False
    for i, effect in enumerate(fit.effects):
        if effect.lfo is None:
            continue
        own = fit.settings_of(i)
        distances = _frozen_distances(fit, i, settings.clip_db)
        found = lfo_grid.search_grid(effect, distances, fit.judge.lead / SAMPLE_RATE)
        options = [effect.to_unit(own | values) for values in found]
        near = fit.best_of(i, options, settings.trials)
        trials = [fit.restricted_to(i, *trial) for trial in near]
        for steps in settings.steps:
            for trial in trials:
                descend_steps(trial, steps)
            trials = [min(trials, key=lambda trial: trial.cost)]
        moved |= fit.accept_if_better(trials[0].cost, trials[0].knobs, trials[0].switches)
    return moved


def copy_lfo(
    fit: GaussNewton, others: Sequence[GaussNewton], settings: LfoMoveSettings = LFO_MOVES
) -> None:
    """Copy the LFO knobs of points of other orders, if that is nearer; if it is much nearer, the
    LFOs count as searched for."""
    before = fit.cost
    for i, effect in enumerate(fit.effects):
        known = [dict(other.chain_at_begin.steps).get(effect.name) for other in others]
        if effect.lfo is None or not any(known):
            continue
        own = fit.settings_of(i)
        lfos = [{name: theirs[name] for name in effect.lfo.knobs} for theirs in known if theirs]
        options = [effect.to_unit(own | values) for values in lfos]
        fit.accept_if_better(*fit.best_of(i, options)[0])
    if fit.cost < settings.search_again * before:
        fit.searched_at = fit.cost


def trade_rate(fit: GaussNewton, settings: LfoMoveSettings = LFO_MOVES) -> bool:
    """Other rates of every LFO of which little more than one period is audible.

    Rate, depth, centre and phase trade off there: they follow a valley of nearly the same course of
    the LFO, which bends too much for a descent.
    """
    judge, moved = fit.judge, False
    seconds = _seconds(judge, settings.times)
    fastest = settings.periods / (seconds[-1] - seconds[0])
    for i, effect in enumerate(fit.effects):
        own = fit.settings_of(i)
        if effect.lfo is None or own[effect.lfo.rate] > fastest:
            continue
        slowest = effect.knob(effect.lfo.rate).low
        rates = np.geomspace(slowest, fastest, settings.rates)
        found = lfo_grid.equivalent_lfo(effect, own, seconds, rates)
        options = [effect.to_unit(own | values) for values in found]
        near = fit.best_of(i, options, settings.trials)
        moved |= descend_trials(fit, [(i, trial) for trial in near])
    return moved


def refine_rate_grid(
    fit: GaussNewton,
    out_of_time: Callable[[], bool] = lambda: False,
    settings: LfoMoveSettings = LFO_MOVES,
) -> bool:
    """Other rates of every LFO whose device quantises its rate, so that the gradient is zero.

    At each rate the other LFO knobs are set to nearly the same course and all knobs but the rate
    descend in the waveform objective. Over the rate the errors at the ends form a parabola, whose
    minimum is tried next.
    """
    if not fit.quantised or fit.cost > WAVEFORM.start_below:
        return False
    error = fit.error()
    if not WAVEFORM.solved < error < settings.rate_below:
        return False
    near, least = fit, error
    for i, effect in enumerate(fit.effects):
        if effect.lfo and effect.lfo.grain_hz:
            for steps in settings.rate_steps:
                search = _RateSearch(near, least, i, out_of_time, settings)
                near, least = search.run(steps * effect.lfo.grain_hz)
    if near.cost * least < fit.cost * error:
        fit.set(near.cost, near.knobs, near.switches)
        return True
    return False


class _RateSearch:
    """Search over the rate of one LFO by a parabola through three rates.

    Args:
        fit, error: where it begins, and its waveform cost.
        i: number of the effect.
    """

    def __init__(self, fit: GaussNewton, error: float, i: int, out_of_time, settings):
        self.near, self.least, self.i = fit, error, i
        self.out_of_time, self.settings = out_of_time, settings
        self.course = fit.settings_of(i)  # the course of the LFO that every rate keeps to

    def run(self, step: float) -> tuple[GaussNewton, float]:
        """The nearest point, and its waveform cost, of the present rate, of those a step (Hz)
        below and above, and of the parabola's minimum."""
        middle, rate = self.least, self.course[self.near.effects[self.i].lfo.rate]
        below, above = self._error_at(rate - step), self._error_at(rate + step)
        if max(below, above) < math.inf:
            offset = parabola_minimum(below, middle, above, self.settings.farthest)
            self._error_at(rate + step * offset)
        return self.near, self.least

    def _error_at(self, rate: float) -> float:
        """The waveform cost at a rate, after a descent from the nearest point, which the new one
        becomes if it is nearer; infinite outside the range and without time."""
        trial = None if self.out_of_time() else self._at_rate(rate)
        error = math.inf if trial is None else trial.error()
        if error < self.least:
            self.near, self.least = trial, error
        return error

    def _at_rate(self, rate: float) -> GaussNewton | None:
        near, i = self.near, self.i
        effect = near.effects[i]
        knob = effect.knob(effect.lfo.rate)
        if not knob.low <= rate <= knob.high:
            return None
        seconds = _seconds(near.judge, self.settings.times)
        (lfo_knobs,) = lfo_grid.equivalent_lfo(effect, self.course, seconds, [rate])
        (option,) = near.best_of(i, [effect.to_unit(near.settings_of(i) | lfo_knobs)])
        trial = near.copy_at(*option)
        trial.descend_waveform(self.settings.rate_descent, hold=True)
        return trial


def parabola_minimum(below: float, middle: float, above: float, farthest: float) -> float:
    """Where a parabola through three values at −1, 0 and 1 is lowest, ``farthest`` at most."""
    curved = below - 2 * middle + above
    if curved <= 0:
        return farthest if above < below else -farthest
    return min(max((below - above) / (2 * curved), -farthest), farthest)


def _seconds(judge: Judge, count: int) -> np.ndarray:
    """Times of the compared part, in seconds from the beginning of the source: (count,)."""
    return np.linspace(judge.lead, judge.source.size, count) / SAMPLE_RATE


def _frozen_distances(fit: GaussNewton, i: int, clip_db: float) -> np.ndarray:
    """Distance to the recording in dB, with effect i frozen at each of the grid's positions, minus
    its mean over the positions in each frame: (positions, frames). Cells count by their share of
    direct sound."""
    effect, settings, judge = fit.effects[i], fit.settings_of(i), fit.judge
    rest = Chain(fit.chain_at_begin.steps[i + 1 :])
    target = lfo_grid.levels(judge.target.numpy())[0]
    weights = lfo_grid.direct_share(fit.stage_inputs[i], rest, judge.lead) ** 2

    def distance(wet: np.ndarray) -> np.ndarray:
        audio = judge.level(torch.from_numpy(wet)[None]).numpy()
        off = np.abs(lfo_grid.levels(audio)[0] - target).clip(max=clip_db)
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
