"""Laplace intervals: they are narrow where the recording tells a knob, wide where it does not."""

import numpy as np
import pytest

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.search.laplace import laplace_intervals, laplace_unit_intervals
from unmix.search.point import InitialPoint

PROBE = signals.probe()


def judged(true, noise=0.0):
    wet = true.render(PROBE, SAMPLE_RATE)
    hiss = np.random.default_rng(0).standard_normal(wet.size)
    return Judge((wet + noise * hiss).astype(np.float32), PROBE)


def width(found, effect, knob):
    row = [k.name for k in effects.get(effect).knobs].index(knob)
    low, high = found[effect][row]
    return high - low


def test_a_gain_of_zero_leaves_its_frequency_open():
    true = Chain([("eq", {"gain_2": 9.0, "gain_3": 0.0})])
    found = laplace_unit_intervals(judged(true), InitialPoint(true))
    assert width(found, "eq", "freq_2") < 0.02
    assert width(found, "eq", "freq_3") > 0.4


def test_noise_widens_the_intervals():
    true = Chain([("reverb", {"room_size": 50.0})])
    clean, noisy = (
        laplace_unit_intervals(judged(true, level), InitialPoint(true)) for level in (0.0, 0.003)
    )
    for knob in ("room_size", "damping", "dry_wet"):
        assert width(noisy, "reverb", knob) > 2 * width(clean, "reverb", knob)


def test_units_and_angles():
    true = Chain([("phaser", {"phase": 1.0})])
    low, high = laplace_intervals(judged(true, 0.01), InitialPoint(true))["phaser"]["phase"]
    assert low > 180 > high >= 0  # through 0
    assert laplace_intervals(judged(Chain()), InitialPoint(Chain())) == {}
    low, high = laplace_intervals(judged(true), InitialPoint(true))["phaser"]["rate"]
    assert low <= dict(true.steps)["phaser"]["rate"] <= high
    assert high / low == pytest.approx(1, abs=0.05)
