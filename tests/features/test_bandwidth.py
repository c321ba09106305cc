"""The band limit against low-passes that were put on, and against what is none."""

import numpy as np
import pytest

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.data.degradation import degrade
from unmix.features import bandwidth

PROBE = signals.probe()
TRUE = Chain([("saturator", {"drive": 20.0}), ("eq", {"gain_1": 9.0, "gain_4": -9.0})])
NEAR = Chain([("saturator", {"drive": 16.0}), ("eq", {"gain_1": 7.0, "gain_4": -6.0})])
RECORDING, RENDER = (chain.render(PROBE, SAMPLE_RATE) for chain in (TRUE, NEAR))


@pytest.mark.parametrize("hz", [13_800.0, 14_300.0, 17_000.0, 19_800.0])
@pytest.mark.parametrize("gain", [0.3, 1.0])
def test_the_limit_is_found_though_the_knobs_are_off(hz, gain):
    recording = np.float32(gain) * bandwidth.low_pass(RECORDING, hz)
    assert bandwidth.find(recording, RENDER) == pytest.approx(hz, abs=200)
    assert bandwidth.find(recording, RECORDING) == pytest.approx(hz, abs=50)


@pytest.mark.parametrize("kind", ["gain", "latency", "rate", "noise"])
def test_nothing_else_is_taken_for_one(kind):
    for seed in range(4):
        worse = degrade(RECORDING, PROBE, np.random.default_rng(seed), kind)
        assert bandwidth.find(worse, RENDER) is None


def test_neither_are_effects_of_the_chain():
    dark = Chain([("eq", {"gain_4": -15.0, "freq_4": 12_000.0})]).render(PROBE, SAMPLE_RATE)
    for recording, render in ((dark, PROBE), (PROBE, dark), (RECORDING, PROBE), (PROBE, RENDER)):
        assert bandwidth.find(recording, render) is None


def test_silence_and_short_recordings_have_none():
    silence = np.zeros_like(PROBE)
    assert bandwidth.find(silence, silence) is None
    assert bandwidth.find(RECORDING[:4410], RENDER[:4410]) is None
