"""Descent through the frozen proxies: a batch of unconstrained knobs, Adam."""

from __future__ import annotations

import math

import numpy as np
import torch

from unmix.chain import proxy_render
from unmix.dsp import losses
from unmix.recording.judge import Judge
from unmix.search.gauss_newton import GaussNewton
from unmix.search.starts import ParameterBatch

LEARNING_RATE = (0.1, 0.01)  # first and last, in normal space: the whole range is about 6 wide


STEP_SIZES = ((2048, 256), (1024, 128), (512, 64))  # FFT sizes of the proxies' loss, in turn


ESR_WEIGHT = 0.5


PRIOR_WEIGHT = 5e-4


def proxy_step(
    judge: Judge,
    proxies: dict,
    rows: ParameterBatch,
    optimiser,
    step: int,
    share: float,
    device: str,
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
    loss = distance.cpu() + PRIOR_WEIGHT * rows.negative_log_prior(knobs)
    optimiser.zero_grad()
    loss.sum().backward()
    optimiser.step()
    return distance.detach().cpu()


def descend_through_proxies(
    fit: GaussNewton, proxies: dict, steps: int, device: str = "cpu"
) -> bool:
    """Adam on the unconstrained knobs down the gradient of the proxies; nothing where an effect of
    the chain has none."""
    if not len(fit.knobs) or any(effect.name not in proxies for effect in fit.effects):
        return False
    rows = ParameterBatch([fit.as_point()])
    optimiser = torch.optim.Adam(list(rows.free.values()))
    for step in range(steps):
        proxy_step(fit.judge, proxies, rows, optimiser, step, step / steps, device)
    knobs, switches = fit.vectors(rows.chain(0))
    return fit.accept_if_better(fit.cost_of(knobs, switches), knobs, switches)
