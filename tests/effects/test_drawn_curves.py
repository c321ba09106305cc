"""What the effects draw of themselves, against known physics."""

import numpy as np
import pytest

from unmix import effects
from unmix.effects.plotdata import Curve

RATE = 44_100
NAMES = effects.names()
SATURATOR, EQ, OTT, PHASER, REVERB = map(effects.get, NAMES[:5])


def noise(samples=22_050, peak=0.5):
    return np.random.default_rng(1).uniform(-peak, peak, samples).astype(np.float32)


def drawn(fx, heard=None, **settings):
    return fx.response_plots(fx.panel.complete(settings), heard, RATE)


def line(curve, label):
    return next(line for line in curve.lines if line.label == label)


@pytest.mark.parametrize("heard", [None, noise(), np.zeros(4_410, np.float32)])
@pytest.mark.parametrize("name", NAMES)
def test_whatever_an_effect_draws_is_whole_and_finite(name, heard):
    fx = effects.get(name)
    for seed in range(3):
        for curve in fx.response_plots(fx.sample(np.random.default_rng(seed)), heard, RATE):
            assert isinstance(curve, Curve) and curve.title and curve.x.label and curve.y.label
            assert curve.lines or curve.image
            for one in curve.lines:
                assert one.x.shape == one.y.shape and one.x.ndim == 1
                assert np.isfinite(one.x).all() and np.isfinite(one.y).all()
            if curve.image:
                assert curve.image.values.ndim == 2 and np.isfinite(curve.image.values).all()


def test_eq_bell_has_its_gain_at_its_frequency():
    (curve,) = drawn(EQ, freq_3=2_000, gain_3=9, q_3=2)
    whole = line(curve, "all bands")
    assert np.interp(2_000, whole.x, whole.y) == pytest.approx(9, abs=0.05)
    assert abs(np.interp([50, 19_000], whole.x, whole.y)).max() < 0.2


def test_eq_cut_takes_6_db_at_its_corner_and_12_db_per_octave_below():
    (curve,) = drawn(EQ, mode_1="low_cut", freq_1=200)
    whole = line(curve, "all bands")
    corner, low, lower = np.interp([200, 50, 25], whole.x, whole.y)
    assert corner == pytest.approx(-6.02, abs=0.1)
    assert low - lower == pytest.approx(12, abs=0.6)


def test_eq_bands_add_up_in_db():
    (curve,) = drawn(EQ, gain_1=6, gain_2=-9, gain_3=4, mode_4="high_cut")
    alone = sum(line(curve, f"band {band}").y for band in (1, 2, 3, 4))
    loud = alone > -40  # where the filters' rounding noise does not count
    assert np.abs(alone - line(curve, "all bands").y)[loud].max() < 0.05


def test_saturator_draws_its_formula_as_far_as_the_sound_reaches():
    (curve,) = drawn(SATURATOR, noise(peak=0.25), drive=20, output=-6, dry_wet=100)
    shape = line(curve, "this setting")
    assert shape.y == pytest.approx(10 ** (-6 / 20) * np.tanh(10 * shape.x), abs=1e-5)
    assert shape.x.max() == pytest.approx(0.25, abs=0.01)


def test_ott_gains_over_time_are_those_of_the_device():
    heard, settings = noise(), OTT.panel.complete({"amount": 70, "time": 30})
    blocks = OTT.blocks(heard, RATE, settings)
    summed = np.concatenate([(bands * 10 ** (gains / 20)).sum(0) for bands, gains in blocks])
    real = OTT.render(heard, RATE, settings)
    assert np.square(summed - real).sum() < 1e-10 * np.square(real).sum()


@pytest.mark.parametrize(("band", "hz"), [("low", 20), ("mid", 470), ("high", 12_000)])
def test_ott_draws_the_gain_that_a_steady_tone_gets(band, hz):
    heard = 0.05 * np.sin(2 * np.pi * hz * np.arange(3 * RATE) / RATE).astype(np.float32)
    settings = OTT.panel.complete({"amount": 70})
    gains = OTT.response_plots(settings, heard, RATE)[0]
    drawn_db = line(gains, f"{band} band").y[-50:].mean()
    second = slice(-RATE // 2, None)
    ratio = np.square(OTT.render(heard, RATE, settings)[second]).mean()
    measured_db = 10 * np.log10(ratio / np.square(heard[second]).mean())
    assert drawn_db == pytest.approx(measured_db, abs=0.5)  # the other bands hear a little of it


def test_ott_lifts_and_presses_at_its_ratios():
    levels = drawn(OTT, amount=100, above_mid=-20, below_mid=-40)[-1]
    mid = line(levels, "mid band")
    low, lower, high, higher = np.interp([-60, -70, -12, -2], mid.x, mid.y)
    assert (low - lower) / 10 == pytest.approx(1 / 4.17, abs=1e-3)
    assert (higher - high) / 10 == pytest.approx(1 / 66.7, abs=1e-3)
    untouched = line(drawn(OTT, amount=0)[-1], "high band")
    assert untouched.y == pytest.approx(untouched.x)


def test_ott_draws_no_gains_over_time_of_a_sound_that_nobody_knows():
    assert [curve.timeline for curve in drawn(OTT)] == [False]
    assert [curve.timeline for curve in drawn(OTT, noise())] == [True, False]


def test_phaser_notches_lie_where_six_all_passes_turn_by_half_a_turn():
    """|1 + A⁶| / 2 of first-order all-passes: zero where tan(πf/rate) = tan(πc/rate) · tan(π/12),
    · 1 and · tan(5π/12)."""
    (curve,) = drawn(PHASER, depth=0, centre=900, feedback=0, dry_wet=50)
    hz, gain_db = curve.y.grid(len(curve.image.values)), curve.image.values[:, 0]
    corner, t = np.tan(np.pi * 900 / RATE), np.tan(np.pi * hz / RATE)
    turns = ((1 - 1j * t / corner) / (1 + 1j * t / corner)) ** 6
    expected_db = 20 * np.log10(np.abs(1 + turns) / 2 + 1e-8)
    loud = expected_db > -12
    assert np.abs(gain_db - expected_db)[loud].max() < 0.3
    for notch in RATE / np.pi * np.arctan(corner * np.tan(np.pi * np.array([1, 3, 5]) / 12)):
        near = np.abs(np.log2(hz / notch)) < 0.15
        assert hz[near][gain_db[near].argmin()] == pytest.approx(notch, rel=0.03)


def test_phaser_sweeps_with_its_rate_and_phase():
    heard = noise(RATE)
    (curve,) = drawn(PHASER, heard, rate=2, depth=60, phase=0, dry_wet=50)
    (sweep,) = curve.lines
    half = np.interp([0.1, 0.6], sweep.x, sweep.y)  # one turn apart
    assert half[0] == pytest.approx(half[1], rel=0.02)
    (late,) = drawn(PHASER, heard, rate=2, depth=60, phase=180, dry_wet=50)[0].lines
    assert np.interp(0.35, late.x, late.y) == pytest.approx(half[0], rel=0.02)


def test_reverb_decays_as_its_combs_do():
    """A comb of gain g and D samples falls by 60 dB in 3 · D / (rate · −log10 g) seconds. Of
    Freeverb's combs g is 0.7 + 0.28 · room size, and D lies between 1,116 and 1,617."""
    (curve,) = drawn(REVERB, room_size=50, damping=0)
    left = line(curve, "all")
    falls = np.interp([5, 25], -left.y, left.x)
    gain = 0.7 + 0.28 * 0.5
    shortest, longest = (3 * d / (RATE * -np.log10(gain)) for d in (1_116, 1_617))
    assert 0.9 * shortest < 3 * np.diff(falls)[0] < 1.1 * longest


def test_reverb_damping_shortens_the_treble():
    (curve,) = drawn(REVERB, room_size=60, damping=80)
    low, high = line(curve, "below 500 Hz"), line(curve, "above 4 kHz")
    assert np.interp(0.3, high.x, high.y) < np.interp(0.3, low.x, low.y) - 10


def test_a_lead_is_heard_and_not_shown():
    heard, lead = noise(RATE), RATE // 4
    (whole,), (late,) = (
        fx_curves[0].lines[:1]
        for fx_curves in (
            drawn(PHASER, heard, rate=2, depth=60),
            PHASER.response_plots(
                PHASER.panel.complete({"rate": 2, "depth": 60}), heard, RATE, lead
            ),
        )
    )
    there = np.interp(late.x + 0.25, whole.x, whole.y)
    assert np.abs(np.log(late.y / there)).max() < 0.02
    gains = OTT.response_plots(OTT.panel.complete({}), heard, RATE, lead)[0]
    assert gains.x.high == pytest.approx(0.75) and gains.lines[0].x.max() < 0.75
    blocks = OTT.blocks(heard, RATE, OTT.panel.complete({}))
    wanted = np.concatenate([gains_db for _, gains_db in blocks], 1)[0, lead]
    assert gains.lines[0].y[0] == pytest.approx(wanted)
    whole = OTT.response_plots(OTT.panel.complete({}), heard, RATE)[0]
    there = np.interp(gains.lines[0].x + 0.25, whole.lines[0].x, whole.lines[0].y)
    assert gains.lines[0].y == pytest.approx(there, abs=0.05)
