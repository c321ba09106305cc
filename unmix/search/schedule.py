"""The course of a search: many chains as fits (fit.py), fewer and fewer, until nothing moves.

The network's chains are screened with many draws of their knobs; the nearest descend on the real
effects and through the proxies; neighbours of the leaders, with an effect more, an effect less or
one in another place, are tried; the last few go on to the end.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unmix.chain import Chain, canonical_order
from unmix.recording.judge import Judge
from unmix.runtime.workers import nested_thread_map
from unmix.search import band_moves, lfo_moves, moves, neighbourhood, proxy_descent
from unmix.search.gauss_newton import GaussNewton
from unmix.search.ranking import SOLVED, Candidate
from unmix.search.starts import InitialPoint

FIRST = 4  # steps of descent of a chain that is tried
FOLLOW, DESCEND = 8, 5  # steps of one round, through the proxies and on the real effects
NEAR = 1e-5  # of the waveform's cost: the pictures lead no nearer
FINISH = 8  # steps on the waveform at the end of a round
AHEAD = 2  # fits that find the LFOs for the others
FITS = 6, 4, 2  # fits that are screened, that go on after that, and to the end
IDLE = 1.1, 1e-4  # an effect may go if the cost without it is up to factor · cost + offset (dB²)
FREED_AGAIN = 0.5  # share of the cost at which ways out are looked for again
STANDS = 0.98  # share of its cost above which a fit has not moved
RELOCATIONS = 3  # times that a filter is put in another place, one after the other …
RELOCATED = 0.8  # … while the cost falls below that share
RESTARTS = 2  # other starts of the leader's order, when it does not move any more
EDITS = 2  # times that the neighbours of the leader are tried …
CLEARER = 0.25  # … again for the same order when its cost has fallen to that share
MOVED, PUT_IN, LEFT_OUT = 8, 2, 1  # neighbours that are tried of each kind, by their first cost …
TOO_FAR = 10.0, 0.1  # … if it is no farther than factor · leader + offset (dB²)
RACE, RACED = 2, 4  # steps of each neighbour, and how many go on after that
TINY = 1e-12  # dB²: a cost of nothing
SEARCHING = 0.9  # share of the time after which the answer is polished in what is left
FOLLOW_ABOVE = 0.3  # dB²: below, the proxies lead no nearer


class Search:
    """The course of ``refine`` and what it remembers. Fits move in threads of their own."""

    def __init__(
        self,
        judge: Judge,
        starts: Sequence[InitialPoint],
        proxies: dict,
        steps: int | None,
        seconds: float | None,
        seed: int,
        device: str,
        progress: Callable | None,
        stop: Callable[[], bool] | None,
    ):
        self.judge, self.proxies, self.device, self.seed = judge, proxies, device, seed
        self.steps, self.seconds, self.began = steps, seconds, time.monotonic()
        self.until = math.inf if seconds is None else SEARCHING * seconds
        self.stop = stop or (lambda: False)
        self.progress = progress or (lambda step, steps, distance: None)
        self.log_priors = {start.chain.canonical().names: start.log_prob for start in starts}
        self.best: dict[tuple[str, ...], Candidate] = {}
        self.raced: dict[tuple[str, ...], float] = {}  # the leader's cost then, by order
        self.history: list[tuple[int, float]] = []
        self.timeline: list[tuple[float, float]] = []
        self.done = 0
        self.lock = threading.Lock()

    @property
    def nearest(self) -> float:
        return min(candidate.distance for candidate in self.best.values())

    def out_of_time(self) -> bool:
        """Whether time is up, or somebody said stop."""
        return self.stop() or self.timed_out()

    def timed_out(self) -> bool:
        return time.monotonic() - self.began >= self.until

    def exhausted(self) -> bool:
        """Whether the budget is used up."""
        return self.out_of_time() or (self.steps is not None and self.done >= self.steps)

    def allot(self, wanted: int, fits: int) -> int:
        """How many steps each of so many fits may take, if it wants so many."""
        left = wanted * fits if self.steps is None else self.steps - self.done
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
                self.done += 1
                self.history.append((self.done, self.nearest))
            if self.steps is not None:
                used = max(used, self.done / self.steps)
            self.progress(self.done, max(self.done, round(self.done / used)), self.nearest)

    def evaluate(self, start: InitialPoint) -> float:
        """Judge a chain for good and remember it if it is the best of its order."""
        distance, error = self.judge.measures(start.chain)
        key = start.chain.canonical().names
        with self.lock:
            if not self.best or distance < self.nearest:
                self.timeline.append((time.monotonic() - self.began, distance))
            if key not in self.best or distance < self.best[key].distance:
                self.best[key] = Candidate(start.chain, start, distance, error)
        return distance

    def fits(
        self, groups: Sequence[Sequence[InitialPoint]], near: bool = False
    ) -> list[GaussNewton]:
        """The best start of each group, which is of one order of effects; those that time is left
        for, but one at least."""

        def work(starts):
            return self.fit(starts, near) if starts is groups[0] or not self.out_of_time() else None

        return [fit for fit in nested_thread_map(work, groups) if fit]

    def fit(self, starts: Sequence[InitialPoint], near: bool = False) -> GaussNewton:
        """The best of several starts of one order; ``near`` as of GaussNewton."""
        seed = [self.seed, *map(ord, "".join(starts[0].chain.names))]
        return GaussNewton(self.judge, starts, np.random.default_rng(seed), near)

    def descend(self, fit: GaussNewton, steps: int, finish: int = 0) -> None:
        """Steps down on the real effects, while it moves, and ``descend_waveform`` on the waveform, which
        also takes what the others left; then the judge's distance."""
        left = steps + finish
        near = fit.error() < NEAR
        while left > finish and not near and not self.out_of_time() and fit.descend():
            self.count(1)
            left -= 1
        self.count(fit.descend_waveform(left if finish else 0, self.out_of_time))
        self.evaluate(fit.as_point())

    def screen(self, fits: Sequence[GaussNewton], wanted: int = FIRST) -> None:
        """Their LFOs found, and a few steps down; before, other options of a chain that the user
        gave, as no network has weighed them."""
        steps = self.allot(wanted, len(fits))

        def work(fit: GaussNewton) -> None:
            if fit.start.log_prob is None:
                moves.perturb(fit)
            if fit not in ahead:
                lfo_moves.copy_lfo(fit, ahead)
            if not self.out_of_time():
                lfo_moves.lfo(fit)
            self.descend(fit, steps)

        ahead = fits[:AHEAD]
        self.in_turn(work, fits)

    def in_turn(self, work: Callable[[GaussNewton], None], fits: Sequence[GaussNewton]) -> None:
        """Work on the first fits, then on the others, if nothing is near enough by then."""
        nested_thread_map(work, fits[:AHEAD])
        if self.nearest > SOLVED:
            nested_thread_map(work, fits[AHEAD:])

    def race(self, fits: Sequence[GaussNewton]) -> list[GaussNewton]:
        """The most promising of many neighbours of the leaders go on after a few steps: those that
        would be nearest if their costs kept falling by the same factor."""
        before = [fit.cost for fit in fits]
        self.screen(fits, RACE)
        fell = [fit.cost / max(cost, TINY) for fit, cost in zip(fits, before, strict=True)]
        ahead = [fit.cost * min(1.0, share) for fit, share in zip(fits, fell, strict=True)]
        fits = [fits[n] for n in np.argsort(ahead, kind="stable")[:RACED]]
        for fit in fits:
            fit.searched_at = math.inf  # in this order the LFO may prove to stand elsewhere
        steps = self.allot(RACE + FINISH, len(fits))
        down = min(steps, RACE)
        nested_thread_map(lambda fit: self.descend(fit, down, steps - down), fits)
        return fits

    def round(self, fits: Sequence[GaussNewton]) -> None:
        """Jumps, then a way down through the proxies, then on the real effects."""
        steps = self.allot(FOLLOW + DESCEND + FINISH, len(fits))
        through = min(steps, FOLLOW)
        down = min(steps - through, DESCEND)

        def work(fit: GaussNewton) -> None:
            for jump in (moves.perturb, lfo_moves.lfo):
                if not self.out_of_time():
                    jump(fit)
            if through and fit.cost > FOLLOW_ABOVE and not self.out_of_time():
                proxy_descent.descend_through_proxies(fit, self.proxies, through, self.device)
                self.count(through)
            self.descend(fit, down, steps - through - down)

        self.in_turn(work, fits)

    def run(self, starts: Sequence[InitialPoint]) -> None:
        """From many chains to the last few, until the budget is used up or nothing moves."""
        first = FITS[0] if self.steps is None else self.steps // (4 * FIRST)
        fits = self.leaders(self.fits(grouped_by_order(starts)), max(1, min(FITS[0], first)))
        self.screen(fits)
        fits = self.leaders(fits, FITS[1])
        fits = self.within_reach(fits, fits[0])
        self.round(fits)
        edited: list[tuple[tuple[str, ...], float]] = []
        edits_allowed = starts[0].log_prob is not None  # a chain that the user gave stays as it is
        while self.allot(1, FITS[2]) and self.nearest > SOLVED:
            fits = self.leaders(fits, FITS[2])
            leader, before = fits[0], fits[0].cost
            names = leader.chain.names
            known = any(names == n and before > CLEARER * cost for n, cost in edited)
            if edits_allowed and not known and len(edited) < EDITS:
                edited.append((names, before))
                fits = self.leaders(nested_thread_map(self.prune, fits), FITS[2])
                nested_thread_map(self.relocate, fits)
                others = self.race([*self.neighbours(fits), *self.swapped(fits[0])])
                fits = self.leaders([*fits, *others], FITS[2])
            self.round(fits)
            if fits[0] is not leader or leader.cost <= STANDS * before:
                continue
            if edits_allowed and (others := self.swapped(leader)):
                fits = self.leaders([*fits, *self.race(others)], FITS[2])
                if fits[0] is not leader:
                    continue
            if not self.escape(fits):
                again = [[leader.others.pop(0)] for _ in leader.others[:RESTARTS]]
                if not again:
                    break
                others = self.fits(again, near=True)
                self.screen(others)
                self.round(others)
                for fit in others:
                    fit.others = leader.others
                fits = [*fits, *others]
        if edits_allowed and not self.exhausted():
            self.try_alternatives(self.leaders(fits, 1)[0])

    def relocate(self, fit: GaussNewton) -> None:
        """Put filters in other places, one after the other, as long as one is much nearer there."""
        for _ in range(RELOCATIONS):
            before = fit.cost
            if (
                self.out_of_time()
                or not band_moves.relocate_band(fit)
                or fit.cost > RELOCATED * before
            ):
                break

    def escape(self, fits: Sequence[GaussNewton]) -> bool:
        """Ways out for fits that no step leads on from, once for about the same cost; whether one
        was found."""

        def work(fit: GaussNewton) -> bool:
            if fit.cost > FREED_AGAIN * fit.escaped_at:
                return False
            before = fit.escaped_at = fit.cost
            if not self.out_of_time() and lfo_moves.refine_rate_grid(fit, self.out_of_time):
                self.evaluate(fit.as_point())
                return True
            self.relocate(fit)
            for jump in (moves.try_options, moves.line_search, lfo_moves.trade_rate):
                if not self.out_of_time():
                    jump(fit)
            return fit.cost < STANDS * before

        return any(nested_thread_map(work, fits))

    def prune(self, fit: GaussNewton) -> GaussNewton:
        """A fit without the effects that do next to nothing there."""
        limit = IDLE[0] * fit.cost + IDLE[1]
        for rest in reversed(neighbourhood.left_out(fit.chain.steps)):
            without = self.fit([self.edited(fit.start, rest)], near=True)
            if without.cost <= limit:
                return self.prune(without)
        return fit

    def edited(self, start: InitialPoint, steps: Sequence[tuple]) -> InitialPoint:
        """A start with other steps, and what the network said of their order."""
        chain = Chain(steps).canonical()
        log_prob = self.log_priors.get(chain.names, -math.inf)
        return replace(start, chain=chain, log_prob=log_prob)

    def try_alternatives(self, leader: GaussNewton) -> None:
        """Try chains of one effect less, in any order that one move makes; and where nothing seems
        left to find, the same effects in other orders: two of them may nearly commute."""
        steps = leader.chain.steps
        chains = [
            other for rest in neighbourhood.left_out(steps) for other in neighbourhood.moved(rest)
        ]
        if self.nearest <= SOLVED:
            chains += neighbourhood.moved(steps)
        starts = [self.edited(leader.start, other) for other in chains]
        groups = {start.chain.names: [start] for start in starts}
        groups.pop(canonical_order(leader.chain.names), None)
        fits = self.within_reach(self.fits(list(groups.values()), near=True), leader)
        self.race(self.leaders(fits, MOVED))

    @staticmethod
    def within_reach(fits: Sequence[GaussNewton], leader: GaussNewton) -> list[GaussNewton]:
        """Those that are not too far from the leader."""
        factor, offset = TOO_FAR
        return [fit for fit in fits if fit.cost <= factor * leader.cost + offset]

    @staticmethod
    def leaders(fits: Sequence[GaussNewton], count: int) -> list[GaussNewton]:
        """The nearest ones, each order of effects once."""
        best: dict[tuple[str, ...], GaussNewton] = {}
        for fit in sorted(fits, key=lambda fit: fit.cost):
            best.setdefault(fit.chain.canonical().names, fit)
        return list(best.values())[:count]

    def neighbours(self, leaders: Sequence[GaussNewton]) -> list[GaussNewton]:
        """Fits of chains that are one edit from the leaders: an effect moved to another place, left
        out, or put in with settings drawn at random. The nearest of each kind."""
        rng = np.random.default_rng(self.seed)
        stand = {canonical_order(fit.chain.names): fit.cost for fit in leaders}
        moves, longer, shorter = {}, {}, {}

        def add(kind, fit, *chains):
            starts = [self.edited(fit.start, steps) for steps in chains]
            if self.may_race(starts[0], fit, leaders[0]):
                kind.setdefault(starts[0].chain.names, []).extend(starts)

        for fit in leaders:
            steps = fit.chain.steps
            for rest in neighbourhood.left_out(steps):
                add(shorter, fit, rest)
            for others in neighbourhood.moved(steps):
                add(moves, fit, others)
            for others in neighbourhood.put_in(steps, rng, self.proxies):
                add(longer, fit, *others)
        has_lfo = any(effect.lfo for effect in leaders[0].effects)
        found = []
        for kind, count, near in (
            (moves, MOVED, True),
            (longer, PUT_IN, has_lfo),
            (shorter, LEFT_OUT, True),
        ):
            fits = self.within_reach(self.fits(list(kind.values()), near), leaders[0])
            fits = [f for f in fits if f.cost < stand.get(f.chain.canonical().names, math.inf)]
            found += self.leaders(fits, count)
        return self.racing(found, leaders[0])

    def swapped(self, leader: GaussNewton) -> list[GaussNewton]:
        """Fits of the leader with two neighbouring effects swapped that are too far off to be its
        ``neighbours``: across a compressor, all of them may want other knobs."""
        starts = [
            self.edited(leader.start, steps) for steps in neighbourhood.swapped(leader.chain.steps)
        ]
        groups = grouped_by_order(starts)
        fits = self.fits([g for g in groups if self.may_race(g[0], leader, leader)], near=True)
        near = self.within_reach(fits, leader)
        return self.racing([fit for fit in fits if fit not in near], leader)

    def racing(self, fits: list[GaussNewton], leader: GaussNewton) -> list[GaussNewton]:
        """The fits; that they are tried against the leader is remembered."""
        self.raced |= {fit.chain.canonical().names: leader.cost for fit in fits}
        return fits

    def may_race(self, start: InitialPoint, fit: GaussNewton, leader: GaussNewton) -> bool:
        """Whether a start is of another order than the fit that it was made of, and had no chance
        yet when the leader was about as near."""
        names = start.chain.names
        raced = leader.cost > FREED_AGAIN * self.raced.get(names, math.inf)
        return names != canonical_order(fit.chain.names) and not raced

    def polish(self, answers: Sequence[Candidate], steps: int) -> None:
        """Steps down from the answer and the next ones, until nothing moves or time is up; beyond
        the budget. Of one that is near enough and alone, on the waveform only."""
        down = 0 if len(answers) == 1 and self.nearest <= SOLVED else steps
        if self.seconds is not None:
            self.until = self.seconds

        def work(answer: Candidate) -> None:
            fit = self.fit([replace(answer.origin, chain=answer.chain)])
            for _ in range(down):
                if self.out_of_time() or not fit.descend():
                    break
            fit.descend_waveform(steps, self.out_of_time)
            if lfo_moves.refine_rate_grid(fit, self.out_of_time):
                fit.descend_waveform(steps, self.out_of_time)
            self.evaluate(fit.as_point())

        nested_thread_map(work, answers)

    def ablate(self) -> None:
        """Judge the nearest chain without each of its effects: an idle one explains nothing.

        A chain that the user gave (no belief) keeps its effects.
        """
        nearest = min(self.best.values(), key=lambda candidate: candidate.distance)
        if nearest.origin.log_prob is None:
            return
        for rest in neighbourhood.left_out(nearest.chain.steps):
            self.evaluate(self.edited(nearest.origin, rest))


def grouped_by_order(starts: Sequence[InitialPoint]) -> list[list[InitialPoint]]:
    """The starts of each order of effects, in the order in which they come."""
    groups: dict[tuple[str, ...], list[InitialPoint]] = {}
    for start in starts:
        groups.setdefault(start.chain.canonical().names, []).append(start)
    return list(groups.values())
