"""Which of the answers of a search wins, and which are polished."""

import math

import pytest

from unmix import effects
from unmix.chain import Chain
from unmix.search.point import InitialPoint
from unmix.search.ranking import RANKING, SOLVED, Candidate, contenders, rank


@pytest.mark.parametrize(
    ("distances", "before", "answer"),
    [
        ((0.100, 0.105), 0.5, 1),  # as near, and more probable
        ((0.100, 0.200), 0.5, 0),  # clearly farther
        ((0.000, 0.002), 0.5, 0),  # nothing is left to find
        ((0.100, 0.105), 0.102, 0),  # farther than the prediction was
    ],
)
def test_of_chains_as_near_the_more_probable_is_the_answer(distances, before, answer, two_effects):
    points = [
        InitialPoint(Chain([(n, {})]), p) for n, p in zip(two_effects, (-3.0, -0.1), strict=True)
    ]
    candidates = [Candidate(s.chain, s, d) for s, d in zip(points, distances, strict=True)]
    assert rank(candidates, before)[0] is candidates[answer]


@pytest.mark.parametrize(
    ("errors", "answer"),
    [
        ((1e-4, 1e-6), 1),
        ((1e-6, 0.9e-6), 0),  # as near, and less probable
        ((0.9, 0.1), 0),  # so far off it tells nothing
    ],
)
def test_of_chains_as_near_the_waveform_tells(errors, answer, two_effects):
    chains = [Chain([(name, {})]) for name in two_effects]
    candidates = [
        Candidate(chain, InitialPoint(chain, p), 0.002, error)
        for chain, p, error in zip(chains, (-0.1, -3.0), errors, strict=True)
    ]
    assert rank(candidates, 0.5)[0] is candidates[answer]


@pytest.mark.parametrize(
    ("distances", "answer"),
    [
        ((0.030, 0.045), 1),  # what nobody expects makes up for what is not found yet
        ((0.003, 0.045), 0),
    ],
)
def test_an_effect_more_must_bring_it_much_nearer(distances, answer, two_effects):
    chains = [Chain([(n, {}) for n in two_effects]), Chain([(two_effects[0], {})])]
    points = [InitialPoint(c, p) for c, p in zip(chains, (-6.0, -0.6), strict=True)]
    candidates = [Candidate(s.chain, s, d) for s, d in zip(points, distances, strict=True)]
    assert rank(candidates, 1.0)[0] is candidates[answer]


def test_an_effect_that_does_nothing_goes_even_where_it_is_expected(two_effects):
    chains = [Chain([(n, {}) for n in two_effects]), Chain([(two_effects[0], {})])]
    points = [InitialPoint(c, p) for c, p in zip(chains, (-0.1, -math.inf), strict=True)]
    candidates = [Candidate(s.chain, s, d) for s, d in zip(points, (0.2, 0.201), strict=True)]
    assert rank(candidates, 1.0)[0] is candidates[1]


def test_the_nearest_is_polished_alone_where_nothing_else_comes_near():
    def answers(*distances):
        names = effects.names()
        chains = [Chain([(names[i], {})]) for i in range(len(distances))]
        return [Candidate(c, InitialPoint(c), d) for c, d in zip(chains, distances, strict=True)]

    at_least, at_most = RANKING.polished
    for distances, count in (
        ((0.5 * SOLVED, 0.2, 0.3), 1),
        ((0.5 * SOLVED, 0.6 * SOLVED, 0.3), 2),
        ((0.3, 0.6, 0.7), at_least),
        ((0.30, 0.31, 0.32, 0.33), at_most),
        ((0.3,), 1),
    ):
        candidates = answers(*distances)
        polished = contenders(candidates, 1.0)
        assert len(polished) == count and polished[0] is rank(candidates, 1.0)[0]
