"""The answers that a search has found, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unmix.chain import Chain
from unmix.nn.mixture_density import Mixture
from unmix.search.starts import InitialPoint

SOLVED = 0.003  # a distance (MSS) at which nothing is left to find
AS_NEAR = 1.15, 0.01  # a distance up to factor · nearest + offset may end as the nearest
IDLE = 1.05, 0.01  # effects may go if it is up to factor · distance + offset without them
DISTANCE_WEIGHT = 6.0  # of ln distance against ln probability
ERROR_WEIGHT, LEAST_ERROR = 2.0, 1e-8  # of ln error, the same; an error of no difference
TELLING = 0.01  # error above which it tells nothing
LEAST = 1e-4  # distance and probability below which there is no difference
POLISHED = 2, 4  # answers that are polished, and if they are as near: the end tells them apart


@dataclass(frozen=True)
class Candidate:
    """A chain, where it came from, its real distance (MSS), and the cost of its waveform."""

    chain: Chain
    origin: InitialPoint
    distance: float
    error: float = 1.0

    @property
    def probability(self) -> float | None:
        """Of its effects in that order, by the network; None if nobody said."""
        log_prob = self.origin.log_prob
        return None if log_prob is None else math.exp(log_prob)

    @property
    def map_cost(self) -> float:
        """What the distance, the waveform and the network say against its effects in that
        order."""
        far = DISTANCE_WEIGHT * math.log(self.distance + LEAST)
        far += ERROR_WEIGHT * math.log(min(self.error, TELLING) + LEAST_ERROR)
        return far - math.log(max(self.probability or 0.0, LEAST))

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """What is believed of its knobs."""
        return self.origin.mixtures


def rank(candidates: Sequence[Candidate], before: float) -> list[Candidate]:
    """The answer, then the others, nearest first.

    The answer is the likeliest of those that are no farther than ``before`` or the nearest; but of
    chains with fewer effects that are as near (IDLE), the one with the fewest: an effect that does
    nothing must not stay because somebody expects it.
    """
    near = sorted(candidates, key=lambda candidate: candidate.distance)
    allowed = [c for c in near if c.distance <= max(before, near[0].distance)]
    answer = min(allowed, key=lambda c: c.map_cost)
    factor, offset = IDLE
    limit = factor * answer.distance + offset
    as_near = [c for c in allowed if c.distance <= limit]
    answer = min(as_near, key=lambda c: (len(c.chain.steps), c.map_cost))
    return [answer, *(c for c in near if c is not answer)]


def contenders(candidates: Sequence[Candidate], before: float) -> list[Candidate]:
    """The answers that are worth polishing: of those as near as the nearest, a few more; the
    nearest alone if it is near enough and no other comes close."""
    ranked = rank(candidates, before)
    nearest = min(candidate.distance for candidate in candidates)
    factor, offset = AS_NEAR
    near = [c for c in ranked if c is ranked[0] or c.distance <= factor * nearest + offset]
    at_least, at_most = POLISHED
    enough = nearest <= SOLVED or len(near) > at_least
    return near[:at_most] if enough else ranked[:at_least]
