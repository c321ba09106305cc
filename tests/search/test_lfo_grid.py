"""Settings of an LFO from how near held positions come, on distances made by formula."""

import numpy as np
import pytest

from unmix import effects
from unmix.audio import signals
from unmix.chain import Chain
from unmix.search import lfo_grid

PHASER = effects.get("phaser")
FRAMES = 173
SECONDS = np.arange(FRAMES) * lfo_grid.PICTURE[1] / 44_100


def distances(settings, lead_s=0.0):
    """As if each frame were the nearer the nearer it is held to where the LFO stands."""
    stands = PHASER.position(settings, SECONDS + lead_s)
    return np.minimum(np.abs(lfo_grid.POSITIONS[:, None] - stands), 0.2)


@pytest.mark.parametrize("lead_s", [0.0, 1.3])
@pytest.mark.parametrize(
    ("rate", "depth", "centre", "phase"),
    [(0.07, 80, 700, 40), (0.5, 45, 2_000, 300), (2.13, 60, 1_200, 167), (4.6, 90, 900, 12)],
)
def test_the_knobs_of_an_lfo_are_read_off(rate, depth, centre, phase, lead_s):
    true = {"rate": rate, "depth": depth, "centre": centre, "phase": phase}
    found = lfo_grid.search_grid(PHASER, distances(true, lead_s), lead_s)
    stands = [PHASER.position(values, SECONDS + lead_s) for values in found]
    error = min(np.abs(x - PHASER.position(true, SECONDS + lead_s)).mean() for x in stands)
    assert error < 0.02  # of the LFO's range
    assert 1 < len(found) <= lfo_grid.ANSWERS


def test_what_rings_on_does_not_count_as_sounding_at_once():
    burst = np.zeros(88_200, np.float32)
    burst[:22_050] = signals.fixed("noise")[:22_050]
    reverb = Chain([("reverb", {"room_size": 80.0, "damping": 0.0, "dry_wet": 50.0})])
    shares = lfo_grid.direct_share(burst, reverb)
    early, late = shares[:, :3], shares[:, 30:60]
    assert early.mean() > 0.9 and late.mean() < 0.05
    assert lfo_grid.direct_share(burst, Chain())[:, 2:20].mean() > 0.98
    at_time = lfo_grid.direct_share(np.pad(burst, (9_000, 0)), reverb, lead=9_000)
    np.testing.assert_allclose(at_time, shares, atol=1e-3)


def test_another_rate_goes_the_same_way_for_a_part_of_a_turn():
    slow = PHASER.panel.complete({"rate": 0.08, "depth": 50, "centre": 900, "phase": 100})
    seconds = np.linspace(0.5, 4, 50)
    same, other = lfo_grid.equivalent_lfo(PHASER, slow, seconds, [0.08, 0.12])
    assert same == pytest.approx({name: slow[name] for name in same}, rel=1e-3)
    assert other["rate"] == 0.12
    way, near = PHASER.position(slow, seconds), PHASER.position(other, seconds)
    assert np.abs(near - way).max() < 0.05 * np.ptp(way)
    assert np.abs(PHASER.position(slow | {"rate": 0.12}, seconds) - way).max() > 0.3 * np.ptp(way)
