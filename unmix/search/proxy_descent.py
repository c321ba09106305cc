"""Descent through the frozen proxies: Adam on a batch of unconstrained knobs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from unmix.chain import proxy_render
from unmix.dsp import losses
from unmix.recording.judge import Judge
from unmix.search.gauss_newton import GaussNewton
from unmix.search.parameter_batch import ParameterBatch


@dataclass(frozen=True)
class ProxySettings:
    """How the knobs descend. "Not tuned": no trial is on record that chose the value."""

    # Adam's at first and at last, in the normal space, where a range is about 6 wide; not tuned
    learning_rate: tuple[float, float] = (0.1, 0.01)
    # FFT sizes of the multi-scale STFT loss, one pair a step in turn; not tuned
    fft_sizes: tuple[tuple[int, int], ...] = ((2048, 256), (1024, 128), (512, 64))
    # of the square root of the ESR against the multi-scale STFT loss; not tuned
    esr_weight: float = 0.5
    # of the negative log prior of the knobs; not tuned
    prior_weight: float = 5e-4


PROXY = ProxySettings()


def proxy_step(
    judge: Judge,
    proxies: dict,
    batch: ParameterBatch,
    optimiser,
    step: int,
    share: float,
    device: str,
) -> torch.Tensor:
    """One step of Adam on the knobs of a batch, down the gradient of the proxies.

    Args:
        judge: of the recording.
        proxies: {effect: module}, at least those of the batch.
        batch: whose tensors ``optimiser`` moves.
        step: its number, which chooses the FFT sizes of the loss.
        share: of all steps, 0…1, which sets the learning rate.
        device: where the proxies are.

    Returns:
        Distance of each row by the proxies, before the step: (B,).
    """
    first, last = PROXY.learning_rate
    for group in optimiser.param_groups:
        group["lr"] = last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
    knobs = batch.knobs()
    on_device = {name: u.to(device) for name, u in knobs.items()}
    switches = {name: options.to(device) for name, options in batch.switches.items()}
    source = torch.from_numpy(np.ascontiguousarray(judge.source))[None].to(device)
    source, target = source.expand(len(batch), -1), judge.target.to(device)
    output = proxy_render(proxies, source, batch.order.to(device), on_device, switches)
    output = judge.level(output)
    distance = losses.mss(output, target, PROXY.fft_sizes[step % len(PROXY.fft_sizes)])
    distance = distance + PROXY.esr_weight * losses.esr(output, target).sqrt()
    loss = distance.cpu() + PROXY.prior_weight * batch.negative_log_prior(knobs)
    optimiser.zero_grad()
    loss.sum().backward()
    optimiser.step()
    return distance.detach().cpu()


def descend_through_proxies(
    fit: GaussNewton, proxies: dict, steps: int, device: str = "cpu"
) -> bool:
    """Steps of Adam from a point; whether the real effects are nearer at their end, which is taken
    then. Every effect of the chain needs its proxy."""
    if not len(fit.knobs):
        return False
    batch = ParameterBatch([replace(fit.as_point(), chain=fit.chain_at_begin)])
    optimiser = torch.optim.Adam(list(batch.free.values()))
    for step in range(steps):
        proxy_step(fit.judge, proxies, batch, optimiser, step, step / steps, device)
    knobs, switches = fit.vectors(batch.chain(0))
    return fit.accept_if_better(fit.cost_of(knobs, switches), knobs, switches)
