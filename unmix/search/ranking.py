"""The answers that a search has found, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unmix.chain import Chain
from unmix.nn.mixture_density import Mixture
from unmix.search.point import InitialPoint

SOLVED = 0.003  # a distance (MSS) at which nothing is left to find; not tuned


@dataclass(frozen=True)
class RankingSettings:
    """What makes an answer. "Not tuned": no trial is on record that chose the value."""

    # weight of ln distance in the MAP cost; not tuned
    distance_weight: float = 6.0
    # weight of ln waveform cost in it; not tuned
    error_weight: float = 2.0
    # waveform cost that counts as none, and above which it tells nothing; not tuned
    least_error: float = 1e-8
    most_error: float = 0.01
    # distance and probability that count as none; not tuned
    least: float = 1e-4
    # effects are idle if the distance is up to factor · distance + offset without them; not tuned
    idle: tuple[float, float] = (1.05, 0.01)
    # a distance up to factor · nearest + offset may end as the nearest; not tuned
    as_near: tuple[float, float] = (1.15, 0.01)
    # answers that are polished: usually, and at most if others are as near; not tuned
    polished: tuple[int, int] = (2, 4)


RANKING = RankingSettings()


@dataclass(frozen=True)
class Candidate:
    """A chain, where it came from, its real distance (MSS), and its waveform cost."""

    chain: Chain
    origin: InitialPoint
    distance: float
    error: float = 1.0

    @property
    def probability(self) -> float | None:
        """Of its effects in that order, by the network; None for a chain that the user gave."""
        log_prob = self.origin.log_prob
        return None if log_prob is None else math.exp(log_prob)

    @property
    def map_cost(self) -> float:
        """Negative log of distance, waveform cost and prior, weighted and added: the least is the
        maximum a posteriori (MAP) estimate of the order of effects."""
        s = RANKING
        cost = s.distance_weight * math.log(self.distance + s.least)
        cost += s.error_weight * math.log(min(self.error, s.most_error) + s.least_error)
        return cost - math.log(max(self.probability or 0.0, s.least))

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """{effect: posterior of its knobs}."""
        return self.origin.mixtures


def rank(
    candidates: Sequence[Candidate], before: float, settings: RankingSettings = RANKING
) -> list[Candidate]:
    """The answer, then the others, nearest first.

    The answer has the least MAP cost of those that are no farther than ``before`` or the nearest;
    but of chains with fewer effects that are as near (``idle``), the one with the fewest: an effect
    that does nothing must not stay because the network expects it.
    """
    near = sorted(candidates, key=lambda candidate: candidate.distance)
    allowed = [c for c in near if c.distance <= max(before, near[0].distance)]
    answer = min(allowed, key=lambda c: c.map_cost)
    factor, offset = settings.idle
    limit = factor * answer.distance + offset
    as_near = [c for c in allowed if c.distance <= limit]
    answer = min(as_near, key=lambda c: (len(c.chain.steps), c.map_cost))
    return [answer, *(c for c in near if c is not answer)]


def contenders(
    candidates: Sequence[Candidate], before: float, settings: RankingSettings = RANKING
) -> list[Candidate]:
    """The answers that are worth polishing: of those as near as the nearest, a few more; the
    nearest alone if it is near enough and no other comes close."""
    ranked = rank(candidates, before, settings)
    nearest = min(candidate.distance for candidate in candidates)
    factor, offset = settings.as_near
    near = [c for c in ranked if c is ranked[0] or c.distance <= factor * nearest + offset]
    at_least, at_most = settings.polished
    enough = nearest <= SOLVED or len(near) > at_least
    return near[:at_most] if enough else ranked[:at_least]
