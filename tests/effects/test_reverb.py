import numpy as np
import pytest

from unmix import effects

REVERB = effects.get("reverb")
RATE = 44_100
SETTINGS = [
    {"room_size": 0, "damping": 0, "dry_wet": 100},
    {"room_size": 90, "damping": 100, "dry_wet": 50},
    {"room_size": 90, "damping": 0, "dry_wet": 100},
    {"room_size": 40, "damping": 30, "dry_wet": 25},
]


def noise(seed, samples=22_050):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def impulse_response(settings, seconds=2.0):
    impulse = np.zeros(round(seconds * RATE), np.float32)
    impulse[0] = 1
    return REVERB.render(impulse, RATE, settings).astype(np.float64)


def relative_db(error, signal):
    ratio = np.square(error, dtype=np.float64).sum() / np.square(signal, dtype=np.float64).sum()
    return 10 * np.log10(ratio + 1e-30)


def decay_time_s(response):
    """Seconds for the energy that is left (Schroeder) to fall from -5 to -25 dB, times three."""
    left = np.cumsum(response[::-1] ** 2)[::-1]
    left_db = 10 * np.log10(left / left[0] + 1e-30)
    return 3 * (np.argmax(left_db < -25) - np.argmax(left_db < -5)) / RATE


@pytest.mark.parametrize("settings", SETTINGS)
def test_linear(settings):
    a, b = noise(1), noise(2)
    together = REVERB.render(0.5 * a - 2 * b, RATE, settings)
    apart = 0.5 * REVERB.render(a, RATE, settings) - 2 * REVERB.render(b, RATE, settings)
    assert relative_db(together - apart, apart) < -100


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("delay", [1, 1_234])
def test_time_invariant(settings, delay):
    a = noise(1)
    late = REVERB.render(np.pad(a, (delay, 0)), RATE, settings)
    assert not late[:delay].any()
    assert relative_db(late[delay:] - REVERB.render(a, RATE, settings), a) < -100


@pytest.mark.parametrize("settings", SETTINGS)
def test_is_the_convolution_with_its_impulse_response(settings):
    a = noise(3)
    size = 2 * a.size
    spectrum = np.fft.rfft(impulse_response(settings)[: a.size], size) * np.fft.rfft(a, size)
    wet = REVERB.render(a, RATE, settings)
    assert relative_db(np.fft.irfft(spectrum)[: a.size] - wet, wet) < -90


@pytest.mark.parametrize("dry_wet", [0, 1, 25, 60, 100])
def test_the_dry_share_passes_at_its_gain(dry_wet):
    """No reflection comes at once, so the first sample is the dry sound alone: unity at 0 %."""
    response = impulse_response({"dry_wet": dry_wet}, 0.1)
    assert response[0] == pytest.approx(1 - dry_wet / 100, abs=1e-6)
    assert not response[1:1_000].any()


def test_wet_level_is_linear_in_dry_wet():
    full, half = (impulse_response({"dry_wet": mix})[1:] for mix in (100, 50))
    assert relative_db(half - 0.5 * full, full) < -100


def test_reflections_come_when_freeverbs_do():
    """Jezar's public-domain Freeverb: combs of 1116, 1188, 1277 … samples, last all-pass 225."""
    response = np.abs(impulse_response({"room_size": 90, "damping": 0, "dry_wet": 100}, 0.1))
    assert np.flatnonzero(response > 1e-6)[:4].tolist() == [1_116, 1_188, 1_277, 1_116 + 225]


def test_a_larger_room_rings_longer():
    times = [
        decay_time_s(impulse_response({"room_size": size, "damping": 20, "dry_wet": 100}, 6))
        for size in (0, 45, 90)
    ]
    assert times[0] > 0.2
    assert times[1] > 1.2 * times[0] and times[2] > 1.2 * times[1]


def test_damping_takes_the_treble_out_of_the_tail():
    def treble_db(damping):
        tail = impulse_response({"room_size": 60, "damping": damping, "dry_wet": 100})[RATE // 4 :]
        power = np.abs(np.fft.rfft(tail)) ** 2
        hz = np.fft.rfftfreq(tail.size, 1 / RATE)
        return 10 * np.log10(power[hz > 4_000].sum() / power[hz < 1_000].sum())

    assert treble_db(100) < treble_db(50) - 6 < treble_db(0) - 12


def test_channels_do_not_cross():
    left = noise(1)
    both = REVERB.render(np.stack([left, 0 * left]), RATE, {"dry_wet": 60})
    np.testing.assert_array_equal(both[0], REVERB.render(left, RATE, {"dry_wet": 60}))
    assert not both[1].any()
