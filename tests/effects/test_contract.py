"""What every effect in the registry keeps to; a new effect is tested without a change here."""

import re

import numpy as np
import pytest

from unmix import effects
from unmix.effects.batch import LANES
from unmix.errors import UnmixError

RATE = 44_100
RATES = (8_000, 22_050, 44_100, 48_000, 96_000, 192_000)
NAMES = effects.names()

every_effect = pytest.mark.parametrize("fx", [effects.get(n) for n in NAMES], ids=NAMES)
every_rate = pytest.mark.parametrize("rate", RATES)


def noise(shape, seed=0, peak=0.5):
    return np.random.default_rng(seed).uniform(-peak, peak, shape).astype(np.float32)


def sampled(fx, seed=1):
    return fx.sample(np.random.default_rng(seed))


def corners(fx):
    """All knobs at one end, at the other, at random ends; with every option of every switch."""
    rng = np.random.default_rng(2)
    count = len(fx.knobs)
    ends = [np.zeros(count), np.ones(count), *rng.integers(0, 2, (6, count))]
    options = max((len(s.options) for s in fx.switches), default=1)
    for i, knobs in enumerate(ends):
        yield fx.from_unit(knobs, [(i % options) % len(s.options) for s in fx.switches])


def test_registry_order_and_names():
    assert NAMES[:5] == ("saturator", "eq", "ott", "phaser", "reverb")
    for name in NAMES:
        assert effects.get(name).name == name
        assert effects.get(name) is effects.get(name)
    for unknown in ("echo", "", None, 3, ["ott"], "OTT"):
        with pytest.raises(UnmixError, match=r"no effect .*the effects are saturator, eq"):
            effects.get(unknown)


@every_effect
def test_every_control_is_described(fx):
    assert fx.knobs and fx.description
    for control in fx.knobs + fx.switches:
        assert control.description, control.name
        control.check(control.default)


# audio in, audio out


@every_effect
@every_rate
def test_shape_type_and_finite_at_every_rate(fx, rate):
    for shape in ((2_000,), (1, 2_000), (2, 2_000)):
        audio = noise(shape)
        wet = fx.render(audio, rate, sampled(fx))
        assert wet.shape == shape and wet.dtype == np.float32
        assert np.isfinite(wet).all()


@every_effect
@every_rate
def test_channels_are_independent(fx, rate):
    audio = noise((3, 2_000))
    settings = sampled(fx)
    together = fx.render(audio, rate, settings)
    for channel, wet in zip(audio, together, strict=True):
        np.testing.assert_allclose(fx.render(channel, rate, settings), wet, atol=1e-6)


@every_effect
@every_rate
def test_no_samples_and_one_sample(fx, rate):
    for shape in ((0,), (1,), (2, 0), (1, 1)):
        wet = fx.render(noise(shape), rate, sampled(fx))
        assert wet.shape == shape and np.isfinite(wet).all()


@every_effect
@pytest.mark.parametrize("shape", [(2, 1), (2, 2), (8, 3)])
def test_more_channels_than_samples(fx, shape):
    audio = noise(shape)
    for settings in ({}, sampled(fx)):
        wet = fx.render(audio, RATE, settings)
        alone = [fx.render(channel, RATE, settings) for channel in audio]
        np.testing.assert_allclose(wet, alone, atol=1e-6)


@every_effect
def test_other_number_types_are_taken_and_the_input_is_left_alone(fx):
    audio = noise((2, 2_000))
    before = audio.copy()
    settings = sampled(fx)
    kept = dict(settings)
    wet = fx.render(audio, RATE, settings)
    np.testing.assert_array_equal(audio, before)
    assert settings == kept
    assert not np.shares_memory(wet, audio)
    np.testing.assert_array_equal(fx.render(audio.astype(np.float64), RATE, settings), wet)
    np.testing.assert_array_equal(fx.render(np.asfortranarray(audio), RATE, settings), wet)
    audio.setflags(write=False)
    np.testing.assert_array_equal(fx.render(audio, RATE, settings), wet)


@every_effect
def test_the_neutral_setting_returns_a_copy(fx):
    audio = noise(100)
    neutral = neutral_settings(fx)
    if neutral is not None:
        assert not np.shares_memory(fx.render(audio, RATE, neutral), audio)


@every_effect
def test_the_same_again_after_something_else(fx):
    """Nothing is kept between two renders."""
    audio = noise((2, 4_000))
    first = fx.render(audio, RATE, sampled(fx))
    fx.render(noise((1, 3_000), seed=9, peak=1), 48_000, sampled(fx, 5))
    np.testing.assert_array_equal(fx.render(audio, RATE, sampled(fx)), first)


@every_effect
def test_causal_without_latency(fx):
    """The render of the first part is the first part of the render: no block, no look-ahead."""
    audio = noise(12_000)
    settings = sampled(fx)
    whole = fx.render(audio, RATE, settings)
    for end in (1, 777, 8_193):
        np.testing.assert_allclose(fx.render(audio[:end], RATE, settings), whole[:end], atol=1e-6)


@every_effect
@pytest.mark.parametrize("count", [1, 5, LANES])
def test_side_by_side_is_what_the_device_does(fx, count):
    rng = np.random.default_rng(3)
    audio = noise((20_001, LANES))
    audio *= 10 ** np.repeat(rng.uniform(-2, 0, 41), 500)[: len(audio), None].astype(np.float32)
    audio[:, count:] = audio[:, :1]
    drawn = [fx.panel.complete(fx.sample(rng)) for _ in range(LANES)]
    edges = [fx.panel.complete(settings) for settings in corners(fx)]
    for settings in (drawn[:count], (edges + drawn)[:count]):
        wet = fx.render_batch(audio, settings)
        assert wet.shape == audio.shape and wet.dtype == np.float32
        for n, own in enumerate(settings):
            real = fx.render(audio[:, n], RATE, own)
            assert np.sum((wet[:, n] - real) ** 2) <= 1e-5 * np.sum(real**2), (n, own)
        assert (wet[:, count:] == wet[:, :1]).all()


@every_effect
def test_nothing_breaks_at_the_corners(fx):
    """Silence stays silent; full-scale noise and an impulse stay finite."""
    impulse = np.zeros(8_820, np.float32)
    impulse[0] = 1
    for settings in corners(fx):
        assert not fx.render(np.zeros(8_820), RATE, settings).any(), settings
        for audio in (noise(8_820, peak=1), impulse):
            wet = fx.render(audio, RATE, settings)
            assert np.isfinite(wet).all() and np.abs(wet).max() < 1_000, settings


@every_effect
def test_not_clipped(fx):
    """Ten times full scale at neutral or default settings comes out beyond full scale."""
    neutral = neutral_settings(fx)
    wet = fx.render(noise(2_000, peak=10), RATE, {} if neutral is None else neutral)
    assert np.abs(wet).max() > 2


# neutral


def neutral_settings(fx):
    """Settings at which the effect says it does nothing, or None."""
    for settings in ({}, *({knob.name: knob.low} for knob in fx.knobs)):
        if fx.is_neutral(fx.panel.complete(settings)):
            return settings
    return None


@every_effect
@every_rate
def test_neutral_is_the_identity_or_flat(fx, rate):
    neutral = neutral_settings(fx)
    if neutral is not None:
        audio = noise((2, 2_000), peak=2)
        np.testing.assert_array_equal(fx.render(audio, rate, neutral), audio)
        return
    impulse = np.zeros(2**16, np.float32)  # no identity: a flat magnitude at its lowest amount
    impulse[0] = 1
    spectrum = np.fft.rfft(fx.render(impulse, rate, {"amount": 0}).astype(np.float64))
    assert np.abs(20 * np.log10(np.abs(spectrum))).max() < 0.01


@every_effect
def test_almost_neutral_is_almost_the_identity(fx):
    """Neutral settings take a short cut around the device; the device must agree with it."""
    neutral = neutral_settings(fx)
    if neutral is None:
        pytest.skip("no setting of this effect is the identity")
    settings = {knob.name: knob.from_unit(1e-5) for knob in fx.knobs if knob.name in neutral}
    settings |= {knob.name: 0.001 for knob in fx.knobs if knob.name.startswith("gain")}
    assert not fx.is_neutral(fx.panel.complete(settings))
    audio = noise(4_000)
    np.testing.assert_allclose(fx.render(audio, RATE, settings), audio, atol=1e-3)


# settings


@every_effect
def test_bad_settings_are_named(fx):
    audio = noise(100)
    with pytest.raises(UnmixError, match=rf"^{fx.name}: no setting 'wetness'"):
        fx.render(audio, RATE, {"wetness": 1})
    for knob in fx.knobs:
        name = re.escape(knob.name)
        for value in ("much", None, float("nan"), float("inf"), True):
            with pytest.raises(UnmixError, match=rf"^{fx.name}: {name} must be a number"):
                fx.render(audio, RATE, {knob.name: value})
        width = knob.high - knob.low
        for value in () if knob.circular else (knob.low - width / 10, knob.high + width / 10):
            with pytest.raises(UnmixError, match=rf"^{fx.name}: {name} is .* its range is"):
                fx.render(audio, RATE, {knob.name: value})
    for switch in fx.switches:
        for value in ("none of them", 0, None):
            with pytest.raises(UnmixError, match=rf"^{fx.name}: {switch.name} must be one of"):
                fx.render(audio, RATE, {switch.name: value})


@every_effect
def test_bad_shapes_are_refused(fx):
    for shape in ((), (2, 3, 4), (0, 10)):
        with pytest.raises(UnmixError, match="audio must"):
            fx.render(np.zeros(shape), RATE, {})


@every_effect
def test_samples_are_in_range_and_seeded(fx):
    drawn = [sampled(fx, seed) for seed in range(200)]
    for settings in drawn:
        assert fx.panel.complete(settings) == settings
    assert sampled(fx, 7) == drawn[7] != drawn[8]
    for knob in fx.knobs:
        units = [knob.to_unit(settings[knob.name]) for settings in drawn]
        assert min(units) < 0.05 and max(units) > 0.95, knob.name
    for switch in fx.switches:
        assert {settings[switch.name] for settings in drawn} == set(switch.options)


@every_effect
def test_unit_round_trip(fx):
    for seed in range(20):
        settings = sampled(fx, seed)
        knobs, switches = fx.to_unit(settings)
        assert knobs.shape == (len(fx.knobs),) and knobs.dtype == np.float32
        assert switches.shape == (len(fx.switches),) and switches.dtype == np.int64
        assert ((knobs >= 0) & (knobs <= 1)).all()
        back = fx.from_unit(knobs, switches)
        for name, value in settings.items():
            assert back[name] == (value if isinstance(value, str) else pytest.approx(value, 1e-5))


@every_effect
def test_every_control_can_be_heard(fx):
    """Some setting of the other controls lets each knob and switch change the sound."""
    audio = noise(22_050) * np.repeat([1, 0.01, 0.1], 7_350).astype(np.float32)
    for control in fx.knobs + fx.switches:
        if control in fx.knobs:
            low, high = (control.from_unit(u) for u in (0.1, 0.6))
        else:
            low, high = control.options[0], control.options[-1]
        changes = [
            np.abs(
                fx.render(audio, RATE, settings | {control.name: low})
                - fx.render(audio, RATE, settings | {control.name: high})
            ).max()
            for settings in (sampled(fx, seed) for seed in range(4))
        ]
        assert max(changes) > 1e-3, control.name
