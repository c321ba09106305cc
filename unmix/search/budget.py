"""The budget of a search, how far it has gone, and the best chain of each order so far."""

from __future__ import annotations

import math
import threading
import time

from unmix.recording.judge import Judge
from unmix.search.options import SearchOptions, Watch
from unmix.search.point import InitialPoint
from unmix.search.ranking import Candidate


class Budget:
    """Counts steps and seconds, and evaluates chains. Safe to use from several threads.

    Args:
        judge: of the recording.
        options, watch: of the search.
        search_share: share of the seconds after which the search ends; the rest is for polishing.

    Attributes:
        taken: steps so far.
        best: {order of effects: Candidate}, the nearest of each.
        history: (step, smallest real distance so far).
        timeline: (seconds, smallest real distance so far) whenever it fell.
    """

    def __init__(
        self, judge: Judge, options: SearchOptions, watch: Watch, search_share: float = 1.0
    ):
        self.judge, self.watch = judge, watch
        self.steps, self.seconds = options.steps or None, options.seconds
        self.began = time.monotonic()
        self.until = math.inf if self.seconds is None else search_share * self.seconds
        self.best: dict[tuple[str, ...], Candidate] = {}
        self.history: list[tuple[int, float]] = []
        self.timeline: list[tuple[float, float]] = []
        self.taken = 0
        self.lock = threading.Lock()

    @property
    def nearest(self) -> float:
        """The smallest real distance (MSS) so far."""
        return min(candidate.distance for candidate in self.best.values())

    def out_of_time(self) -> bool:
        """Whether time is up, or the watch says stop."""
        return (self.watch.stop is not None and self.watch.stop()) or self.timed_out()

    def timed_out(self) -> bool:
        return time.monotonic() - self.began >= self.until

    def release_rest(self) -> None:
        """From now on all of the seconds may be used."""
        if self.seconds is not None:
            self.until = self.seconds

    def exhausted(self) -> bool:
        """Whether time or steps are used up."""
        return self.out_of_time() or (self.steps is not None and self.taken >= self.steps)

    def allot(self, wanted: int, fits: int) -> int:
        """How many steps each of so many fits may take, if each wants so many."""
        left = wanted * fits if self.steps is None else self.steps - self.taken
        return 0 if self.exhausted() else min(wanted, left // max(1, fits))

    def count(self, steps: int) -> None:
        """So many steps were taken."""
        if not steps:
            return
        with self.lock:
            used = 1e-9
            if self.seconds is not None:
                used = (time.monotonic() - self.began) / self.seconds
            for _ in range(steps):
                self.taken += 1
                self.history.append((self.taken, self.nearest))
            if self.steps is not None:
                used = max(used, self.taken / self.steps)
            if self.watch.progress:
                total = max(self.taken, round(self.taken / used))
                self.watch.progress(self.taken, total, self.nearest)

    def evaluate(self, point: InitialPoint) -> float:
        """The real distance of a chain, which is kept if it is the nearest of its order."""
        distance, error = self.judge.measures(point.chain)
        key = point.chain.canonical().names
        with self.lock:
            if not self.best or distance < self.nearest:
                self.timeline.append((time.monotonic() - self.began, distance))
            if key not in self.best or distance < self.best[key].distance:
                self.best[key] = Candidate(point.chain, point, distance, error)
        return distance
