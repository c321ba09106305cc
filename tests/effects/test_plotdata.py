"""Axes of pictures: places, ticks, and what is refused."""

import numpy as np
import pytest

from unmix.effects.plotdata import FREQUENCY, Axis, response_db, tick_text
from unmix.errors import UnmixError


def texts(axis, count=6):
    return [text for _, text in axis.ticks(count)]


def test_ends_lie_at_0_and_1_and_decades_are_equally_far_apart():
    assert FREQUENCY.place(20.0) == 0 and FREQUENCY.place(20_000.0) == pytest.approx(1)
    assert np.diff(FREQUENCY.place(np.array([20.0, 200, 2_000, 20_000]))) == pytest.approx(
        [1 / 3] * 3
    )
    assert Axis("gain", "dB", -12, 12).place(6.0) == 0.75


def test_ticks_are_round_and_inside():
    assert texts(Axis("gain", "dB", -18, 18)) == ["−18", "−12", "−6", "0", "6", "12", "18"]
    assert texts(Axis("time", "s", 0, 4)) == ["0", "1", "2", "3", "4"]
    assert texts(FREQUENCY) == ["30", "100", "300", "1k", "3k", "10k"]
    assert texts(Axis("distance", "", 0.43, 0.85, log=True)) == ["0.5", "0.6", "0.7", "0.8"]
    assert tick_text(-1e-15) == "0" and tick_text(2_500, "Hz") == "2.5k"


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0)])
def test_an_axis_needs_a_range(ends):
    with pytest.raises(UnmixError, match="bad range"):
        Axis("time", "s", *ends)
    with pytest.raises(UnmixError, match="bad range"):
        Axis("frequency", "Hz", 0.0, 1.0, log=True)


def test_response_of_a_known_filter():
    """y = (x + x one sample later) / 2 has the magnitude cos(π f / rate)."""
    response = np.zeros(4_096)
    response[:2] = 0.5
    hz = np.array([100.0, 1_000.0, 11_025.0])
    expected = 20 * np.log10(np.cos(np.pi * hz / 44_100))
    assert response_db(response, 44_100, hz) == pytest.approx(expected, abs=1e-3)
