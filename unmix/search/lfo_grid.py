"""LFO settings by grid search over frozen renders.

The effect is rendered with its LFO frozen at POSITIONS; each position then has a distance to the
recording in each frame of a spectrogram. The four knobs of an LFO determine a position in each
frame, so that a hundred thousand settings are compared by table look-up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording import objective

POSITIONS = np.linspace(0.12, 0.98, 28)  # of the LFO, at which the effect is frozen; not tuned
SPECTROGRAM = 2048, 1024, 48  # FFT size, hop and bands; not tuned
PART = 4096  # samples within which sound counts as direct; not tuned


@dataclass(frozen=True)
class GridSettings:
    """The grid search. "Not tuned": no trial is on record that chose the value."""

    # values of centre, depth and phase on the grid; not tuned
    centres: int = 11
    depths: int = 7
    phases: int = 16
    # least depth on the grid, in 0…1; not tuned
    least_depth: float = 0.12
    # rates below eight quarters of a turn over the recording; not tuned
    slow_rates: int = 14
    # rows of the look-up table for each frozen position; not tuned
    rows: int = 4
    # best settings of the grid that move at random; not tuned
    seeds: int = 24
    # random moves of each, and their standard deviations in grid steps, in turn; not tuned
    draws: int = 60
    widths: tuple[float, ...] = (0.7, 0.35, 0.18, 0.09)
    # share of the four knobs that such a move changes; not tuned
    changed: float = 0.6
    # grid steps by which two answers differ at least; not tuned
    apart: float = 0.3
    # answers at most; not tuned
    answers: int = 8


GRID = GridSettings()


def levels(audio: np.ndarray) -> np.ndarray:
    """Sounds (n, samples) as spectrograms in dB: (n, bands, frames)."""
    return objective.levels(torch.from_numpy(audio), *SPECTROGRAM).numpy()


def direct_share(stage_input: np.ndarray, rest: Chain, lead: int = 0) -> np.ndarray:
    """How far each cell of a spectrogram is direct sound, rather than the tail of what was before.

    An effect that rings on after an LFO leaves cells that tell where the LFO was earlier. The sound
    is sent through the rest in short parts; what a cell then has of its part alone, as a share of
    what it has of everything, is direct.

    Args:
        stage_input: float32 (lead + samples,), what goes into the effect with the LFO.
        rest: what follows it.
        lead: samples before those that are compared.

    Returns:
        (bands, frames) of ``samples``, 0…1.
    """
    from scipy.signal.windows import tukey

    hop = SPECTROGRAM[1]
    whole = levels(rest.render(stage_input, SAMPLE_RATE)[None, lead:])[0]
    shares, window = np.zeros_like(whole), tukey(2 * PART).astype(np.float32)
    padded, per_part = np.pad(stage_input, (PART, 2 * PART)), PART // hop
    for frame in range(0, whole.shape[1], per_part):
        start = lead + frame * hop  # in ``padded``; in ``stage_input`` it is the part's middle
        alone = levels(rest.render(padded[start : start + 2 * PART] * window, SAMPLE_RATE)[None])
        first = max(0, frame - per_part // 2)
        last = min(frame + per_part // 2, whole.shape[1])
        near = alone[0][:, first - frame + per_part : last - frame + per_part]
        shares[:, first:last] = 10 ** ((near - whole[:, first:last]) / 10)
    return shares.clip(0, 1)


def search_grid(
    effect, distances: np.ndarray, lead_s: float = 0.0, settings: GridSettings = GRID
) -> list[dict]:
    """The most promising settings of the four knobs of an effect's LFO, in units.

    The best of a grid are moved at random, less and less, as long as they come nearer.

    Args:
        effect: has a ``lfo``.
        distances: (positions, frames), in dB, of the effect frozen at POSITIONS.
        lead_s: time that the LFO has run when the first frame begins.
        settings: of the search.

    Returns:
        [{knob: value}], the nearest first.
    """
    scores, seconds = _look_up(effect, distances, lead_s, settings.rows)
    rate = effect.knob(effect.lfo.rate)
    spacing = 0.25 / seconds[-1]  # a quarter of a turn over the whole recording
    axes = [
        np.linspace(0, 1, settings.centres),
        np.linspace(settings.least_depth, 1, settings.depths),
        np.arange(settings.phases) / settings.phases,
    ]
    steps = np.array([spacing, *(axis[1] - axis[0] for axis in axes)])
    grid = [axis[..., None] for axis in np.ix_(*axes)]
    slow = np.geomspace(rate.low, 8 * spacing, settings.slow_rates)
    found = []
    for hertz in (*slow, *np.arange(8 * spacing, rate.high, spacing)):
        near = scores(hertz, *grid)
        for n in np.argpartition(near, 2, axis=None)[:2]:
            cell = np.unravel_index(n, near.shape)
            found.append(
                (near[cell], hertz, *(axis[k] for axis, k in zip(axes, cell, strict=True)))
            )
    best = np.array(sorted(found)[: settings.seeds])
    near, best = best[:, 0], best[:, 1:]

    rng, draws = np.random.default_rng(0), settings.draws
    for width in settings.widths:
        moves = width * steps * rng.standard_normal((draws, len(best), 4))
        moved = best + moves * (rng.random(moves.shape) < settings.changed)
        moved[..., 0] = moved[..., 0].clip(rate.low, rate.high)
        moved[..., 1:3] = moved[..., 1:3].clip(0, 1)
        tried = scores(*moved.reshape(-1, 4).T[..., None]).reshape(draws, -1)
        nearest, rows = tried.argmin(0), np.arange(len(best))
        better = tried[nearest, rows] < near
        best = np.where(better[:, None], moved[nearest, rows], best)
        near = np.minimum(near, tried[nearest, rows])

    chosen: list[np.ndarray] = []
    for lfo in best[near.argsort()]:
        if all(np.abs((lfo - other) / steps).max() > settings.apart for other in chosen):
            chosen.append(lfo)
    return [_floats(_settings(effect, hertz, u)) for hertz, *u in chosen[: settings.answers]]


def _look_up(effect, distances: np.ndarray, lead_s: float, rows_per_position: int):
    """(scores, seconds): a function of a rate in Hz and of centre, depth and phase in 0…1, numbers
    or arrays (…, 1) that broadcast, that gives their mean distance in dB (…); and the times of the
    frames."""
    columns = np.arange(distances.shape[1])
    seconds = columns * SPECTROGRAM[1] / SAMPLE_RATE
    fine = np.linspace(0, len(distances) - 1, rows_per_position * (len(distances) - 1) + 1)
    low, part = fine.astype(int), (fine % 1)[:, None]
    table = (1 - part) * distances[low] + part * distances[np.minimum(low + 1, low[-1])]

    def scores(hertz, *units):
        position = effect.position(_settings(effect, hertz, units), seconds + lead_s)
        rows = (position - POSITIONS[0]) * ((len(table) - 1) / np.ptp(POSITIONS))
        rows = np.rint(rows).clip(0, len(table) - 1).astype(np.intp)
        return table[rows, columns].mean(-1)

    return scores, seconds


def equivalent_lfo(effect, settings: dict, seconds: np.ndarray, rates: np.ndarray) -> list[dict]:
    """For each of other rates (Hz), the LFO knobs of an effect, in units, whose course at times
    ``seconds`` (N,) is nearest, by least squares, to that with ``settings``."""
    from scipy.optimize import least_squares

    knobs = _other_knobs(effect)
    course = effect.position(settings, seconds)
    start = [np.clip(knob.to_unit(settings[knob.name]), 0.001, 0.999) for knob in knobs]
    ends = [(-np.inf, np.inf) if knob.circular else (0, 1) for knob in knobs]

    def off(units, hertz):
        return effect.position(_settings(effect, hertz, units), seconds) - course

    bounds = tuple(zip(*ends, strict=True))
    fits = [least_squares(off, start, bounds=bounds, args=(hertz,)) for hertz in rates]
    found = [_settings(effect, hertz, fit.x) for hertz, fit in zip(rates, fits, strict=True)]
    return [_floats(values) for values in found]


def _other_knobs(effect) -> list:
    """The knobs of an LFO beside its rate: centre, depth and phase."""
    lfo = effect.lfo
    return [effect.knob(name) for name in (lfo.centre, lfo.depth, lfo.phase)]


def _settings(effect, hertz, units) -> dict:
    """The knobs of an LFO in units, from a rate in Hz and the others in 0…1; numbers or arrays."""
    others = zip(_other_knobs(effect), units, strict=True)
    return {effect.lfo.rate: hertz, **{knob.name: knob.from_unit(u) for knob, u in others}}


def _floats(values: dict) -> dict:
    return {name: float(value) for name, value in values.items()}
