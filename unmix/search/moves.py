"""Moves of a fit over hills that its descent does not climb, taken where the real effects agree.

``follow`` goes down the gradient of the proxies, in another landscape; ``kick`` tries other
controls drawn at random; ``sweep`` looks up where an LFO stands, ``borrow`` asks other fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain, proxy_render
from unmix.dsp import losses
from unmix.effects.base import by_lanes, in_rows
from unmix.recording.judge import Judge
from unmix.runtime.workers import together
from unmix.search import lfo_grid
from unmix.search.gauss_newton import FINE_SOLVED, FINISH_BELOW, Fit
from unmix.search.starts import Rows

LEARNING_RATE = (0.1, 0.01)  # first and last, in normal space: the whole range is about 6 wide
STEP_SIZES = ((2048, 256), (1024, 128), (512, 64))  # FFT sizes of the proxies' loss, in turn
ESR_WEIGHT = 0.5
SURPRISE_WEIGHT = 5e-4
KICKS = 6  # draws for each effect
SWEEP_CLIP_DB = 12.0
SWEEPS, SWEEP_STEPS = 3, (2, 3)  # steps down, alone, of the best ones, and then of the nearest
FLIPS, CHANGE = 4, 0.01  # options that are followed, if the cost changes by more than that share
ALONE_STEPS = 3  # of an effect whose switch or LFO has moved …
WHOLES, WHOLE_STEPS = 2, 6  # … and of so many chains as a whole, where that was not enough
NEAR, FLAT, SCANNED = 0.1, 0.2, 8  # a move that changes the cost by less than that share of it …
PLACES = np.linspace(0.025, 0.975, 20)  # … and places that are tried of as many such knobs
SLIDES, SLIDE_TURNS, SLIDE_POINTS = 14, 1.5, 64  # rates, up to so many turns, and times of the way
GLIDES, FARTHEST, GLIDE_STEPS = (8, 1), 3.0, 5  # steps of the rate, how far at most, and down
GLIDE_BELOW = 1e-3  # of the waveform's cost
SWEEP_ABOVE, SWEEP_AGAIN = 0.3, 0.6  # dB²: below, the LFO is found; shares of the last sweep's cost


def proxy_step(
    judge: Judge, proxies: dict, rows: Rows, optimiser, step: int, share: float, device: str
) -> torch.Tensor:
    """One step of Adam on the knobs of rows, down the gradient of the proxies.

    Args:
        step: its number, which chooses the FFT sizes of the loss.
        share: of the way, 0…1, which sets the learning rate.

    Returns:
        Distance of each row by the proxies, before the step: (B,).
    """
    first, last = LEARNING_RATE
    for group in optimiser.param_groups:
        group["lr"] = last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
    knobs = rows.knobs()
    there = {name: u.to(device) for name, u in knobs.items()}
    switches = {name: options.to(device) for name, options in rows.switches.items()}
    source = torch.from_numpy(np.ascontiguousarray(judge.source))[None].to(device)
    source, target = source.expand(len(rows), -1), judge.target.to(device)
    output = judge.level(proxy_render(proxies, source, rows.order.to(device), there, switches))
    distance = losses.mss(output, target, STEP_SIZES[step % len(STEP_SIZES)])
    distance = distance + ESR_WEIGHT * losses.esr(output, target).sqrt()
    loss = distance.cpu() + SURPRISE_WEIGHT * rows.surprise(knobs)
    optimiser.zero_grad()
    loss.sum().backward()
    optimiser.step()
    return distance.detach().cpu()


def follow(fit: Fit, proxies: dict, steps: int, device: str = "cpu") -> bool:
    """Adam on the unconstrained knobs down the gradient of the proxies."""
    if not len(fit.knobs):
        return False
    rows = Rows([fit.as_start()])
    optimiser = torch.optim.Adam(list(rows.free.values()))
    for step in range(steps):
        proxy_step(fit.judge, proxies, rows, optimiser, step, step / steps, device)
    knobs, switches = fit.vectors(rows.chain(0))
    return fit.take(fit.cost_of(knobs, switches), knobs, switches)


def kick(fit: Fit) -> bool:
    """Effect by effect: other options of its switches, and knobs drawn anew, some of them or all,
    from the belief or from their whole range; the best is taken."""
    moved = False
    for i, effect in enumerate(fit.effects):
        place, options = fit.places[i], _other_options(fit, i)
        mixture = fit.start.mixtures.get(effect.name)
        generator = torch.Generator().manual_seed(int(fit.rng.integers(2**31)))
        for n in range(KICKS):
            u = fit.rng.random(len(effect.knobs))
            if mixture and n % 2:
                u = mixture.sample(1, generator)[0, 0].double().numpy()
            if n % 4 < 2:  # one knob or two alone
                alone = np.zeros(len(u), bool)
                alone[fit.rng.integers(len(u), size=2)] = True
                u = np.where(alone, u, fit.knobs[place])
            options.append((u, fit.switches[i]))
        moved |= fit.take(*fit.tried(i, options)[0])
    return moved


def sweep(fit: Fit) -> bool:
    """Find where the LFO of each effect that has one stands, over time, and take its knobs.

    Many are compared by looking up (lfo.py); the best are rendered. Nothing is done where the LFO
    is found, or the other knobs are not much better than the last time.
    """
    if fit.cost < SWEEP_ABOVE or fit.cost > SWEEP_AGAIN * fit.swept:
        return False
    fit.swept, moved = fit.cost, False
    for i, effect in enumerate(fit.effects):
        if effect.sweep is None:
            continue
        settings = fit.settings(i)
        found = lfo_grid.search(effect, _held(fit, i), fit.judge.lead / SAMPLE_RATE)
        options = [effect.to_unit(settings | values) for values in found]
        near = fit.tried(i, options, SWEEPS)
        trials = [fit.alone(i, *trial) for trial in near]
        for steps in SWEEP_STEPS:
            for trial in trials:
                down(trial, steps)
            trials = [min(trials, key=lambda trial: trial.cost)]
        moved |= fit.take(trials[0].cost, trials[0].knobs, trials[0].switches)
    return moved


def borrow(fit: Fit, others: Sequence[Fit]) -> None:
    """Take over where the LFOs stand in fits of other orders, if that is nearer; if it is much
    nearer, they are found."""
    before = fit.cost
    for i, effect in enumerate(fit.effects):
        known = [dict(other.chain.steps).get(effect.name) for other in others]
        if effect.sweep is None or not any(known):
            continue
        settings = fit.settings(i)
        lfos = [{name: there[name] for name in effect.sweep.knobs} for there in known if there]
        options = [effect.to_unit(settings | values) for values in lfos]
        fit.take(*fit.tried(i, options)[0])
    if fit.cost < SWEEP_AGAIN * before:
        fit.swept = fit.cost


def flip(fit: Fit) -> bool:
    """Other options of every switch, the nearest of those that change something."""
    trials = []
    for i in range(len(fit.effects)):
        options = _other_options(fit, i)
        trials += [(i, trial) for trial in fit.tried(i, options, len(options))]
    trials = [item for item in trials if abs(item[1][0] - fit.cost) > CHANGE * fit.cost]
    trials = sorted(trials, key=lambda item: item[1][0])[:FLIPS]
    return _descended(fit, trials)


def scan(fit: Fit) -> bool:
    """Other places in the range of each knob that hardly changes the sound where it stands: it may
    be on a plateau, which no descent leaves."""
    if not len(fit.knobs):
        return False
    curvature, _ = fit.curvature(*fit.slopes())
    change = NEAR**2 * curvature.diagonal()
    moved = False
    for k in change.argsort()[:SCANNED]:
        if change[k] > FLAT * fit.cost:
            break
        i, options = fit.effect_of[k], []
        for u in PLACES:
            knobs = fit.knobs.copy()
            knobs[k] = u
            options.append((knobs[fit.places[i]], fit.switches[i]))
        moved |= fit.take(*fit.tried(i, options)[0])
    return moved


def slide(fit: Fit) -> bool:
    """Other rates of every LFO that is heard for little more than a turn, with its other knobs such
    that it goes almost the same way: a valley that bends too much for a descent."""
    judge, moved = fit.judge, False
    seconds = _seconds(judge)
    fastest = SLIDE_TURNS / (seconds[-1] - seconds[0])
    for i, effect in enumerate(fit.effects):
        settings = fit.settings(i)
        if effect.sweep is None or settings[effect.sweep.rate] > fastest:
            continue
        slowest = effect.knob(effect.sweep.rate).low
        rates = np.geomspace(slowest, fastest, SLIDES)
        ways = lfo_grid.same_way(effect, settings, seconds, rates)
        near = fit.tried(i, [effect.to_unit(settings | values) for values in ways], SWEEPS)
        moved |= _descended(fit, [(i, trial) for trial in near])
    return moved


def glide(fit: Fit, late: Callable[[], bool] = lambda: False) -> bool:
    """Other rates of every LFO whose device takes its rate in steps, by the waveform: each with the
    knobs that let it go almost the same way, and steps down with the rate held. Over the rate the
    error is a parabola then, where a descent sees steps alone."""
    if not fit.grained or fit.cost > FINISH_BELOW:
        return False
    error = fit.error()
    if not FINE_SOLVED < error < GLIDE_BELOW:
        return False
    near, least = fit, error
    for i, effect in enumerate(fit.effects):
        if effect.sweep and effect.sweep.grain_hz:
            for grains in GLIDES:
                near, least = _nearer(near, least, i, grains * effect.sweep.grain_hz, late)
    if near.cost * least < fit.cost * error:
        fit.put(near.cost, near.knobs, near.switches)
        return True
    return False


def _nearer(near: Fit, least: float, i: int, step: float, late) -> tuple[Fit, float]:
    """The nearest of a fit with the error ``least`` and of those with the LFO of effect i slower
    and faster by a step (Hz), and where these three lead; and its error."""
    way, middle = near.settings(i), least
    here = way[near.effects[i].sweep.rate]

    def error_at(rate: float) -> float:
        """Of a fit that begins where the nearest stands, which it becomes if it is nearer."""
        nonlocal near, least
        trial = None if late() else _at_rate(near, i, way, rate)
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


def _at_rate(fit: Fit, i: int, way: dict, rate: float) -> Fit | None:
    """The fit with the LFO of effect i at another rate (Hz), on the way that it goes with the
    settings ``way``, after a few steps down on the waveform; None outside the rate's range."""
    effect = fit.effects[i]
    knob = effect.knob(effect.sweep.rate)
    if not knob.low <= rate <= knob.high:
        return None
    (lfo_knobs,) = lfo_grid.same_way(effect, way, _seconds(fit.judge), [rate])
    (there,) = fit.tried(i, [effect.to_unit(fit.settings(i) | lfo_knobs)])
    trial = fit.aside(*there)
    trial.finish(GLIDE_STEPS, hold=True)
    return trial


def _seconds(judge: Judge) -> np.ndarray:
    """Times at which two ways of an LFO are compared."""
    return np.linspace(judge.lead, judge.source.size, SLIDE_POINTS) / SAMPLE_RATE


def _other_options(fit: Fit, i: int) -> list[tuple]:
    """Each other option of each switch of effect i: (knobs, switches), the knobs as they stand."""
    found = []
    for s, switch in enumerate(fit.effects[i].switches):
        for option in range(len(switch.options)):
            other = fit.switches[i].copy()
            other[s] = option
            if option != fit.switches[i][s]:
                found.append((fit.knobs[fit.places[i]], other))
    return found


def down(fit: Fit, steps: int) -> None:
    """So many steps of descent, while it moves."""
    for _ in range(steps):
        if not fit.descend():
            break


def _descended(fit: Fit, trials: Sequence[tuple]) -> bool:
    """Whether one of several trials (i, of effect i) is nearer after a few steps of the knobs of
    its effect alone; it is taken then. Of those that are not the nearest go on with all knobs:
    others may have made up for what was wrong with that effect."""
    moved, farther = False, []
    for i, trial in trials:
        alone = fit.alone(i, *trial)
        down(alone, ALONE_STEPS)
        found = alone.cost, alone.knobs, alone.switches
        if fit.take(*found):
            moved = True
        else:
            farther.append(found)
    farther = sorted(farther, key=lambda found: found[0])[:WHOLES]
    return whole(fit, farther) or moved


def whole(fit: Fit, trials: Sequence[tuple]) -> bool:
    """Whether one of several trials (cost, knobs, switches) is nearer after a few steps of all
    knobs; the first such is taken."""
    for trial in trials:
        aside = fit.aside(*trial)
        down(aside, WHOLE_STEPS)
        if fit.take(aside.cost, aside.knobs, aside.switches):
            return True
    return False


def _held(fit: Fit, i: int) -> np.ndarray:
    """Distance to the recording in dB, with effect i held at lfo.POSITIONS, about its mean in each
    frame, of what sounds at once: (positions, frames)."""
    effect, settings, judge = fit.effects[i], fit.settings(i), fit.judge
    rest = Chain(fit.chain.steps[i + 1 :])
    target = lfo_grid.levels(judge.target.numpy())[0]
    weights = lfo_grid.directness(fit.heard[i], rest, judge.lead) ** 2

    def distance(wet: np.ndarray) -> np.ndarray:
        audio = judge.level(torch.from_numpy(wet)[None]).numpy()
        off = np.abs(lfo_grid.levels(audio)[0] - target).clip(max=SWEEP_CLIP_DB)
        return (off * weights).mean(0)

    def renders(positions: np.ndarray) -> np.ndarray:
        audio = effect.standing_side_by_side(fit.heard[i], settings, positions)
        for name, own in rest.steps:
            audio = effects.get(name).side_by_side(audio, [own] * len(positions))
        return in_rows(audio, len(positions))

    wets = together(renders, by_lanes(lfo_grid.POSITIONS))
    distances = np.stack(together(distance, np.concatenate(wets)))
    judge.renders += len(distances)
    return distances - distances.mean(0)
