"""Chains that are one edit from another, and which of them may race against the leader.

An edit leaves an effect out, moves it to another position, swaps two neighbours, or inserts an
effect with random settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmix import effects
from unmix.chain import Chain, canonical_order
from unmix.search.gauss_newton import GaussNewton
from unmix.search.point import InitialPoint


@dataclass(frozen=True)
class NeighbourSettings:
    """Which neighbours are tried. "Not tuned": no trial is on record that chose the value."""

    # random settings of an inserted effect; not tuned
    draws: int = 12
    # neighbours of each kind that are tried, by their first cost: an effect moved, inserted, left
    # out; not tuned
    moved: int = 8
    inserted: int = 2
    left_out: int = 1
    # a neighbour is within reach up to factor · leader's cost + offset (dB²); not tuned
    reach: tuple[float, float] = (10.0, 0.1)
    # share of the leader's cost, at an order's last race, at which it may race again; not tuned
    race_again: float = 0.5


NEIGHBOURS = NeighbourSettings()


def left_out(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain without each of them."""
    return [[*steps[:i], *steps[i + 1 :]] for i in range(len(steps))]


def moved(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain with each of them at every position; some are the same."""
    return [
        [*rest[:j], steps[i], *rest[j:]]
        for i, rest in enumerate(left_out(steps))
        for j in range(len(steps))
    ]


def swapped(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain with each two neighbours swapped."""
    return [[*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]] for i in range(len(steps) - 1)]


def inserted(
    steps: Sequence[tuple],
    rng: np.random.Generator,
    pool: Iterable[str],
    draws: int = NEIGHBOURS.draws,
) -> Iterator[list[list[tuple]]]:
    """The steps of a chain with an effect of the pool that it lacks at some position: for each
    effect and position, ``draws`` such chains with settings drawn at random."""
    for name in pool:
        if name in dict(steps):
            continue
        drawn = [(name, effects.get(name).sample(rng)) for _ in range(draws)]
        for i in range(len(steps) + 1):
            yield [[*steps[:i], step, *steps[i:]] for step in drawn]


def grouped_by_order(points: Sequence[InitialPoint]) -> list[list[InitialPoint]]:
    """The points of each order of effects, in the order in which they come."""
    groups: dict[tuple[str, ...], list[InitialPoint]] = {}
    for point in points:
        groups.setdefault(point.chain.canonical().names, []).append(point)
    return list(groups.values())


def best(fits: Sequence[GaussNewton], count: int) -> list[GaussNewton]:
    """The nearest ones, each order of effects once."""
    found: dict[tuple[str, ...], GaussNewton] = {}
    for fit in sorted(fits, key=lambda fit: fit.cost):
        found.setdefault(fit.chain.canonical().names, fit)
    return list(found.values())[:count]


class Neighbourhood:
    """Makes fits of the chains around others, and remembers which orders have raced.

    Args:
        make_fits: (groups of points of one order, near) -> a GaussNewton of each group's best.
        points: of the whole search, for what the network said of each order.
        pool: the effects that may be inserted.
        seed: of the settings of inserted effects.
        settings: which neighbours are tried.

    Attributes:
        log_priors: {order: log probability by the network}.
        raced: {order: the leader's cost when it raced last}.
    """

    def __init__(
        self,
        make_fits: Callable[[Sequence[Sequence[InitialPoint]], bool], list[GaussNewton]],
        points: Sequence[InitialPoint],
        pool: Iterable[str],
        seed: int,
        settings: NeighbourSettings = NEIGHBOURS,
    ):
        self.make_fits, self.pool, self.seed, self.settings = make_fits, pool, seed, settings
        self.log_priors = {point.chain.canonical().names: point.log_prob for point in points}
        self.raced: dict[tuple[str, ...], float] = {}

    def edited(self, point: InitialPoint, steps: Sequence[tuple]) -> InitialPoint:
        """A point with other steps, and what the network said of their order."""
        chain = Chain(steps).canonical()
        log_prob = self.log_priors.get(chain.names, -math.inf)
        return replace(point, chain=chain, log_prob=log_prob)

    def within_reach(self, fits: Sequence[GaussNewton], leader: GaussNewton) -> list[GaussNewton]:
        """Those that are not too far from the leader."""
        factor, offset = self.settings.reach
        return [fit for fit in fits if fit.cost <= factor * leader.cost + offset]

    def neighbours(self, leaders: Sequence[GaussNewton]) -> list[GaussNewton]:
        """Fits of chains that are one edit from the leaders: an effect moved, left out, or inserted
        with random settings. The nearest of each kind."""
        rng = np.random.default_rng(self.seed)
        costs = {canonical_order(fit.chain.names): fit.cost for fit in leaders}
        kinds: tuple[dict, dict, dict] = {}, {}, {}
        others, longer, shorter = kinds

        def add(kind: dict, fit: GaussNewton, *chains) -> None:
            points = [self.edited(fit.origin, steps) for steps in chains]
            if self._may_race(points[0], fit, leaders[0]):
                kind.setdefault(points[0].chain.names, []).extend(points)

        for fit in leaders:
            steps = fit.chain.steps
            for rest in left_out(steps):
                add(shorter, fit, rest)
            for chain in moved(steps):
                add(others, fit, chain)
            for chains in inserted(steps, rng, self.pool, self.settings.draws):
                add(longer, fit, *chains)
        has_lfo = any(effect.lfo for effect in leaders[0].effects)
        counts = self.settings.moved, self.settings.inserted, self.settings.left_out
        found = []
        for kind, count, near in zip(kinds, counts, (True, has_lfo, True), strict=True):
            fits = self.within_reach(self.make_fits(list(kind.values()), near), leaders[0])
            fits = [f for f in fits if f.cost < costs.get(f.chain.canonical().names, math.inf)]
            found += best(fits, count)
        return self._racing(found, leaders[0])

    def far_swaps(self, leader: GaussNewton) -> list[GaussNewton]:
        """Fits of the leader with two neighbouring effects swapped that are too far off to be
        ``neighbours``: across a compressor, all of them may want other knobs."""
        groups = grouped_by_order(
            [self.edited(leader.origin, steps) for steps in swapped(leader.chain.steps)]
        )
        groups = [group for group in groups if self._may_race(group[0], leader, leader)]
        fits = self.make_fits(groups, True)
        near = self.within_reach(fits, leader)
        return self._racing([fit for fit in fits if fit not in near], leader)

    def alternatives(self, leader: GaussNewton, same_length: bool) -> list[GaussNewton]:
        """Fits of chains of one effect less, in any order that one move makes; and, if asked for,
        of the same effects in such orders. Those within reach."""
        steps = leader.chain.steps
        chains = [other for rest in left_out(steps) for other in moved(rest)]
        if same_length:
            chains += moved(steps)
        points = [self.edited(leader.origin, other) for other in chains]
        groups = {point.chain.names: [point] for point in points}
        groups.pop(canonical_order(leader.chain.names), None)
        fits = self.within_reach(self.make_fits(list(groups.values()), True), leader)
        return best(fits, self.settings.moved)

    def _racing(self, fits: list[GaussNewton], leader: GaussNewton) -> list[GaussNewton]:
        """The fits; it is remembered that they race against the leader."""
        self.raced |= {fit.chain.canonical().names: leader.cost for fit in fits}
        return fits

    def _may_race(self, point: InitialPoint, fit: GaussNewton, leader: GaussNewton) -> bool:
        """Whether a point is of another order than the fit that it was made of, and did not race
        yet when the leader was about as near."""
        names = point.chain.names
        again = self.settings.race_again * self.raced.get(names, math.inf)
        return names != canonical_order(fit.chain.names) and leader.cost <= again
