"""Chains that are one edit from another: an effect left out, moved to another place, or put in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from unmix import effects

DRAWN = 12  # settings drawn for an effect that is put in


def left_out(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain without each of them."""
    return [[*steps[:i], *steps[i + 1 :]] for i in range(len(steps))]


def moved(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain with each of them in every place; some are the same."""
    return [
        [*rest[:j], steps[i], *rest[j:]]
        for i, rest in enumerate(left_out(steps))
        for j in range(len(steps))
    ]


def swapped(steps: Sequence[tuple]) -> list[list[tuple]]:
    """The steps of a chain with each two neighbours swapped."""
    return [[*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]] for i in range(len(steps) - 1)]


def put_in(
    steps: Sequence[tuple], rng: np.random.Generator, pool: Iterable[str]
) -> Iterator[list[list[tuple]]]:
    """The steps of a chain with an effect of the pool that it lacks in some place: for each effect
    and place, DRAWN such chains with settings drawn at random."""
    for name in pool:
        if name in dict(steps):
            continue
        drawn = [(name, effects.get(name).sample(rng)) for _ in range(DRAWN)]
        for i in range(len(steps) + 1):
            yield [[*steps[:i], step, *steps[i:]] for step in drawn]
