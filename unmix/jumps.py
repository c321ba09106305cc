"""Moves of a fit over hills that its descent does not climb, taken where the real effects agree.

``follow`` goes down the gradient of the proxies, in another landscape; ``kick`` tries other
controls drawn at random; ``sweep`` looks up where an LFO stands.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from unmix import lfo, losses
from unmix.audio import SAMPLE_RATE
from unmix.chain import Chain, proxy_render
from unmix.fit import Fit
from unmix.judge import Judge
from unmix.starts import Rows
from unmix.workers import together

LEARNING_RATE = (0.1, 0.01)  # first and last, in normal space: the whole range is about 6 wide
STEP_SIZES = ((2048, 256), (1024, 128), (512, 64))  # FFT sizes of the proxies' loss, in turn
ESR_WEIGHT = 0.5
SURPRISE_WEIGHT = 5e-4
KICKS = 6  # draws for each effect
SWEEP_CLIP_DB = 12.0
SWEEPS, SWEEP_STEPS = 3, 4  # of the best ones, steps that they descend alone
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
        place, options = fit.places[i], []
        for s, switch in enumerate(effect.switches):
            for option in range(len(switch.options)):
                other = fit.switches[i].copy()
                other[s] = option
                if option != fit.switches[i][s]:
                    options.append((fit.knobs[place], other))
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
        found = lfo.search(effect, _held(fit, i), fit.judge.lead / SAMPLE_RATE)
        options = [effect.to_unit(settings | values) for values in found]
        for cost, knobs, _ in fit.tried(i, options)[:SWEEPS]:
            trial = fit.alone(i, cost, knobs)
            for _ in range(SWEEP_STEPS):
                if not trial.descend():
                    break
            moved |= fit.take(trial.cost, trial.knobs, trial.switches)
    return moved


def _held(fit: Fit, i: int) -> np.ndarray:
    """Distance to the recording in dB, with effect i held at lfo.POSITIONS, about its mean in each
    frame, of what sounds at once: (positions, frames)."""
    effect, settings, judge = fit.effects[i], fit.settings(i), fit.judge
    rest = Chain(fit.chain.steps[i + 1 :])
    target = lfo.levels(judge.target.numpy())[0]
    weights = lfo.directness(fit.heard[i], rest, judge.lead) ** 2

    def distance(position: float) -> np.ndarray:
        wet = rest.render(effect.standing(fit.heard[i], settings, position), SAMPLE_RATE)
        audio = judge.level(torch.from_numpy(wet)[None]).numpy()
        off = np.abs(lfo.levels(audio)[0] - target).clip(max=SWEEP_CLIP_DB)
        return (off * weights).mean(0)

    distances = np.stack(together(distance, lfo.POSITIONS))
    judge.renders += len(distances)
    return distances - distances.mean(0)
