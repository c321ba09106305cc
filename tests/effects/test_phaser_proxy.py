"""The phaser's proxy against the real phaser, and what any proxy must be able to do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.audio import synthetic
from unmix.dsp.losses import esr
from unmix.dsp.statespace import BlockOperators, filter_blocks
from unmix.effects.phaser.proxy import allpass_chain
from unmix.errors import UnmixError
from unmix.training.proxy import train_proxy

FX = effects.get("phaser")
NO_SWITCH = torch.zeros(1, 0, dtype=torch.long)


@pytest.fixture(scope="module")
def proxy():
    torch.manual_seed(0)
    return FX.build_proxy()


def run(proxy, audio, settings):
    knobs, _ = FX.to_unit(settings)
    with torch.no_grad():
        return proxy(torch.tensor(audio)[None], torch.tensor(knobs)[None], NO_SWITCH)[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": 0.3, "depth": 0, "feedback": 80, "dry_wet": 100},
        {"rate": 0.6, "depth": 60, "feedback": 0, "dry_wet": 100, "phase": 100},
        {"rate": 5, "depth": 100, "centre": 300, "feedback": 60, "dry_wet": 50, "phase": 250},
        {"rate": 2, "depth": 100, "centre": 4000, "feedback": 80, "dry_wet": 80},
    ],
)
def test_it_is_close_to_the_real_phaser(proxy, settings):
    audio = synthetic.synthetic(np.random.default_rng(5), 44_100)
    real = torch.tensor(FX.render(audio, 44_100, settings))
    assert 10 * torch.log10(esr(run(proxy, audio, settings), real)) < -30


def test_dry_returns_the_input(proxy):
    audio = synthetic.synthetic(np.random.default_rng(6), 10_000)
    assert torch.equal(run(proxy, audio, {"dry_wet": 0, "depth": 90}), torch.tensor(audio))


@pytest.mark.parametrize("samples", [1, 2, 31, 32, 33, 1000, 8193])
def test_any_length_and_a_prefix_sounds_the_same(proxy, samples):
    audio = synthetic.synthetic(np.random.default_rng(7), 9_000)
    settings = {"rate": 3, "depth": 70, "feedback": 50, "dry_wet": 70}
    part = run(proxy, audio[:samples], settings)
    assert part.shape == (samples,)
    torch.testing.assert_close(part, run(proxy, audio, settings)[:samples], atol=1e-5, rtol=0)


def test_a_batch_of_different_settings_equals_one_by_one(proxy):
    rng = np.random.default_rng(8)
    audio = torch.tensor(np.stack([synthetic.synthetic(rng, 4_000) for _ in range(3)]))
    knobs = torch.tensor(rng.random((3, len(FX.knobs))), dtype=torch.float32)
    together = proxy(audio, knobs, NO_SWITCH.expand(3, 0))
    alone = [proxy(audio[i : i + 1], knobs[i : i + 1], NO_SWITCH) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def test_a_gradient_reaches_audio_and_every_knob(proxy):
    rng = np.random.default_rng(9)
    audio = torch.tensor(synthetic.synthetic(rng, 20_000))[None].requires_grad_()
    knobs = torch.full((1, len(FX.knobs)), 0.4, requires_grad=True)
    proxy(audio, knobs, NO_SWITCH).square().sum().backward()
    assert audio.grad.isfinite().all() and audio.grad.any()
    assert knobs.grad.isfinite().all() and (knobs.grad != 0).all()


def test_the_phase_is_a_circle(proxy):
    audio = torch.tensor(synthetic.synthetic(np.random.default_rng(10), 8_000))[None]
    knobs = torch.full((1, len(FX.knobs)), 0.6)
    circular = torch.tensor(FX.panel.circular)
    start, end = knobs.masked_fill(circular, 0.0), knobs.masked_fill(circular, 1.0)
    a, b = proxy(audio, start, NO_SWITCH), proxy(audio, end, NO_SWITCH)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_autocast_does_not_spoil_it(proxy):
    audio = synthetic.synthetic(np.random.default_rng(11), 8_000)
    plain = run(proxy, audio, {})
    with torch.autocast("cpu", torch.bfloat16):
        mixed = run(proxy, audio, {})
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain)


def test_there_is_nothing_to_learn_and_training_says_so(proxy, tmp_path):
    assert not proxy.state_dict()
    with pytest.raises(UnmixError, match="phaser computes everything: there is nothing to train"):
        train_proxy("phaser", SimpleNamespace(manifest={}, count=10), tmp_path)


def test_blocks_equal_a_plain_loop_over_samples():
    generator = torch.Generator().manual_seed(12)
    cutoffs = torch.tensor([100.0, 900.0, 8_000.0], dtype=torch.float64)
    a, b, c, d = allpass_chain(cutoffs, torch.tensor([0.7], dtype=torch.float64))
    operators = BlockOperators.build(a, b, c, d, 8)
    audio = torch.randn(1, 21, generator=generator, dtype=torch.float64)
    state, expected = torch.zeros(7, dtype=torch.float64), []
    for n, x in enumerate(audio[0]):
        j = n // 8
        expected.append(c[0, j] @ state + d[0, j] * x)
        state = a[0, j] @ state + b[0, j] * x
    torch.testing.assert_close(filter_blocks(audio, operators)[0], torch.stack(expected))


def test_the_table_is_exact_at_its_points_and_a_mean_between():
    a, b, c, d = allpass_chain(torch.tensor([200.0, 400.0, 800.0]), torch.tensor([0.1, 0.6]))
    table = BlockOperators.build(a, b, c, d, 4)
    found = table.pick(torch.tensor([[0.0, 1.0, 0.25], [0.5, 0.75, 0.0]]))
    torch.testing.assert_close(found.step[0, 1], table.step[0, 2])
    torch.testing.assert_close(found.response[0, 2], table.response[0, :2].mean(0))
    torch.testing.assert_close(found.observe[1, 0], table.observe[1, 1])


def test_a_block_that_is_no_power_of_two_is_refused():
    system = allpass_chain(torch.tensor([200.0]), torch.tensor([0.1]))
    with pytest.raises(ValueError, match="power of two"):
        BlockOperators.build(*system, 12)
