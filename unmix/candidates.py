"""The answers that a search has found, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unmix.chain import Chain
from unmix.nn.mixture import Mixture
from unmix.starts import Start

SOLVED = 0.003  # a distance (MSS) at which nothing is left to find
AS_NEAR = 1.15, 0.01  # a distance up to factor · nearest + offset counts as just as near …
NO_FARTHER = 1.05, 0.0003  # … and this for chains of as many effects
POLISHED = 2, 3  # answers that are polished, and if they are as near: the end tells them apart


@dataclass(frozen=True)
class Candidate:
    """A chain, where it came from, and its real distance (MSS)."""

    chain: Chain
    origin: Start
    distance: float

    @property
    def probability(self) -> float | None:
        """Of its effects in that order, by the network; None if nobody said."""
        log_prob = self.origin.log_prob
        return None if log_prob is None else math.exp(log_prob)

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """What is believed of its knobs."""
        return self.origin.mixtures


def rank(candidates: Sequence[Candidate], before: float) -> list[Candidate]:
    """The answer, then the others, nearest first.

    The answer is the nearest; but of those as near (AS_NEAR), and no farther than ``before``, one
    with the fewest effects: an effect that does nothing must not win by a hair. Of as many effects
    and NO_FARTHER, it is the one the network finds most probable.
    """

    def equals(those, allowance):
        factor, offset = allowance
        limit = factor * those[0].distance + offset
        return [c for c in those if c.distance <= min(limit, max(before, those[0].distance))]

    near = sorted(candidates, key=lambda candidate: candidate.distance)
    as_near = equals(near, AS_NEAR)
    fewest = min(len(c.chain.steps) for c in as_near)
    shortest = equals([c for c in as_near if len(c.chain.steps) == fewest], NO_FARTHER)
    answer = max(shortest, key=lambda c: c.probability or 0.0)
    return [answer, *(c for c in near if c is not answer)]


def contenders(candidates: Sequence[Candidate], before: float) -> list[Candidate]:
    """The answers that are worth polishing: of those as near as the nearest, a few more; the
    nearest alone if it is near enough and no other comes close."""
    ranked = rank(candidates, before)
    nearest = min(candidate.distance for candidate in candidates)
    factor, offset = AS_NEAR
    near = [c for c in ranked if c.distance <= factor * nearest + offset]
    at_least, at_most = POLISHED
    enough = nearest <= SOLVED or len(near) > at_least
    return near[:at_most] if enough else ranked[:at_least]
