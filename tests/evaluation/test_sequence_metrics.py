"""Reported figures against values worked out by hand."""

import numpy as np

from unmix.evaluation.sequence_metrics import alignment, edit_distance


def test_alignment_by_hand():
    assert alignment("abc", "abc") == [("a", "a"), ("b", "b"), ("c", "c")]
    assert alignment("abc", "ac") == [("a", "a"), ("b", None), ("c", "c")]
    assert alignment("ac", "axc") == [("a", "a"), (None, "x"), ("c", "c")]
    assert alignment("abc", "axc") == [("a", "a"), ("b", "x"), ("c", "c")]
    assert alignment("", "ab") == [(None, "a"), (None, "b")]


def test_alignment_costs_the_edit_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (tuple(rng.integers(0, 4, rng.integers(0, 6))) for _ in range(2))
        pairs = alignment(a, b)
        assert sum(x != y for x, y in pairs) == edit_distance(a, b)
        assert tuple(x for x, _ in pairs if x is not None) == a
        assert tuple(y for _, y in pairs if y is not None) == b
