"""Edits of a chain."""

import numpy as np

from unmix import effects
from unmix.search import neighbourhood

A, B, C = ("a", 1), ("b", 2), ("c", 3)


def test_each_effect_is_left_out():
    assert neighbourhood.left_out([A, B, C]) == [[B, C], [A, C], [A, B]]
    assert neighbourhood.left_out([]) == []


def test_each_effect_is_moved_everywhere():
    found = {tuple(steps) for steps in neighbourhood.moved([A, B, C])}
    assert found == {(A, B, C), (B, A, C), (B, C, A), (A, C, B), (C, A, B)}
    assert neighbourhood.moved([A]) == [[A]] and neighbourhood.moved([]) == []


def test_each_two_neighbours_are_swapped():
    assert neighbourhood.swapped([A, B, C]) == [[B, A, C], [A, C, B]]
    assert neighbourhood.swapped([A]) == neighbourhood.swapped([]) == []


def test_every_other_effect_is_put_in_everywhere():
    names = effects.names()
    steps = [(name, {}) for name in names[:2]]
    found = list(neighbourhood.put_in(steps, np.random.default_rng(0), names))
    assert len(found) == 3 * (len(names) - 2)
    for group in found:
        orders = {tuple(name for name, _ in chain) for chain in group}
        assert len(orders) == 1 and len(group) == neighbourhood.DRAWN
        assert len({str(chain) for chain in group}) == neighbourhood.DRAWN
    steps = [(name, {}) for name in names]
    assert list(neighbourhood.put_in(steps, np.random.default_rng(0), names)) == []
