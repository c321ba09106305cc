import numpy as np
import pytest
import torch

from unmix import effects, weights
from unmix.data.pairs import PairSampler
from unmix.dsp.losses import esr
from unmix.effects.reverb.proxy import COMBS, ReverbProxy

REVERB = effects.get("reverb")
RATE = 44_100


def freeverb_proxy():
    """The proxy with Freeverb's own figures: loop gain 0.7 + 0.28·room, damping 0.4·damping."""
    proxy = ReverbProxy(REVERB.panel).eval()
    with torch.no_grad():
        proxy.straight.weight[0] = torch.tensor([0.126, 0.0])  # room is 0.45 ± 0.45
        proxy.straight.bias[0] = 0.026
        proxy.straight.weight[1] = torch.tensor([0.0, 0.2])
        proxy.straight.bias[2:] = 0.9 - 1  # wet gain 3, input gain 0.015: 0.045
    return proxy


def run(proxy, audio, settings):
    knobs, switches = REVERB.to_unit(settings)
    with torch.no_grad():
        rows = [torch.from_numpy(a)[None] for a in (audio, knobs, switches)]
        return proxy(*rows)[0]


def error_db(estimate, target):
    return 10 * float(esr(estimate, torch.from_numpy(target)).log10())


def noise(seconds, seed=2):
    samples = round(seconds * RATE)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.mark.parametrize("room_size", [0, 45, 90])
@pytest.mark.parametrize("damping", [0, 50, 100])
@pytest.mark.parametrize("seconds", [0.5, 4])
def test_the_structure_holds_the_real_device(room_size, damping, seconds):
    settings = {"room_size": room_size, "damping": damping, "dry_wet": 100}
    target = REVERB.render(noise(seconds), RATE, settings)
    assert error_db(run(freeverb_proxy(), noise(seconds), settings), target) < -60


def test_nothing_comes_before_its_cause():
    """The tail of a click near the end is long; nothing of it may be heard before the click."""
    audio = np.zeros(RATE, np.float32)
    audio[-5_000] = 1
    wet = run(freeverb_proxy(), audio, {"room_size": 90, "damping": 0, "dry_wet": 100})
    assert wet[: -5_000 + COMBS[0]].abs().max() < 1e-3 * wet.abs().max()


def test_linear():
    proxy = weights.load_proxy("reverb")
    settings = {"room_size": 70, "damping": 20, "dry_wet": 60}
    a, b = noise(0.5, 1), noise(0.5, 2)
    both = run(proxy, a - 0.3 * b, settings)
    torch.testing.assert_close(
        both, run(proxy, a, settings) - 0.3 * run(proxy, b, settings), atol=1e-4, rtol=0
    )


def test_longer_room_longer_tail():
    """The gradient of the tail's energy has the sign that a listener expects."""
    proxy = weights.load_proxy("reverb")
    impulse = torch.zeros(1, RATE)
    impulse[0, 0] = 1
    knobs = torch.tensor([[0.5, 0.5, 1.0]], requires_grad=True)
    tail = proxy(impulse, knobs, torch.zeros(1, 0, dtype=torch.long))[:, RATE // 2 :]
    tail.square().sum().backward()
    room, damping, _ = knobs.grad[0]
    assert room > 0 > damping


def test_bundled_weights_on_held_out_pairs():
    proxy = weights.load_proxy("reverb")
    sampler = PairSampler("reverb", 987_001, 1.0)
    figures = []
    for i in range(24):
        pair = sampler.item(i)
        knobs, switches = (torch.from_numpy(pair[k])[None] for k in ("knobs", "switches"))
        with torch.no_grad():
            wet = proxy(torch.from_numpy(pair["dry"])[None], knobs, switches)[0]
        figures.append(error_db(wet, pair["wet"]))
    assert np.mean(figures) < -45
