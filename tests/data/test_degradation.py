"""Degradations against what they claim to do."""

import numpy as np
import pytest

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.data.degradation import BAND_LIMIT_HZ, GAIN_DB, KINDS, NOISE_DB, degrade
from unmix.dsp.losses import si_sdr_db

PROBE = signals.probe()
NOISE = signals.fixed("noise")


def worse(kind, seed=0, recording=NOISE):
    return degrade(recording, recording, np.random.default_rng(seed), kind)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_shape_type_and_randomness(kind):
    for seed in range(4):
        y = worse(kind, seed)
        assert y.shape == NOISE.shape and y.dtype == np.float32 and np.isfinite(y).all()
        assert np.array_equal(y, worse(kind, seed))


def test_gain_is_a_gain_within_its_range():
    ratios = [20 * np.log10(worse("gain", seed)[7] / NOISE[7]) for seed in range(40)]
    assert -GAIN_DB <= min(ratios) < -6 and 6 < max(ratios) <= GAIN_DB
    assert np.allclose(worse("gain") / NOISE, worse("gain")[7] / NOISE[7], rtol=1e-4)


def test_noise_floor_lies_where_it_should():
    levels = [-si_sdr_db(worse("noise", seed), NOISE) for seed in range(20)]
    assert all(-NOISE_DB[1] - 0.5 <= level <= -NOISE_DB[0] + 0.5 for level in levels)
    assert max(levels) - min(levels) > 20


def test_band_limit_takes_the_top_and_leaves_the_rest():
    spectra = [np.abs(np.fft.rfft(x)) ** 2 for x in (NOISE, worse("band"))]
    freqs = np.fft.rfftfreq(NOISE.size, 1 / SAMPLE_RATE)
    low, top = (freqs < 0.8 * BAND_LIMIT_HZ[0]), freqs > 21_500
    assert abs(10 * np.log10(spectra[1][low].sum() / spectra[0][low].sum())) < 0.1
    assert 10 * np.log10(spectra[1][top].sum() / spectra[0][top].sum()) < -10


def test_latency_is_taken_out_again():
    assert np.allclose(worse("latency", recording=PROBE), PROBE)


def test_rate_changes_little():
    assert si_sdr_db(worse("rate", recording=PROBE), PROBE) > 15  # white noise to 22 kHz
