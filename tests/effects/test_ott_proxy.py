"""The OTT's proxy before any training: what is computed rather than learned is right already."""

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.audio import synthetic
from unmix.dsp.losses import esr, mss

OTT = effects.get("ott")
RATE = 44_100


def items(count, samples, seed, **fixed):
    """Dry, wet, knobs, switches of random settings; ``fixed`` ones in units."""
    rng = np.random.default_rng(seed)
    dry = np.stack([synthetic.synthetic(rng, samples) for _ in range(count)])
    settings = [OTT.sample(rng) | fixed for _ in range(count)]
    wet = np.stack([OTT.render(x, RATE, s) for x, s in zip(dry, settings, strict=True)])
    knobs = np.stack([OTT.to_unit(s)[0] for s in settings])
    no_switches = torch.zeros(count, 0, dtype=torch.long)
    return torch.from_numpy(dry), torch.from_numpy(wet), torch.from_numpy(knobs), no_switches


def esr_db(estimate, target):
    return 10 * esr(estimate, target).log10()


@pytest.fixture(scope="module")
def proxy():
    torch.manual_seed(0)
    return OTT.build_proxy()


def test_is_close_to_the_real_effect_before_training(proxy):
    dry, wet, knobs, switches = items(16, RATE, seed=1)
    with torch.no_grad():
        figures = esr_db(proxy(dry, knobs, switches), wet)
    assert figures.mean() < -40
    assert figures.max() < -20


def test_no_amount_leaves_the_real_effects_all_pass(proxy):
    dry, wet, knobs, switches = items(3, RATE, seed=2, amount=0.0)
    assert esr_db(proxy(dry, knobs, switches), wet).max() < -60


def test_is_as_accurate_at_low_levels(proxy):
    """The learned factor sees no level, so −60 dBFS is served like 0 dBFS."""
    dry, _, knobs, switches = items(6, RATE // 2, seed=3)
    quiet = dry * 10 ** (-40 / 20)
    settings = [OTT.from_unit(k, ()) for k in knobs.numpy()]
    wet = np.stack([OTT.render(x, RATE, s) for x, s in zip(quiet.numpy(), settings, strict=True)])
    assert esr_db(proxy(quiet, knobs, switches), torch.from_numpy(wet)).mean() < -40


@pytest.mark.parametrize("samples", [1, 5, 31, 32, 33, 4_099])
def test_takes_any_length(proxy, samples):
    dry, wet, knobs, switches = items(2, samples, seed=samples)
    estimate = proxy(dry, knobs, switches)
    assert estimate.shape == wet.shape
    assert estimate.isfinite().all()


def test_what_comes_later_changes_nothing_before(proxy):
    dry, _, knobs, switches = items(2, 20_000, seed=4)
    cut = dry.clone()
    cut[:, 10_016:] = 0  # a frame's edge: inside a frame the network looks a few samples ahead
    error = (proxy(dry, knobs, switches) - proxy(cut, knobs, switches))[:, :10_000]
    assert error.abs().max() < 1e-4


def test_settings_in_a_batch_do_not_mix(proxy):
    dry, _, knobs, switches = items(3, 8_000, seed=5)
    together = proxy(dry, knobs, switches)
    alone = torch.cat([proxy(dry[i : i + 1], knobs[i : i + 1], switches[:1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)


def test_silence_is_silence_and_has_finite_gradients(proxy):
    dry = torch.zeros(1, 3_000, requires_grad=True)
    knobs = torch.full((1, 8), 0.5, requires_grad=True)
    wet = proxy(dry, knobs, torch.zeros(1, 0, dtype=torch.long))
    wet.sum().backward()
    assert wet.abs().max() == 0
    assert dry.grad.isfinite().all() and knobs.grad.isfinite().all()


def test_knob_gradients_agree_with_differences_of_the_real_effect(proxy):
    """On noise steps from loud to quiet every threshold and the time matter."""
    rng = np.random.default_rng(6)
    levels = 10 ** (np.array([-6, -50, -20, -35, -3, -60]) / 20)
    dry = (rng.uniform(-1, 1, 6 * 8_000) * np.repeat(levels, 8_000)).astype(np.float32)
    dry += np.float32(0.3) * np.sin(2 * np.pi * 50 / RATE * np.arange(dry.size)) * np.abs(dry)
    centre = np.array([0.8, 0.5, 0.4, 0.4, 0.4, 0.7, 0.7, 0.7])
    away = np.array([-0.1, 0.1, 0.1, -0.1, 0.1, -0.1, 0.1, -0.1])

    def real(knobs):
        return torch.from_numpy(OTT.render(dry, RATE, OTT.from_unit(knobs, ())))[None]

    target = real(centre + away)
    knobs = torch.tensor(centre[None], dtype=torch.float32, requires_grad=True)
    wet = proxy(torch.from_numpy(dry)[None], knobs, torch.zeros(1, 0, dtype=torch.long))
    mss(wet, target).sum().backward()
    step = 0.005
    rises = [
        mss(real(centre + step * unit), target) - mss(real(centre - step * unit), target)
        for unit in np.eye(8)
    ]
    differences = torch.cat(rises) / (2 * step)
    cosine = torch.nn.functional.cosine_similarity(knobs.grad[0], differences, dim=0)
    assert cosine > 0.98
    assert (knobs.grad[0].sign() == differences.sign()).all()


def test_audio_gradient_is_exact_for_a_change_of_level(proxy):
    dry, wet, knobs, switches = items(2, 12_000, seed=7)
    gain_db = torch.zeros(1, requires_grad=True)

    def loss(gain_db):
        estimate = proxy(dry * 10 ** (gain_db / 20), knobs, switches)
        return ((estimate.abs() + 1e-3).log() * wet).mean()

    loss(gain_db).backward()
    with torch.no_grad():
        difference = (loss(gain_db + 0.05) - loss(gain_db - 0.05)) / 0.1
    assert gain_db.grad.item() == pytest.approx(difference.item(), rel=0.02)


def test_gradients_reach_every_weight(proxy):
    dry, wet, knobs, switches = items(2, 8_000, seed=8)
    with torch.no_grad():
        proxy.factor.leave.weight.normal_(std=0.01)
    esr(proxy(dry, knobs, switches), wet).mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in proxy.parameters())
    torch.nn.init.zeros_(proxy.factor.leave.weight)


def test_runs_under_bfloat16_autocast(proxy):
    dry, wet, knobs, switches = items(2, 16_000, seed=9)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        estimate = proxy(dry, knobs, switches)
    assert estimate.dtype == torch.float32
    assert esr_db(estimate, wet).max() < -20
