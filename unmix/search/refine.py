"""Refine: a search over chains and their knobs in which the real effects alone decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.runtime.workers import nested_thread_map
from unmix.search.ranking import Candidate, contenders, rank
from unmix.search.schedule import Search
from unmix.search.starts import InitialPoint


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


def refine(
    recording: np.ndarray,
    source: np.ndarray,
    starts: Sequence[InitialPoint],
    proxies: dict,
    steps: int | None = 200,
    match_gain: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
    polish: int = 10,
    seed: int = 0,
) -> Refined:
    """Search for the chain that turns the source into the recording.

    Args:
        recording, source: float32 (samples,) at 44.1 kHz, aligned; see Judge for a source that
            begins earlier.
        starts: where to begin; the first is the prediction that the answer is measured against.
        proxies: {effect: frozen module} for every effect that may occur; unused with 0 steps.
        steps: of descent, of all fits together; with None or 0 ``seconds`` alone end it, and
            without them the starts are judged, and that is all.
        match_gain: the recording's gain is unknown; compare at equal RMS level.
        device: where the proxies are; beliefs are on the CPU.
        progress: called as progress(step, steps, smallest real distance so far); with ``seconds``
            the number of steps is an estimate.
        seconds: wall-clock time after which the search ends, a few seconds more or less; the last
            of it is for ``polish``.
        stop: asked before every step; True ends the search with the best answer so far.
        polish: steps on the real effects at the end, for the answer alone, beyond ``steps``.
        seed: of everything random.

    Returns:
        Refined; its answer is never farther than the first start by the real render. The search may
        end early, when nothing moves any more.
    """
    judge = Judge(recording, source, match_gain)
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
