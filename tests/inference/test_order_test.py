"""Order test: the order that a recording is nearer to, by what knobs do not explain."""

import numpy as np
import pytest

from unmix.inference.order_test import order_score


@pytest.fixture
def parts():
    """Directions of 3 knobs and what another order adds to a render, in 500 numbers."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(3, 500)), rng.normal(size=(1, 500))


def test_a_recording_that_is_one_of_the_two(parts):
    knobs, other = parts
    assert order_score(np.zeros(500), other, knobs) == pytest.approx([-1.0], abs=1e-6)
    assert order_score(other[0], other, knobs) == pytest.approx([1.0], abs=1e-6)
    assert order_score(other[0] / 2, other, knobs) == pytest.approx([0.0], abs=1e-6)


def test_wrong_knobs_say_nothing(parts):
    knobs, other = parts
    off = np.array([30.0, -20.0, 40.0]) @ knobs
    assert order_score(off, other, knobs) == pytest.approx([-1.0], abs=1e-6)
    assert order_score(off + other[0], other, knobs) == pytest.approx([1.0], abs=1e-6)
    # where only the sizes of errors are compared, they are all that counts
    assert abs(order_score(off, other, np.zeros((1, 500)))[0]) < 0.2


def test_what_a_knob_could_have_done_is_no_order(parts):
    knobs, _ = parts
    other = 0.7 * knobs[:1]
    assert abs(order_score(other[0], other, knobs)[0]) < 0.2


def test_alike_knobs_are_one_direction(parts):
    knobs, other = parts
    twice = np.vstack([knobs, knobs[0] * 2, knobs[1] * 1e-6, np.zeros(500)])
    recording = other[0] + 5 * knobs[2]
    assert order_score(recording, other, twice) == pytest.approx(
        order_score(recording, other, knobs)
    )


def test_others_are_asked_apart(parts):
    knobs, other = parts
    both = np.vstack([other, -other])
    assert order_score(other[0], both, knobs) == pytest.approx([1.0, -1.0], abs=0.01)
