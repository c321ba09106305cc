"""Amplitudes of signals whose distributions are known."""

import numpy as np
import pytest
from scipy import stats

from unmix.features.amplitude_histogram import (
    AMPLITUDES,
    BINS,
    FLOOR,
    FRAME,
    GROUPS,
    NEAR_PEAK,
    ORDERS,
    QUANTILES,
    WHOLE_BINS,
    WHOLE_FLOOR,
    amplitude_histogram,
    heights,
)

SIZES = (*(GROUPS * (*(ORDERS * (QUANTILES,)), BINS, 1)), WHOLE_BINS)
OF_GROUP = ORDERS + 2
NOISE = np.random.default_rng(0).standard_normal(172 * FRAME).astype(np.float32)


def parts(audio):
    """What is found of each group — quantiles by order, shares, slope —, and of the whole."""
    found = np.split(np.exp(amplitude_histogram(audio).astype(float)), np.cumsum(SIZES)[:-1])
    groups = [
        [part - FLOOR for part in found[OF_GROUP * g : OF_GROUP * (g + 1)]] for g in range(GROUPS)
    ]
    return groups, found[-1] - WHOLE_FLOOR


def test_quantiles_of_noise_are_those_of_the_normal_distribution():
    groups, whole = parts(NOISE)
    inside = slice(1, -1)  # the least and the greatest of a frame vary
    expected = stats.halfnorm.ppf(np.linspace(0, 1, QUANTILES)[inside])
    for group in groups:
        for quantiles in group[:ORDERS]:  # differences of noise are normal, too
            assert np.abs(quantiles[inside] - expected).max() < 0.03
        assert group[ORDERS].sum() == pytest.approx(1, abs=1e-4)
    edges = np.abs(NOISE).max() * np.arange(WHOLE_BINS + 1) / WHOLE_BINS
    assert np.abs(whole - np.diff(stats.halfnorm.cdf(edges))).max() < 0.003


def test_heights_count_samples_and_measure_the_way_to_the_peak():
    frame = np.array([[0.0, 0.5, -1.0, -0.95, 0.3, 1.0, 0.0, 0.0]], np.float32)
    shares, slopes = heights(frame, 4)
    assert np.allclose(shares[0], np.array([3, 1, 1, 3]) / 8)
    assert slopes[0] == pytest.approx((1.5 + 0.05 + 0.7) / 3)
    assert NEAR_PEAK < 0.95


def test_clipping_and_folding_show_where_a_filter_behind_them_blurs():
    t = np.arange(4 * 44_100) / 44_100
    tone = np.sin(2 * np.pi * 110 * t).astype(np.float32) * (1.2 + np.sin(2 * np.pi * t)) / 2.2
    drive = 4 * tone.astype(np.float32)
    clipped, folded = np.clip(drive, -1, 1), np.sin(np.pi / 2 * drive)
    smooth = np.convolve(clipped, np.hanning(64) / np.hanning(64).sum(), "same").astype(np.float32)

    def at_top(audio):
        return parts(audio)[0][0][ORDERS][-1]

    def corners(audio):
        return parts(audio)[0][0][2][-1]

    assert at_top(clipped) > 2 * at_top(tone)
    assert corners(clipped) > 5 * corners(smooth)
    assert np.abs(amplitude_histogram(folded) - amplitude_histogram(clipped)).max() > 1


def test_level_and_sign_change_nothing():
    assert np.allclose(amplitude_histogram(NOISE), amplitude_histogram(-0.01 * NOISE), atol=1e-3)


def test_groups_are_by_loudness_and_leave_out_silence():
    loud, quiet = NOISE.copy(), np.sign(NOISE)  # a square wave has no tails
    steps = np.where(np.arange(NOISE.size) < NOISE.size // 2, 1.0, 0.1)
    groups, _ = parts((np.where(steps == 1, loud, quiet) * steps).astype(np.float32))
    assert groups[0][0][-1] > 2.5 and groups[-1][0][-1] == pytest.approx(1, abs=0.01)
    padded = np.concatenate([NOISE, np.zeros(100 * FRAME, np.float32)])
    until = sum(SIZES[: OF_GROUP * GROUPS])
    assert np.array_equal(amplitude_histogram(padded)[:until], amplitude_histogram(NOISE)[:until])


@pytest.mark.parametrize("samples", [FRAME, 3 * FRAME, 10 * FRAME + 1])
def test_short_signals_and_silence_are_finite(samples):
    for audio in (NOISE[:samples], np.zeros(samples, np.float32)):
        found = amplitude_histogram(audio)
        assert found.shape == (AMPLITUDES,) and found.dtype == np.float32
        assert np.isfinite(found).all()
    assert GROUPS > 3 and BINS > 1
