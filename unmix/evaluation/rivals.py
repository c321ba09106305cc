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
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search.point import Point
from unmix.search.proxy_descent import STEP_SIZES, proxy_step
from unmix.search.starts import InitialPoint, ParameterBatch

SIGMA = 0.2  # first step size of CMA-ES, in knobs of 0…1
POINTS = 40  # of a course, at most about so many


@dataclass(frozen=True)
class Attempt:
    """A chain, its real distance (MSS), how it came there: (seconds, real distance of the answer as
    it stood), and how often the real effects ran."""

    chain: Chain
    distance: float
    timeline: list[tuple[float, float]]
    renders: int


class _Course:
    """Answers as they stand over time; they are judged when the time is over, at nobody's cost."""

    def __init__(self, seconds: float):
        self.began, self.pause = time.monotonic(), seconds / POINTS
        self.seen: list[tuple[float, Chain]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def due(self) -> bool:
        """Whether it is time to note an answer again."""
        return not self.seen or self.elapsed >= self.seen[-1][0] + self.pause

    def note(self, answer: Chain) -> None:
        self.seen.append((self.elapsed, answer))

    def judged(self, judge: Judge) -> list[tuple[float, float]]:
        """(seconds, real distance) of each."""
        return [(seconds, judge.distance(chain)) for seconds, chain in self.seen]


def cma(judge: Judge, chains: Sequence[Chain], seconds: float, seed: int = 0) -> Attempt:
    """CMA-ES from each chain's knobs, its switches held, an equal share of the time each.

    What it lowers is the cost of SpectrogramObjective, as the search does. Of its answers the
    one with the smallest real distance counts.

    Raises:
        UnmixError: the package cma is not installed.
    """
    try:
        from cma import CMAEvolutionStrategy
    except ImportError:
        raise UnmixError("cma is not installed: pip install 'unmix[cma]'") from None
    course, renders = _Course(seconds), judge.renders
    course.note(chains[0])
    for number, chain in enumerate(chains):
        place = Point(judge, [InitialPoint(chain)])
        end = seconds * (number + 1) / len(chains)
        if len(place.knobs) > 1:
            bounds = [
                [None if turns else limit for turns in place.circular] for limit in (0.0, 1.0)
            ]
            options = {"bounds": bounds, "seed": seed + 1, "verbose": -9}
            start = np.where(place.circular, place.knobs, place.knobs.clip(0.02, 0.98))
            search = CMAEvolutionStrategy(start, SIGMA, options)
            while course.elapsed < end and not search.stop():
                asked = search.ask()
                search.tell(asked, thread_map(place.cost_of, asked))
                if course.due:
                    course.note(place.chain_at(search.result.xbest))
            if search.result.evaluations:
                place.move_to(search.result.xbest)
        course.note(place.chain)
    renders = judge.renders - renders
    times, distances = zip(*course.judged(judge), strict=True)
    nearest = np.minimum.accumulate(distances).tolist()
    best = course.seen[int(np.argmin(distances))][1]
    return Attempt(best, nearest[-1], list(zip(times, nearest, strict=True)), renders)


def proxies_only(judge: Judge, chains: Sequence[Chain], proxies: dict, seconds: float) -> Attempt:
    """Adam on the knobs of all chains at once, through the proxies; the row with the lowest loss
    at the end is returned."""
    course, renders = _Course(seconds), judge.renders
    rows = ParameterBatch(
        [InitialPoint(chain) for chain in chains if chain.steps] or [InitialPoint(chains[0])]
    )
    optimiser = torch.optim.Adam(list(rows.free.values()))
    step, seen = 0, [torch.zeros(len(rows))] * len(STEP_SIZES)

    def answer() -> Chain:
        return rows.chain(int(sum(seen).argmin()))

    while (share := course.elapsed / seconds) < 1 and rows.free:
        if course.due:
            course.note(answer())
        seen[step % len(STEP_SIZES)] = proxy_step(
            judge, proxies, rows, optimiser, step, share, "cpu"
        )
        step += 1
    course.note(answer())
    renders = judge.renders - renders
    timeline = course.judged(judge)
    return Attempt(course.seen[-1][1], timeline[-1][1], timeline, renders)
