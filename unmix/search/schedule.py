"""The course of a search: which candidates move when, fewer and fewer, until nothing moves.

The network's chains are screened with many draws of their knobs; the nearest descend on the real
effects and through the proxies; neighbours of the leaders, with an effect more, an effect less or
one at another position, race against them; the last few go on to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unmix.recording.judge import Judge
from unmix.runtime.workers import nested_thread_map
from unmix.search import band_moves, lfo_moves, moves, neighbourhood, proxy_descent
from unmix.search.budget import Budget
from unmix.search.gauss_newton import GaussNewton
from unmix.search.neighbourhood import NEIGHBOURS, Neighbourhood, NeighbourSettings
from unmix.search.options import SearchOptions, Watch
from unmix.search.point import InitialPoint
from unmix.search.ranking import SOLVED, Candidate
from unmix.search.schedule_settings import SCHEDULE, Schedule


class Search:
    """The course of ``refine``. Fits move in threads of their own.

    Args:
        judge: of the recording.
        points: the initial points.
        proxies: {effect: module}; the effects that may be inserted. A given chain with another
            effect goes without the proxies' descent.
        options, watch: of the search.
        schedule, neighbours: the settings.
    """

    def __init__(
        self,
        judge: Judge,
        points: Sequence[InitialPoint],
        proxies: dict,
        options: SearchOptions,
        watch: Watch,
        schedule: Schedule = SCHEDULE,
        neighbours: NeighbourSettings = NEIGHBOURS,
    ):
        self.judge, self.proxies, self.options, self.schedule = judge, proxies, options, schedule
        self.budget = Budget(judge, options, watch, schedule.search_share)
        self.neighbourhood = Neighbourhood(self.fits, points, proxies, options.seed, neighbours)

    def fits(
        self, groups: Sequence[Sequence[InitialPoint]], near: bool = False
    ) -> list[GaussNewton]:
        """The best point of each group, which is of one order of effects; those that time is left
        for, but one at least."""

        def work(points):
            if points is groups[0] or not self.budget.out_of_time():
                return self.fit(points, near)
            return None

        return [fit for fit in nested_thread_map(work, groups) if fit]

    def fit(self, points: Sequence[InitialPoint], near: bool = False) -> GaussNewton:
        """The best of several points of one order; ``near`` as of GaussNewton."""
        seed = [self.options.seed, *map(ord, "".join(points[0].chain.names))]
        return GaussNewton(self.judge, points, np.random.default_rng(seed), near)

    def descend(self, fit: GaussNewton, steps: int, finish: int = 0) -> None:
        """Steps down in the spectrogram objective, while it moves, and ``finish`` in the waveform
        objective, which also takes what the others left; then the judge's distance."""
        budget, left = self.budget, steps + finish
        near = fit.error() < self.schedule.waveform_below
        while left > finish and not near and not budget.out_of_time() and fit.descend():
            budget.count(1)
            left -= 1
        budget.count(fit.descend_waveform(left if finish else 0, budget.out_of_time))
        budget.evaluate(fit.as_point())

    def screen(self, fits: Sequence[GaussNewton], wanted: int | None = None) -> None:
        """Search for their LFOs, and take a few steps down; before, try other options of a chain
        that the user gave, as no network has weighed them."""
        steps = self.budget.allot(wanted or self.schedule.screen_steps, len(fits))
        ahead = fits[: self.schedule.ahead]

        def work(fit: GaussNewton) -> None:
            if fit.origin.log_prob is None:
                moves.perturb(fit)
            if fit not in ahead:
                lfo_moves.copy_lfo(fit, ahead)
            if not self.budget.out_of_time():
                lfo_moves.search_lfo(fit)
            self.descend(fit, steps)

        self.in_turn(work, fits)

    def in_turn(self, work: Callable[[GaussNewton], None], fits: Sequence[GaussNewton]) -> None:
        """Work on the first fits, then on the others, if nothing is near enough by then."""
        ahead = self.schedule.ahead
        nested_thread_map(work, fits[:ahead])
        if self.budget.nearest > SOLVED:
            nested_thread_map(work, fits[ahead:])

    def race(self, fits: Sequence[GaussNewton]) -> list[GaussNewton]:
        """The most promising of many neighbours of the leaders go on after a few steps: those that
        would be nearest if their costs kept falling by the same factor."""
        schedule = self.schedule
        before = [fit.cost for fit in fits]
        self.screen(fits, schedule.race_steps)
        rises = [fit.cost / max(cost, 1e-12) for fit, cost in zip(fits, before, strict=True)]
        expected = [fit.cost * min(1.0, rise) for fit, rise in zip(fits, rises, strict=True)]
        fits = [fits[n] for n in np.argsort(expected, kind="stable")[: schedule.raced]]
        for fit in fits:
            fit.searched_at = math.inf  # in this order the LFO may prove to be elsewhere
        steps = self.budget.allot(schedule.race_steps + schedule.waveform_steps, len(fits))
        down = min(steps, schedule.race_steps)
        nested_thread_map(lambda fit: self.descend(fit, down, steps - down), fits)
        return fits

    def round(self, fits: Sequence[GaussNewton]) -> None:
        """Moves, then a descent through the proxies, then on the real effects."""
        schedule, budget = self.schedule, self.budget
        wanted = schedule.proxy_steps + schedule.descent_steps + schedule.waveform_steps
        steps = budget.allot(wanted, len(fits))
        through = min(steps, schedule.proxy_steps)
        down = min(steps - through, schedule.descent_steps)

        def work(fit: GaussNewton) -> None:
            for move in schedule.round_moves:
                if not budget.out_of_time():
                    move(fit)
            self.descend_through_proxies(fit, through)
            self.descend(fit, down, steps - through - down)

        self.in_turn(work, fits)

    def descend_through_proxies(self, fit: GaussNewton, steps: int) -> None:
        """Steps through the proxies, where every effect has one and they may lead nearer."""
        has_proxies = self.proxies.keys() >= set(fit.chain.names)
        far = fit.cost > self.schedule.proxies_above
        if steps and has_proxies and far and not self.budget.out_of_time():
            device = self.options.device
            proxy_descent.descend_through_proxies(fit, self.proxies, steps, device)
            self.budget.count(steps)

    def run(self, points: Sequence[InitialPoint]) -> None:
        """From many chains to the last few, until the budget is used up or nothing moves."""
        schedule, budget = self.schedule, self.budget
        screened, kept, last = schedule.fits
        if budget.steps is not None:
            screened = max(1, min(screened, budget.steps // (4 * schedule.screen_steps)))
        fits = self.fits(neighbourhood.grouped_by_order(points))
        fits = neighbourhood.best(fits, screened)
        self.screen(fits)
        fits = neighbourhood.best(fits, kept)
        fits = self.neighbourhood.within_reach(fits, fits[0])
        self.round(fits)
        edited: list[tuple[tuple[str, ...], float]] = []
        edits_allowed = points[0].log_prob is not None  # a chain that the user gave stays as it is
        while budget.allot(1, last) and budget.nearest > SOLVED:
            fits = neighbourhood.best(fits, last)
            leader, before = fits[0], fits[0].cost
            names = leader.chain.names
            known = any(names == n and before > schedule.edit_again * cost for n, cost in edited)
            if edits_allowed and not known and len(edited) < schedule.edits:
                edited.append((names, before))
                fits = self.edit(fits)
            self.round(fits)
            if fits[0] is not leader or leader.cost <= schedule.unmoved * before:
                continue
            if edits_allowed and (others := self.neighbourhood.far_swaps(leader)):
                fits = neighbourhood.best([*fits, *self.race(others)], last)
                if fits[0] is not leader:
                    continue
            if not self.escape(fits):
                others = self.restart(leader)
                if not others:
                    break
                fits = [*fits, *others]
        if edits_allowed and not budget.exhausted():
            self.try_alternatives(neighbourhood.best(fits, 1)[0])

    def edit(self, fits: Sequence[GaussNewton]) -> list[GaussNewton]:
        """The best of the fits, pruned and with their bands relocated, and of their neighbours."""
        last = self.schedule.fits[-1]
        fits = neighbourhood.best(nested_thread_map(self.prune, fits), last)
        nested_thread_map(self.relocate, fits)
        others = [*self.neighbourhood.neighbours(fits), *self.neighbourhood.far_swaps(fits[0])]
        return neighbourhood.best([*fits, *self.race(others)], last)

    def restart(self, leader: GaussNewton) -> list[GaussNewton]:
        """Fits of other initial points of the leader's order, after a round; none if all were
        tried."""
        again = [[leader.others.pop(0)] for _ in leader.others[: self.schedule.restarts]]
        if not again:
            return []
        others = self.fits(again, near=True)
        self.screen(others)
        self.round(others)
        for fit in others:
            fit.others = leader.others
        return others

    def relocate(self, fit: GaussNewton) -> None:
        """Relocate bands, one after the other, as long as one is much nearer there."""
        for _ in range(self.schedule.relocations):
            before = fit.cost
            if (
                self.budget.out_of_time()
                or not band_moves.relocate_band(fit)
                or fit.cost > self.schedule.relocated * before
            ):
                break

    def escape(self, fits: Sequence[GaussNewton]) -> bool:
        """Ways out for fits that no step leads on from, once for about the same cost; whether one
        was found."""
        schedule, budget = self.schedule, self.budget

        def work(fit: GaussNewton) -> bool:
            if fit.cost > schedule.escape_again * fit.escaped_at:
                return False
            before = fit.escaped_at = fit.cost
            if not budget.out_of_time() and lfo_moves.refine_rate_grid(fit, budget.out_of_time):
                budget.evaluate(fit.as_point())
                return True
            self.relocate(fit)
            for move in schedule.escapes:
                if not budget.out_of_time():
                    move(fit)
            return fit.cost < schedule.unmoved * before

        return any(nested_thread_map(work, fits))

    def prune(self, fit: GaussNewton) -> GaussNewton:
        """A fit without the effects that do next to nothing there."""
        factor, offset = self.schedule.idle
        for rest in reversed(neighbourhood.left_out(fit.chain.steps)):
            without = self.fit([self.neighbourhood.edited(fit.origin, rest)], near=True)
            if without.cost <= factor * fit.cost + offset:
                return self.prune(without)
        return fit

    def try_alternatives(self, leader: GaussNewton) -> None:
        """Race chains of one effect less; and where nothing seems left to find, the same effects in
        other orders: two of them may nearly commute."""
        solved = self.budget.nearest <= SOLVED
        self.race(self.neighbourhood.alternatives(leader, same_length=solved))

    def polish(self, answers: Sequence[Candidate]) -> None:
        """Steps down from the answer and the next ones, until nothing moves or time is up; beyond
        the budget. Of one that is near enough and alone, in the waveform only."""
        steps, budget = self.options.polish, self.budget
        down = 0 if len(answers) == 1 and budget.nearest <= SOLVED else steps
        budget.release_rest()

        def work(answer: Candidate) -> None:
            fit = self.fit([replace(answer.origin, chain=answer.chain)])
            for _ in range(down):
                if budget.out_of_time() or not fit.descend():
                    break
            fit.descend_waveform(steps, budget.out_of_time)
            if lfo_moves.refine_rate_grid(fit, budget.out_of_time):
                fit.descend_waveform(steps, budget.out_of_time)
            budget.evaluate(fit.as_point())

        nested_thread_map(work, answers)

    def ablate(self) -> None:
        """Evaluate the nearest chain without each of its effects: an idle one explains nothing.

        A chain that the user gave (without a probability) keeps its effects.
        """
        nearest = min(self.budget.best.values(), key=lambda candidate: candidate.distance)
        if nearest.origin.log_prob is None:
            return
        for rest in neighbourhood.left_out(nearest.chain.steps):
            self.budget.evaluate(self.neighbourhood.edited(nearest.origin, rest))
