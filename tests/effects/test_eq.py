"""The measured response against R. Bristow-Johnson, "Audio EQ Cookbook", and against one-poles."""

import numpy as np
import pytest
from scipy.signal import freqz

from unmix import effects
from unmix.chain import Chain

EQ = effects.get("eq")
RATE = 44_100
IMPULSE = np.zeros(2**17, np.float32)  # 3 s: a bell at 30 Hz with q 10 has died by then
IMPULSE[4_096] = 1  # not at the edge: a resampler spreads it to both sides
SHAPES = [
    (1, "bell"),
    (1, "low_shelf"),
    (2, "bell"),
    (3, "bell"),
    (4, "bell"),
    (4, "high_shelf"),
]
GAINS_DB = (-15, -3, 6, 15)


def measured_db(settings, rate=RATE):
    """Frequencies in Hz from 20 Hz to 0.45 of the rate (20 kHz at most), magnitudes in dB."""
    spectrum = np.fft.rfft(EQ.render(IMPULSE, rate, settings).astype(np.float64))
    hz = np.fft.rfftfreq(IMPULSE.size, 1 / rate)
    heard = (hz >= 20) & (hz <= min(20_000, 0.45 * rate))
    return hz[heard], 20 * np.log10(np.abs(spectrum[heard]))


def cookbook_db(hz, shape, freq, gain, q, rate=RATE):
    a = 10 ** (gain / 40)
    w0 = 2 * np.pi * freq / rate
    cos, alpha = np.cos(w0), np.sin(w0) / (2 * q)
    if shape == "bell":
        numerator = [1 + alpha * a, -2 * cos, 1 - alpha * a]
        denominator = [1 + alpha / a, -2 * cos, 1 - alpha / a]
    else:
        s = 1 if shape == "low_shelf" else -1  # the high shelf mirrors the low one: cos -> -cos
        c, root = s * cos, 2 * np.sqrt(a) * alpha
        numerator = [
            a * ((a + 1) - (a - 1) * c + root),
            s * 2 * a * ((a - 1) - (a + 1) * c),
            a * ((a + 1) - (a - 1) * c - root),
        ]
        denominator = [
            (a + 1) + (a - 1) * c + root,
            s * -2 * ((a - 1) + (a + 1) * c),
            (a + 1) + (a - 1) * c - root,
        ]
    return 20 * np.log10(np.abs(freqz(numerator, denominator, hz, fs=rate)[1]))


def band_settings(band, shape, freq, gain, q):
    settings = {f"freq_{band}": freq, f"gain_{band}": gain, f"q_{band}": q}
    return settings | ({f"mode_{band}": shape} if band in (1, 4) else {})


def error_db(band, shape, freq, gain, q, rate=RATE):
    hz, db = measured_db(band_settings(band, shape, freq, gain, q), rate)
    return np.abs(db - cookbook_db(hz, shape, freq, gain, q, rate)).max()


def test_the_cookbook_here_is_right():
    """The yardstick itself: gains at the places where the cookbook's formulas give them."""
    ends = np.array([1e-3, RATE / 2 - 1e-3])
    np.testing.assert_allclose(cookbook_db(ends, "low_shelf", 500, 9, 0.7), [9, 0], atol=1e-3)
    np.testing.assert_allclose(cookbook_db(ends, "high_shelf", 500, 9, 0.7), [0, 9], atol=1e-3)
    corner = np.array([500.0])
    for shape, gain in (("low_shelf", 4.5), ("high_shelf", 4.5), ("bell", 9)):
        np.testing.assert_allclose(cookbook_db(corner, shape, 500, 9, 2**-0.5), gain, atol=1e-3)


@pytest.mark.parametrize("gain", GAINS_DB)
@pytest.mark.parametrize(("band", "shape"), SHAPES)
def test_bells_and_shelves_are_the_cookbooks(band, shape, gain):
    freq = next(k for k in EQ.knobs if k.name == f"freq_{band}")
    for place in (0, 0.5, 1):
        hz = max(120, freq.from_unit(place))
        for q in (0.3, 0.71, 3, 10):
            assert error_db(band, shape, hz, gain, q) < 0.1, (hz, q)


@pytest.mark.parametrize("gain", GAINS_DB)
@pytest.mark.parametrize("shape", ["bell", "low_shelf"])
def test_at_the_bottom_of_band_1(shape, gain):
    """Broad filters keep 0.1 dB. Narrow ones are off by the device's own 32-bit arithmetic."""
    for hz in (30, 50, 80):
        for q in (0.3, 0.71):
            assert error_db(1, shape, hz, gain, q) < 0.1, (hz, q)
        assert error_db(1, shape, hz, gain, 10) < 1, hz


@pytest.mark.parametrize("place", [0, 0.5, 1])
@pytest.mark.parametrize(("band", "shape"), [(1, "low_cut"), (4, "high_cut")])
def test_a_cut_is_two_first_order_filters(band, shape, place):
    """|H|² of one analogue first-order filter is 1 / (1 + w²), w by the bilinear transform."""
    freq = next(k for k in EQ.knobs if k.name == f"freq_{band}").from_unit(place)
    hz, db = measured_db({f"mode_{band}": shape, f"freq_{band}": freq})
    w = np.tan(np.pi * hz / RATE) / np.tan(np.pi * freq / RATE)
    expected = -20 * np.log10(1 + (w**2 if shape == "high_cut" else w**-2))
    np.testing.assert_allclose(db, expected, atol=0.1)


@pytest.mark.parametrize(("band", "shape"), [(1, "low_cut"), (4, "high_cut")])
def test_gain_and_q_do_nothing_to_a_cut(band, shape):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5_000).astype(np.float32)
    plain, turned = (
        EQ.render(noise, RATE, band_settings(band, shape, freq, gain, q))
        for freq, gain, q in ((100 * 80 ** (band == 4), 0, 0.71), (100 * 80 ** (band == 4), 15, 10))
    )
    np.testing.assert_array_equal(plain, turned)


def test_bands_add_up_in_db():
    settings = {}
    total = 0
    for band, shape, freq, gain, q in (
        (1, "low_shelf", 120, 6, 0.7),
        (2, "bell", 500, -9, 2),
        (3, "bell", 3_000, 12, 1),
        (4, "high_shelf", 8_000, -6, 0.7),
    ):
        settings |= band_settings(band, shape, freq, gain, q)
        total = total + measured_db(band_settings(band, shape, freq, gain, q))[1]
    np.testing.assert_allclose(measured_db(settings)[1], total, atol=0.05)


@pytest.mark.parametrize("rate", [48_000, 96_000, 192_000])
def test_frequencies_are_right_at_other_sample_rates(rate):
    assert error_db(3, "bell", 2_000, 12, 1, rate) < 0.1


@pytest.mark.parametrize("rate", [8_000, 22_050])
def test_low_sample_rates_hear_the_equaliser_of_44_100_hz(rate):
    hz, db = measured_db(band_settings(2, "bell", 1_000, 12, 1), rate)
    heard = hz < 0.4 * rate
    expected = cookbook_db(hz, "bell", 1_000, 12, 1)
    np.testing.assert_allclose(db[heard], expected[heard], atol=0.1)


def test_swapping_with_another_linear_effect_cannot_be_measured():
    """Away from the lowest bells, whose 32-bit arithmetic is the louder error."""
    quiet_band_1 = {"mode_1": "bell", "gain_1": 0, "freq_1": 200, "freq_2": 600}
    for seed in range(15):
        rng = np.random.default_rng(seed)
        eq = ("eq", EQ.sample(rng) | quiet_band_1)
        reverb = ("reverb", effects.get("reverb").sample(rng))
        noise = rng.uniform(-0.5, 0.5, 22_050).astype(np.float32)
        one, other = (Chain(c).render(noise, RATE) for c in ([eq, reverb], [reverb, eq]))
        error = np.square(one - other, dtype=np.float64).sum()
        assert 10 * np.log10(error / np.square(one, dtype=np.float64).sum()) < -90
