"""Refinement: a search over chains and their settings in which the real effects alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.runtime.workers import nested_thread_map
from unmix.search.options import OPTIONS, UNWATCHED, SearchOptions, Watch
from unmix.search.point import InitialPoint
from unmix.search.ranking import Candidate, contenders, rank
from unmix.search.schedule import Search


@dataclass(frozen=True)
class Refined:
    """What came of a search.

    Attributes:
        candidates: the best of each order of effects: the answer, then the others, nearest first.
            Without a search they are in the order of the points.
        before: real distance (MSS) of the prediction it started from.
        history: (step, smallest real distance so far).
        renders: how often the real effects ran for the judge, in all.
        timeline: (seconds, smallest real distance so far) whenever it fell.
        timed_out: whether time ended it.
    """

    candidates: list[Candidate]
    before: float
    history: list[tuple[int, float]]
    renders: int
    timeline: list[tuple[float, float]] = field(default_factory=list)
    timed_out: bool = False

    @property
    def chain(self) -> Chain:
        return self.candidates[0].chain

    @property
    def after(self) -> float:
        return self.candidates[0].distance


def refine(
    judge: Judge,
    points: Sequence[InitialPoint],
    proxies: dict,
    options: SearchOptions = OPTIONS,
    watch: Watch = UNWATCHED,
) -> Refined:
    """Search from initial points for the chain whose real render is nearest to the recording.

    Args:
        judge: of the recording; all renders are compared by it.
        points: at least one; the first is the prediction. If it has no ``log_prob``, the user gave
            the chain, and only its settings are refined.
        proxies: {effect: frozen module}; chains with other effects are refined without the
            proxies' descent.
        options, watch: budget and callbacks.

    Returns:
        The answer and the others; never farther than the first point, by the real effects.
    """
    search = Search(judge, points, proxies, options, watch)
    budget = search.budget
    before = budget.evaluate(points[0])
    if searched := options.searches and not budget.exhausted():
        search.run(points)
        search.ablate()
    timed_out = budget.timed_out()
    if searched:
        search.polish(contenders(list(budget.best.values()), before))
        candidates = rank(list(budget.best.values()), before)
    else:
        nested_thread_map(lambda point: budget.out_of_time() or budget.evaluate(point), points[1:])
        candidates = sorted(budget.best.values(), key=lambda c: points.index(c.origin))
    return Refined(candidates, before, budget.history, judge.renders, budget.timeline, timed_out)
