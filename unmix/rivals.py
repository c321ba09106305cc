"""Other ways to the same end, for the comparison in ``evaluate refine``, given the same time each.

``cma``: CMA-ES (Hansen, "The CMA Evolution Strategy: A Tutorial", 2016; the package `cma`) on the
real effects, over the knobs of one chain after the other. ``proxies_only``: gradient descent
through the proxies, which also decide what is returned; the real effects are never asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.fit import Fit
from unmix.judge import Judge
from unmix.jumps import STEP_SIZES, proxy_step
from unmix.starts import Rows, Start
from unmix.workers import together

SIGMA = 0.2  # first step size of CMA-ES, in knobs of 0…1


@dataclass(frozen=True)
class Attempt:
    """A chain, its real distance (MSS), and how it came down: (seconds, real distance)."""

    chain: Chain
    distance: float
    timeline: list[tuple[float, float]]
    renders: int


def cma(judge: Judge, chains: Sequence[Chain], seconds: float, seed: int = 0) -> Attempt:
    """CMA-ES from each chain's knobs, its switches held, an equal share of the time each.

    What it lowers is the cost of picture.py, which is what the fits lower, too.

    Raises:
        UnmixError: the package cma is not installed.
    """
    try:
        from cma import CMAEvolutionStrategy
    except ImportError:
        raise UnmixError("cma is not installed: pip install 'unmix[cma]'") from None
    began, renders, timeline = time.monotonic(), judge.renders, []
    best = chains[0]
    nearest = judge.distance(best)
    for number, chain in enumerate(chains):
        fit = Fit(judge, [Start(chain)], np.random.default_rng(seed))
        end = began + seconds * (number + 1) / len(chains)
        if len(fit.knobs) > 1:
            bounds = [[None if turns else limit for turns in fit.circular] for limit in (0.0, 1.0)]
            options = {"bounds": bounds, "seed": seed + 1, "verbose": -9}
            start = np.where(fit.circular, fit.knobs, fit.knobs.clip(0.02, 0.98))
            search = CMAEvolutionStrategy(start, SIGMA, options)
            while time.monotonic() < end and not search.stop():
                asked = search.ask()
                search.tell(asked, together(fit.cost_of, asked))
            if search.result.evaluations:
                fit.move_to(search.result.xbest)
        distance = judge.distance(fit.chain)
        if distance < nearest:
            best, nearest = fit.chain, distance
        timeline.append((time.monotonic() - began, nearest))
    return Attempt(best, nearest, timeline, judge.renders - renders)


def proxies_only(judge: Judge, chains: Sequence[Chain], proxies: dict, seconds: float) -> Attempt:
    """Adam on the knobs of all chains at once, through the proxies; the row with the lowest loss
    at the end is returned."""
    began, timeline = time.monotonic(), []
    rows = Rows([Start(chain) for chain in chains if chain.steps] or [Start(chains[0])])
    optimiser = torch.optim.Adam(list(rows.free.values()))
    step, seen = 0, [torch.zeros(len(rows))] * len(STEP_SIZES)
    while (share := (time.monotonic() - began) / seconds) < 1 and rows.free:
        distance = proxy_step(judge, proxies, rows, optimiser, step, share, "cpu")
        seen[step % len(STEP_SIZES)] = distance
        step += 1
    answer = rows.chain(int(sum(seen).argmin()))
    distance = judge.distance(answer)
    timeline.append((time.monotonic() - began, distance))
    return Attempt(answer, distance, timeline, 0)
