"""Refine: a search over chains and their knobs in which the real effects alone decide."""

from __future__ import annotations

from dataclasses import dataclass, field

from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.runtime.workers import nested_thread_map
from unmix.search.options import SearchOptions, Watch
from unmix.search.ranking import Candidate, contenders, rank
from unmix.search.schedule import Search


@dataclass(frozen=True)
class Refined:
    """What came of a search.

    Attributes:
        candidates: the best of each order of effects: the answer, then the others, nearest first.
            Without a search they stay in the order of the starts.
        before: real distance (MSS) of the prediction it started from.
        history: (step, smallest real distance so far).
        renders: how often the real effects ran.
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


def refine(judge: Judge, points, proxies: dict, options=SearchOptions(), watch=Watch()) -> Refined:
    """TEMP"""
    starts, steps, seconds, polish, seed, device = (
        points,
        options.steps,
        options.seconds,
        options.polish,
        options.seed,
        options.device,
    )
    progress, stop = watch.progress, watch.stop
    search = Search(judge, starts, proxies, steps or None, seconds, seed, device, progress, stop)
    before = search.evaluate(starts[0])
    if searched := bool(steps or seconds) and not search.exhausted():
        search.run(starts)
        search.ablate()
    timed_out = search.timed_out()
    if searched:
        search.polish(contenders(list(search.best.values()), before), polish)
        candidates = rank(list(search.best.values()), before)
    else:
        nested_thread_map(lambda start: search.out_of_time() or search.evaluate(start), starts[1:])
        candidates = sorted(search.best.values(), key=lambda c: starts.index(c.origin))
    return Refined(candidates, before, search.history, judge.renders, search.timeline, timed_out)
