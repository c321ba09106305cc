"""OTT against a plain, slow version written from the description, and against known gains."""

import math
import time

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.signal import butter, lfilter

from unmix import effects

OTT = effects.get("ott")
RATE = 44_100
BANDS = ("low", "mid", "high")
ATTACK_MS = {"low": 47.8, "mid": 22.4, "high": 13.5}
RELEASE_MS = {"low": 282, "mid": 282, "high": 132}
RATIO_DOWN = {"low": 66.7, "mid": 66.7, "high": math.inf}
OUTPUT_DB = {"low": 10.3, "mid": 5.7, "high": 10.3}
INPUT_DB, RATIO_UP, MAX_UP_DB, KNEE_DB = 5.2, 4.17, 36, 3


# the slow version


def split(x, rate):
    """Linkwitz-Riley, fourth order: a second-order Butterworth filter twice, both ways."""

    def twice(signal, hz, kind):
        b, a = butter(2, hz, kind, fs=rate)
        return lfilter(b, a, lfilter(b, a, signal))

    low, rest = twice(x, 88.3, "low"), twice(x, 88.3, "high")
    low = twice(low, 2_500, "low") + twice(low, 2_500, "high")  # the second crossover's all-pass
    return {"low": low, "mid": twice(rest, 2_500, "low"), "high": twice(rest, 2_500, "high")}


def soft(over_db):
    """0 below the knee, ``over_db`` above it, and the parabola that joins both smoothly."""
    if abs(over_db) < KNEE_DB / 2:
        return (over_db + KNEE_DB / 2) ** 2 / (2 * KNEE_DB)
    return max(over_db, 0)


def law_db(band, level_db, settings):
    above = settings[f"above_{band}"]
    below = min(settings[f"below_{band}"], above)
    down = soft(level_db - above) * (1 - 1 / RATIO_DOWN[band])
    up = soft(below - level_db) * (1 - 1 / RATIO_UP)
    return min(up, MAX_UP_DB) - down


def slow_ott(x, rate, settings):
    y = np.zeros(x.size)
    for band, signal in split(x.astype(np.float64), rate).items():
        env = 0.0
        for n, sample in enumerate(signal.tolist()):
            p = (sample * 10 ** (INPUT_DB / 20)) ** 2
            tau = (ATTACK_MS if p > env else RELEASE_MS)[band] / 1000
            c = math.exp(-1 / (rate * tau * settings["time"] / 100))
            env = c * env + (1 - c) * p
            gain_db = INPUT_DB + OUTPUT_DB[band]
            gain_db += law_db(band, 10 * math.log10(env + 1e-12), settings)
            y[n] += sample * 10 ** (settings["amount"] / 100 * gain_db / 20)
    return y


def changing_signal(rate, seed):
    """Loud and quiet noise, a low tone, silence: every branch of the law."""
    rng = np.random.default_rng(seed)
    samples = round(0.03 * rate) * 4
    noise = rng.uniform(-1, 1, samples) * np.repeat([1, 0.001, 0.2, 0], samples // 4)
    tone = 0.3 * np.sin(2 * np.pi * 50 * np.arange(samples) / rate)
    return (noise + tone * (np.arange(samples) < samples // 2)).astype(np.float32)


@pytest.mark.parametrize("rate", [44_100, 22_050, 96_000])
def test_against_the_slow_version_at_stock_settings(rate):
    settings = OTT.panel.complete({})
    x = changing_signal(rate, 0)
    expected = slow_ott(x, rate, settings)
    np.testing.assert_allclose(OTT.render(x, rate, settings), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_against_the_slow_version_at_random_settings(seed):
    settings = OTT.sample(np.random.default_rng(seed))
    x = changing_signal(RATE, seed)
    expected = slow_ott(x, RATE, settings)
    np.testing.assert_allclose(OTT.render(x, RATE, settings), expected, atol=1e-5, rtol=1e-4)


def test_below_over_above_uses_above_for_both():
    crossed = {f"above_{band}": -35 for band in BANDS} | {f"below_{band}": -12 for band in BANDS}
    level = {f"above_{band}": -35 for band in BANDS} | {f"below_{band}": -35 for band in BANDS}
    x = changing_signal(RATE, 1)
    np.testing.assert_array_equal(OTT.render(x, RATE, crossed), OTT.render(x, RATE, level))


# known gains


def settled_level_db(band, peak):
    """Level that the detector settles at for a sine of this peak: what comes equals what goes.

    Rises are faster than falls, so it lies above the mean square, at the e that solves
    mean(max(p − e, 0)) / attack = mean(max(e − p, 0)) / release over one period.
    """
    p = (peak * 10 ** (INPUT_DB / 20) * np.sin(np.linspace(0, np.pi, 20_001))) ** 2

    def flow(e):
        rise = np.maximum(p - e, 0).mean() / ATTACK_MS[band]
        return rise - np.maximum(e - p, 0).mean() / RELEASE_MS[band]

    return 10 * math.log10(brentq(flow, 0, p.max()) + 1e-12)


def share(band, hz):
    """Magnitude of a band's filter at ``hz``; a 4th-order slope is 1 / (1 + (f/fc)^4)."""
    w = [math.tan(math.pi * f / RATE) for f in (hz, 88.3, 2_500)]
    low, high = (1 / (1 + (w[0] / w[i]) ** 4) for i in (1, 2))
    return {"low": low, "mid": (1 - low) * high, "high": (1 - low) * (1 - high)}[band]


@pytest.mark.parametrize(("band", "hz"), [("low", 50), ("mid", 700), ("high", 10_000)])
@pytest.mark.parametrize(
    ("peak_db", "what"),
    [
        (-6, "pressed down"),
        (-24, "at the upper threshold"),
        (-34, "left alone"),
        (-60, "lifted"),
        (-110, "lifted by no more than 36 dB"),
    ],
)
def test_static_gain_of_a_steady_sine(band, hz, peak_db, what):
    settings = OTT.panel.complete({"time": 300})  # slow: hardly any ripple at 50 Hz
    peak = 10 ** (peak_db / 20)
    sine = peak * np.sin(2 * np.pi * hz * np.arange(10 * RATE) / RATE)
    tail = OTT.render(sine, RATE, settings)[-RATE:].astype(np.float64)
    gain_db = 10 * math.log10(2 * np.mean(tail**2) / peak**2)
    expected = 0.0
    for b in BANDS:
        law = law_db(b, settled_level_db(b, peak * share(b, hz)), settings)
        expected += share(b, hz) * 10 ** ((INPUT_DB + law + OUTPUT_DB[b]) / 20)
    assert gain_db == pytest.approx(20 * math.log10(expected), abs=0.2), what


def test_the_gain_of_a_quiet_sine_by_hand():
    """700 Hz at −100 dB: the mid band is lifted by 36 dB, 5.2 dB in and 5.7 dB out: 46.9 dB."""
    sine = 1e-5 * np.sin(2 * np.pi * 700 * np.arange(4 * RATE) / RATE)
    tail = OTT.render(sine, RATE, {})[-RATE:]
    assert 20 * np.log10(np.abs(tail).max() / 1e-5) == pytest.approx(46.9, abs=0.1)


def test_half_the_amount_is_half_the_gain_in_db():
    sine = 1e-5 * np.sin(2 * np.pi * 700 * np.arange(2 * RATE) / RATE)
    tail = OTT.render(sine, RATE, {"amount": 50})[-RATE:]
    assert 20 * np.log10(np.abs(tail).max() / 1e-5) == pytest.approx(46.9 / 2, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_flat_at_amount_0(rate):
    impulse = np.zeros(2**17, np.float32)
    impulse[0] = 1
    response = OTT.render(impulse, rate, {"amount": 0}).astype(np.float64)
    level_db = 20 * np.log10(np.abs(np.fft.rfft(response)))
    assert np.abs(level_db).max() < 0.01
    assert np.abs(response[0]) < 0.99  # flat, and still not the input: an all-pass


def test_attack_time():
    """A constant in the low band: after one time constant the level is at 1 − 1/e, 2.0 dB short.

    The slowest attack, 478 ms, makes the crossover's own rise of some 10 ms small beside it.
    """
    constant = np.full(10 * RATE, 0.5, np.float32)
    gain_db = 20 * np.log10(OTT.render(constant, RATE, {"time": 1_000})[1_000:])
    after = round(0.478 * RATE) - 1_000
    short_db = -10 * math.log10(1 - math.exp(-1))
    assert gain_db[after] - gain_db[-1] == pytest.approx((1 - 1 / 66.7) * short_db, abs=0.05)


@pytest.mark.parametrize("time_percent", [50, 100, 200])
def test_release_time(time_percent):
    """After a drop the level falls by 10·log10(e) dB in each time constant, and the gain rises.

    At a quarter of the gain, so that what leaks into the other bands stays far below.
    """
    loud, quiet = RATE, round(time_percent / 100 * RATE)
    envelope = np.concatenate([np.ones(loud), np.full(quiet, 10 ** (-30 / 20))])
    sine = np.sin(2 * np.pi * 470 * np.arange(envelope.size) / RATE)
    y = OTT.render(envelope * sine, RATE, {"time": time_percent, "amount": 25})[loud:]
    window = 10 * RATE // 470  # ten periods
    peaks = np.abs(y[: y.size // window * window]).reshape(-1, window).max(1)
    first, last = (round(share * peaks.size) for share in (0.1, 0.7))
    seconds = (last - first) * window / RATE
    rise_db = 20 * np.log10(peaks[last] / peaks[first])
    expected = 0.25 * (1 - 1 / 66.7) * 10 * math.log10(math.e) / (0.282 * time_percent / 100)
    assert rise_db / seconds == pytest.approx(expected, rel=0.03)


# cost


def test_250_times_real_time_on_one_core():
    """Best of several, in processor time: other programs on the machine do not count."""
    seconds = 10
    x = np.random.default_rng(0).uniform(-0.5, 0.5, seconds * RATE).astype(np.float32)
    OTT.render(x[:100], RATE, {})  # compiles

    def cost_s():
        start = time.process_time()
        OTT.render(x, RATE, {})
        return time.process_time() - start

    assert seconds / min(cost_s() for _ in range(8)) >= 250
