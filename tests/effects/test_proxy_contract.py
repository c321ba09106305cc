"""What every proxy keeps to, trained or not; a new effect is tested without a change here."""

import numpy as np
import pytest
import torch

from unmix import effects

NAMES = effects.names()
every_effect = pytest.mark.parametrize("name", NAMES)


def fresh(name, seed=0):
    torch.manual_seed(seed)
    return effects.get(name).build_proxy().eval()


def batch(name, items=3, samples=9_000, seed=1):
    """Noise and random settings: audio (B, T), knobs (B, K), switches (B, S)."""
    fx, rng = effects.get(name), np.random.default_rng(seed)
    audio = torch.from_numpy(rng.uniform(-0.5, 0.5, (items, samples)).astype(np.float32))
    knobs, switches = zip(*(fx.to_unit(fx.sample(rng)) for _ in range(items)), strict=True)
    return audio, torch.from_numpy(np.stack(knobs)), torch.from_numpy(np.stack(switches))


def neutral(fx):
    """Settings that the effect itself calls neutral, or None."""
    defaults = fx.panel.complete({})
    tries = (defaults, *(defaults | {knob.name: knob.low} for knob in fx.knobs))
    return next((settings for settings in tries if fx.is_neutral(settings)), None)


@every_effect
def test_size(name):
    assert sum(p.numel() for p in fresh(name).parameters()) < 300_000


@every_effect
@pytest.mark.parametrize("samples", [1, 2, 63, 1_000, 44_101])
def test_any_length(name, samples):
    proxy = fresh(name)
    audio, knobs, switches = batch(name, 2, samples)
    with torch.no_grad():
        wet = proxy(audio, knobs, switches)
    assert wet.shape == audio.shape and wet.dtype == torch.float32
    assert wet.isfinite().all()


@every_effect
def test_items_of_a_batch_do_not_touch_each_other(name):
    proxy = fresh(name)
    audio, knobs, switches = batch(name, 4)
    with torch.no_grad():
        together = proxy(audio, knobs, switches)
        for i in range(4):
            alone = proxy(*(tensor[i : i + 1] for tensor in (audio, knobs, switches)))
            torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=1e-3)


@every_effect
def test_neutral_settings_return_the_input(name):
    fx = effects.get(name)
    settings = neutral(fx)
    if settings is None:
        pytest.skip("this effect has no neutral settings")
    knobs, switches = (torch.from_numpy(vector)[None] for vector in fx.to_unit(settings))
    audio = batch(name, 1)[0]
    with torch.no_grad():
        wet = fresh(name)(audio, knobs, switches)
    torch.testing.assert_close(wet, audio, atol=2e-4, rtol=0)  # 70 dB down


@every_effect
def test_gradients_reach_the_audio_and_are_finite_at_the_ends_of_every_knob(name):
    proxy = fresh(name)
    for end in (0.0, 0.5, 1.0):
        audio, knobs, switches = batch(name, 2, 4_000)
        audio, knobs = audio.requires_grad_(), torch.full_like(knobs, end).requires_grad_()
        proxy(audio, knobs, switches).square().sum().backward()
        assert audio.grad.isfinite().all() and audio.grad.abs().sum() > 0
        assert knobs.grad.isfinite().all(), end


@every_effect
def test_silence_has_finite_gradients(name):
    audio, knobs, switches = batch(name, 1, 4_000)
    audio, knobs = torch.zeros_like(audio).requires_grad_(), knobs.requires_grad_()
    fresh(name)(audio, knobs, switches).square().sum().backward()
    assert audio.grad.isfinite().all() and knobs.grad.isfinite().all()


@every_effect
def test_autocast_changes_little(name):
    proxy = fresh(name)
    inputs = batch(name)
    with torch.no_grad():
        full = proxy(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            half = proxy(*inputs)
    error_db = 10 * ((half.float() - full).square().sum() / full.square().sum()).log10()
    assert half.isfinite().all() and error_db < -30


@every_effect
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_taken(name, dtype):
    proxy = fresh(name)
    audio, knobs, switches = batch(name)
    audio, knobs = audio.to(dtype), knobs.to(dtype)  # rounded alike for both
    with torch.no_grad():
        half = proxy(audio, knobs, switches)
        full = proxy(audio.float(), knobs.float(), switches)
    torch.testing.assert_close(half.float(), full, atol=1e-5, rtol=1e-4)
