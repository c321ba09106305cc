import numpy as np
import pytest

from unmix import effects

PHASER = effects.get("phaser")
RATE = 44_100
SIZE = 2**15
HZ = np.fft.rfftfreq(SIZE, 1 / RATE)
HEARD = (HZ > 20) & (HZ < 20_000)


def noise(samples=22_050):
    return np.random.default_rng(1).uniform(-0.5, 0.5, samples).astype(np.float32)


def response(settings):
    impulse = np.zeros(SIZE, np.float32)
    impulse[0] = 1
    return np.fft.rfft(PHASER.render(impulse, RATE, settings).astype(np.float64))[HEARD]


def six_all_passes(centre):
    """First-order all-pass (a + 1/z) / (1 + a/z), a = (t − 1) / (t + 1), t = tan(π fc / fs)."""
    t = np.tan(np.pi * centre / RATE)
    a = (t - 1) / (t + 1)
    delay = np.exp(-2j * np.pi * HZ[HEARD] / RATE)
    return ((a + delay) / (1 + a * delay)) ** 6


def worst_db(difference):
    return 20 * np.log10(np.abs(difference).max() + 1e-12)


@pytest.mark.parametrize("centre", [200, 900, 4_000])
def test_without_depth_it_is_six_all_passes(centre):
    still = {"depth": 0, "centre": centre, "feedback": 0, "dry_wet": 100}
    assert worst_db(response(still) - six_all_passes(centre)) < -90


def test_without_depth_rate_and_phase_do_nothing():
    still = {"depth": 0, "feedback": 0, "dry_wet": 100}
    one, other = (response(still | more) for more in ({"rate": 0.1}, {"rate": 5, "phase": 200}))
    assert worst_db(one - other) < -90


@pytest.mark.parametrize("dry_wet", [20, 50, 80])
def test_dry_wet_is_a_linear_mix(dry_wet):
    still = {"depth": 0, "centre": 900, "feedback": 0, "dry_wet": dry_wet}
    mix = dry_wet / 100
    assert worst_db(response(still) - (1 - mix) - mix * six_all_passes(900)) < -90


@pytest.mark.parametrize("feedback", [25, 80])
def test_feedback_comes_back_one_sample_later_upside_down(feedback):
    still = {"depth": 0, "centre": 900, "feedback": feedback, "dry_wet": 100}
    delay = np.exp(-2j * np.pi * HZ[HEARD] / RATE)
    all_passes = six_all_passes(900)
    expected = all_passes / (1 + feedback / 100 * delay * all_passes)
    assert worst_db(response(still) - expected) < -80


def test_an_equal_mix_has_three_notches():
    """Six stages turn by 6·180°, past an odd multiple of 180° three times."""
    magnitude = np.abs(response({"depth": 0, "centre": 900, "feedback": 0, "dry_wet": 50}))
    minima = (magnitude[1:-1] < magnitude[:-2]) & (magnitude[1:-1] < magnitude[2:])
    assert np.count_nonzero(minima & (magnitude[1:-1] < 0.05)) == 3


@pytest.mark.parametrize("ahead", [4, 400, 8_000, 15_960])
@pytest.mark.parametrize("period", [8_820, 16_000, 88_200])
def test_phase_is_the_same_lfo_run_ahead(ahead, period):
    """To the drift of the device's angle; it looks at its LFO every fourth sample."""
    settings = {"rate": RATE / period, "depth": 100, "centre": 800, "feedback": 40, "dry_wet": 60}
    turned = PHASER.render(noise(), RATE, settings | {"phase": 360 * ahead / period % 360})
    late = PHASER.render(np.pad(noise(), (ahead, 0)), RATE, settings)[ahead:]
    assert worst_db(turned - late) < -45


def test_phase_is_reached_at_any_sample_rate():
    settings = {"rate": 0.5, "depth": 100, "phase": 90}
    for rate in (44_100, 48_000, 96_000):
        ahead = rate // 2
        turned = PHASER.render(noise(), rate, settings)
        late = PHASER.render(np.pad(noise(), (ahead, 0)), rate, settings | {"phase": 0})[ahead:]
        assert worst_db(turned - late) < -45


def test_a_little_more_phase_turns_the_lfo_a_little():
    """No steps of a sample: what searches for a phase needs its slope."""
    settings = {"rate": 5, "depth": 100}
    here, near, nearer = (
        PHASER.render(noise(), RATE, settings | {"phase": 100 + more}).astype(np.float64)
        for more in (0, 0.02, 0.01)
    )
    np.testing.assert_allclose((nearer - here).std() * 2, (near - here).std(), rtol=0.02)


def test_a_whole_turn_is_no_turn():
    settings = {"rate": 2, "depth": 80}
    start, turned, half = (
        PHASER.render(noise(), RATE, settings | {"phase": p}) for p in (0, 360, 180)
    )
    np.testing.assert_array_equal(start, turned)
    assert np.abs(start - half).max() > 0.05


@pytest.mark.parametrize(("phase", "octaves"), [(90, -1), (270, 1)])
def test_where_the_lfo_stands(phase, octaves):
    """It starts as −sin: a quarter turn in, it is at its lowest, at three quarters at its highest.

    A depth of 100 % sweeps half the three decades of 20 Hz to 20 kHz to either side, so that
    20.1 % (2·log10(2)/3) reach one octave. At a turning point a slow LFO stands still for a moment.
    """
    depth = 100 * 2 * np.log10(2) / 3
    moving = {"rate": 0.05, "depth": depth, "centre": 800, "feedback": 0, "dry_wet": 100}
    difference = response(moving | {"phase": phase}) - six_all_passes(800 * 2.0**octaves)
    assert worst_db(difference) < -40


def test_it_repeats_with_its_rate():
    period = RATE // 5
    one = noise(period)
    wet = PHASER.render(np.tile(one, 4), RATE, {"rate": 5, "depth": 100, "feedback": 0})
    np.testing.assert_allclose(wet[2 * period : 3 * period], wet[3 * period :], atol=2e-3)


def test_the_device_takes_its_rate_in_steps():
    """While the angle is between 4 and 2π: of two rates within a step it makes the same."""
    grain = PHASER.lfo.grain_hz
    moving = {"depth": 40, "phase": 280}  # 4.9, and up to 5.3 in a second of 80 steps
    one, same, other = (
        PHASER.render(noise(), RATE, moving | {"rate": (80 + part) * grain})
        for part in (-0.3, 0.3, 0.7)
    )
    assert worst_db(one - same) < worst_db(one - other) - 12


def test_side_by_side_without_steps():
    """The first is what it was, and the others differ from it in proportion."""
    grain = PHASER.lfo.grain_hz
    audio = np.repeat(noise()[:, None], 16, 1)
    settings = [
        PHASER.panel.complete({"depth": 40, "phase": 280, "rate": (80 + part) * grain})
        for part in (0, 0.1, 0.2, 0.4)
    ]
    stepped, smooth = (PHASER.render_batch(audio, settings, smooth=way) for way in (False, True))
    np.testing.assert_allclose(stepped[:, 0], smooth[:, 0], atol=1e-6)
    off = np.linalg.norm(smooth[:, 1:4] - smooth[:, :1], axis=0)
    np.testing.assert_allclose(off / off[0], [1, 2, 4], rtol=0.02)
    assert np.linalg.norm(stepped[:, 1] - stepped[:, 0]) < 0.3 * off[0]
