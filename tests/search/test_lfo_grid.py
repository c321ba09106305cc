"""LFO settings by grid search, on distances made by formula."""

import numpy as np
import pytest

from unmix import effects
from unmix.audio import signals
from unmix.chain import Chain
from unmix.search import lfo_grid

PHASER = effects.get("phaser")
FRAMES = 173
SECONDS = np.arange(FRAMES) * lfo_grid.SPECTROGRAM[1] / 44_100


def distances(settings, lead_s=0.0):
    """Of each frame, smaller the nearer the frozen position is to the LFO's."""
    true = PHASER.position(settings, SECONDS + lead_s)
    return np.minimum(np.abs(lfo_grid.POSITIONS[:, None] - true), 0.2)


@pytest.mark.parametrize("lead_s", [0.0, 1.3])
@pytest.mark.parametrize(
    ("rate", "depth", "centre", "phase"),
    [(0.07, 80, 700, 40), (0.5, 45, 2_000, 300), (2.13, 60, 1_200, 167), (4.6, 90, 900, 12)],
)
def test_the_knobs_of_an_lfo_are_read_off(rate, depth, centre, phase, lead_s):
    true = {"rate": rate, "depth": depth, "centre": centre, "phase": phase}
    found = lfo_grid.search_grid(PHASER, distances(true, lead_s), lead_s)
    courses = [PHASER.position(values, SECONDS + lead_s) for values in found]
    error = min(np.abs(x - PHASER.position(true, SECONDS + lead_s)).mean() for x in courses)
    assert error < 0.02  # of the LFO's range
    assert 1 < len(found) <= lfo_grid.GRID.answers


def test_a_tail_is_not_direct_sound():
    burst = np.zeros(88_200, np.float32)
    burst[:22_050] = signals.fixed("noise")[:22_050]
    reverb = Chain([("reverb", {"room_size": 80.0, "damping": 0.0, "dry_wet": 50.0})])
    shares = lfo_grid.direct_share(burst, reverb)
    burst_part, tail = shares[:, :3], shares[:, 30:60]
    assert burst_part.mean() > 0.9 and tail.mean() < 0.05
    assert lfo_grid.direct_share(burst, Chain())[:, 2:20].mean() > 0.98
    with_lead = lfo_grid.direct_share(np.pad(burst, (9_000, 0)), reverb, lead=9_000)
    np.testing.assert_allclose(with_lead, shares, atol=1e-3)


def test_another_rate_has_the_same_course_for_part_of_a_period():
    slow = PHASER.panel.complete({"rate": 0.08, "depth": 50, "centre": 900, "phase": 100})
    seconds = np.linspace(0.5, 4, 50)
    same, other = lfo_grid.equivalent_lfo(PHASER, slow, seconds, [0.08, 0.12])
    assert same == pytest.approx({name: slow[name] for name in same}, rel=1e-3)
    assert other["rate"] == 0.12
    course, near = PHASER.position(slow, seconds), PHASER.position(other, seconds)
    assert np.abs(near - course).max() < 0.05 * np.ptp(course)
    assert np.abs(PHASER.position(slow | {"rate": 0.12}, seconds) - course).max() > 0.3 * np.ptp(
        course
    )
