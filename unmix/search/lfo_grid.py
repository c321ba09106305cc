"""Where an LFO stands over time: settings found by looking up how near held positions come.

The effect is rendered standing still at POSITIONS; in each frame of a picture every position then
has a distance to the recording. The four knobs of an LFO choose a position in each frame, so that
a hundred thousand settings are compared by looking up.
"""

from __future__ import annotations

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording import objective

POSITIONS = np.linspace(0.12, 0.98, 28)  # where an LFO is held
PICTURE = 2048, 1024, 48  # FFT size, hop and bands
CENTRES, DEPTHS, PHASES, SLOW_RATES = 11, 7, 16, 14  # of the grid
BETWEEN = 4  # rows that are looked up for each position
SEEDS, DRAWS, WIDTHS = 24, 60, (0.7, 0.35, 0.18, 0.09)  # moves of the best, in steps of the grid
APART = 0.3  # steps of the grid by which two of the answers differ at least
ANSWERS = 8
PART = 4096  # samples within which sound counts as direct


def levels(audio: np.ndarray) -> np.ndarray:
    """Sounds (n, samples) as pictures in dB: (n, bands, frames)."""
    return objective.levels(torch.from_numpy(audio), *PICTURE).numpy()


def direct_share(heard: np.ndarray, rest: Chain, lead: int = 0) -> np.ndarray:
    """How far each cell of a picture sounds at once, rather than as the tail of what was before.

    An effect that rings on behind an LFO leaves cells that tell where the LFO stood earlier. The
    sound is sent through the rest in short parts; what a cell then has of its part alone, as a
    share of what it has of everything, is what counts.

    Args:
        heard: float32 (lead + samples,), what goes into the effect with the LFO.
        rest: what follows it.

    Returns:
        (bands, frames) of ``samples``, 0…1.
    """
    from scipy.signal.windows import tukey

    whole = levels(rest.render(heard, SAMPLE_RATE)[None, lead:])[0]
    shares, window = np.zeros_like(whole), tukey(2 * PART).astype(np.float32)
    padded, per_part = np.pad(heard, (PART, 2 * PART)), PART // PICTURE[1]
    for frame in range(0, whole.shape[1], per_part):
        start = lead + frame * PICTURE[1]  # the part's middle is there in ``stage_inputs``
        alone = levels(rest.render(padded[start : start + 2 * PART] * window, SAMPLE_RATE)[None])
        first = max(0, frame - per_part // 2)
        last = min(frame + per_part // 2, whole.shape[1])
        near = alone[0][:, first - frame + per_part : last - frame + per_part]
        shares[:, first:last] = 10 ** ((near - whole[:, first:last]) / 10)
    return shares.clip(0, 1)


def search_grid(effect, distances: np.ndarray, lead_s: float = 0.0) -> list[dict]:
    """The most promising settings of the four knobs of an effect's sweep, in units.

    The best of a grid are moved at random, less and less, as long as they come nearer.

    Args:
        effect: has a ``lfo``.
        distances: (positions, frames), in dB, of the effect held at POSITIONS.
        lead_s: time that the LFO has run when the first frame begins.
    """
    rate = effect.knob(effect.lfo.rate)
    columns = np.arange(distances.shape[1])
    seconds = columns * PICTURE[1] / SAMPLE_RATE
    fine = np.linspace(0, len(distances) - 1, BETWEEN * (len(distances) - 1) + 1)
    low, part = fine.astype(int), (fine % 1)[:, None]
    table = (1 - part) * distances[low] + part * distances[np.minimum(low + 1, low[-1])]

    def scores(hertz, *places):
        """Mean distance in dB; the places are arrays (…, 1) that broadcast."""
        position = effect.position(_settings(effect, hertz, places), seconds + lead_s)
        rows = (position - POSITIONS[0]) * ((len(table) - 1) / np.ptp(POSITIONS))
        rows = np.rint(rows).clip(0, len(table) - 1).astype(np.intp)
        return table[rows, columns].mean(-1)

    spacing = 0.25 / seconds[-1]  # a quarter of a turn over the whole recording
    axes = [
        np.linspace(0, 1, CENTRES),
        np.linspace(0.12, 1, DEPTHS),
        np.arange(PHASES) / PHASES,
    ]
    steps = np.array([spacing, *(axis[1] - axis[0] for axis in axes)])
    grid = [axis[..., None] for axis in np.ix_(*axes)]
    slow = np.geomspace(rate.low, 8 * spacing, SLOW_RATES)
    found = []
    for hertz in (*slow, *np.arange(8 * spacing, rate.high, spacing)):
        near = scores(hertz, *grid)
        for n in np.argpartition(near, 2, axis=None)[:2]:
            place = np.unravel_index(n, near.shape)
            found.append(
                (near[place], hertz, *(axis[k] for axis, k in zip(axes, place, strict=True)))
            )
    best = np.array(sorted(found)[:SEEDS])
    near, best = best[:, 0], best[:, 1:]

    rng = np.random.default_rng(0)
    for width in WIDTHS:
        moves = width * steps * rng.standard_normal((DRAWS, len(best), 4))
        moved = best + moves * (rng.random(moves.shape) < 0.6)
        moved[..., 0] = moved[..., 0].clip(rate.low, rate.high)
        moved[..., 1:3] = moved[..., 1:3].clip(0, 1)
        tried = scores(*moved.reshape(-1, 4).T[..., None]).reshape(DRAWS, -1)
        nearest, rows = tried.argmin(0), np.arange(len(best))
        better = tried[nearest, rows] < near
        best = np.where(better[:, None], moved[nearest, rows], best)
        near = np.minimum(near, tried[nearest, rows])

    chosen: list[np.ndarray] = []
    for place in best[near.argsort()]:
        if all(np.abs((place - other) / steps).max() > APART for other in chosen):
            chosen.append(place)
    return [_floats(_settings(effect, hertz, places)) for hertz, *places in chosen[:ANSWERS]]


def equivalent_lfo(effect, settings: dict, seconds: np.ndarray, rates: np.ndarray) -> list[dict]:
    """For each of other rates (Hz), the knobs of an effect's sweep, in units, with which its LFO
    goes most nearly the way at times ``seconds`` (N,) that it goes with ``settings``."""
    from scipy.optimize import least_squares

    knobs = _places(effect)
    way = effect.position(settings, seconds)
    start = [np.clip(knob.to_unit(settings[knob.name]), 0.001, 0.999) for knob in knobs]
    ends = [(-np.inf, np.inf) if knob.circular else (0, 1) for knob in knobs]

    def off(places, hertz):
        return effect.position(_settings(effect, hertz, places), seconds) - way

    bounds = tuple(zip(*ends, strict=True))
    fits = [least_squares(off, start, bounds=bounds, args=(hertz,)) for hertz in rates]
    found = [_settings(effect, hertz, fit.x) for hertz, fit in zip(rates, fits, strict=True)]
    return [_floats(values) for values in found]


def _places(effect) -> list:
    """The knobs of a sweep beside its rate: centre, depth and phase."""
    sweep = effect.lfo
    return [effect.knob(name) for name in (sweep.centre, sweep.depth, sweep.phase)]


def _settings(effect, hertz, places) -> dict:
    """The knobs of a sweep in units, from a rate in Hz and the others in 0…1; numbers or arrays."""
    others = zip(_places(effect), places, strict=True)
    return {effect.lfo.rate: hertz, **{knob.name: knob.from_unit(u) for knob, u in others}}


def _floats(values: dict) -> dict:
    return {name: float(value) for name, value in values.items()}
