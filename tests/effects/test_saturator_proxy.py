import numpy as np
import torch

from unmix import effects, weights
from unmix.data.pairs import PairSampler
from unmix.dsp.losses import esr
from unmix.effects.saturator.device import CURVES, apply_curve
from unmix.effects.saturator.proxy import SaturatorProxy

SATURATOR = effects.get("saturator")
RATE = 44_100


class ExactProxy(SaturatorProxy):
    """The proxy with the true curves in place of the learned ones."""

    def table(self, options):
        points = round(self.REACH * self.POINTS_PER_UNIT) + 1
        x = np.linspace(0, self.REACH, points)
        rows = [apply_curve(CURVES[i], x) for i in options.tolist()]
        return torch.from_numpy(np.stack(rows)).float()


def run(proxy, audio, settings):
    knobs, switches = SATURATOR.to_unit(settings)
    with torch.no_grad():
        rows = [torch.from_numpy(a)[None] for a in (audio, knobs, switches)]
        return proxy(*rows)[0]


def error_db(estimate, target):
    return 10 * float(esr(estimate, torch.from_numpy(target)).log10())


def test_everything_but_the_curve_is_exact():
    """Gains, mix, symmetry, interpolation and what lies beyond the grid: 63 times 10 is 630."""
    proxy = ExactProxy(SATURATOR.panel)
    for curve in CURVES:
        for drive, peak in ((0, 0.01), (12, 0.5), (24, 1), (36, 2), (36, 10)):
            audio = np.random.default_rng(3).uniform(-peak, peak, 5_000).astype(np.float32)
            settings = {"drive": drive, "curve": curve, "output": -7.5, "dry_wet": 80}
            target = SATURATOR.render(audio, RATE, settings)
            assert error_db(run(proxy, audio, settings), target) < -60, (curve, drive, peak)


def test_bundled_curves():
    proxy = weights.load_proxy("saturator")
    x = np.linspace(-2.5, 2.5, 2_001).astype(np.float32)
    for curve in CURVES:
        settings = {"drive": 0, "output": 0, "dry_wet": 100, "curve": curve}
        wet = run(proxy, x, settings).numpy()
        np.testing.assert_allclose(wet, apply_curve(curve, x), atol=0.05)


def test_gradient_of_the_drive_against_differences():
    """At mild drive, where the curve bends little within a difference."""
    proxy = weights.load_proxy("saturator")
    audio = torch.from_numpy(PairSampler("saturator", 5, 0.5).item(0)["dry"])[None].double()
    for option in range(len(CURVES)):
        switches = torch.tensor([[option]])
        knobs = torch.tensor([[0.2, 0.7, 0.9]], requires_grad=True)
        proxy(audio, knobs, switches).abs().mean().backward()
        with torch.no_grad():
            step = 1e-2 * torch.eye(3)
            for i in range(3):
                up, down = (
                    proxy(audio, knobs + sign * step[i], switches).abs().mean() for sign in (1, -1)
                )
                difference = (up - down) / 2e-2
                torch.testing.assert_close(knobs.grad[0, i], difference, rtol=0.03, atol=2e-5)


def test_bundled_weights_on_held_out_pairs():
    proxy = weights.load_proxy("saturator")
    sampler = PairSampler("saturator", 987_001, 1.0)
    figures = []
    for i in range(24):
        pair = sampler.item(i)
        knobs, switches = (torch.from_numpy(pair[k])[None] for k in ("knobs", "switches"))
        with torch.no_grad():
            wet = proxy(torch.from_numpy(pair["dry"])[None], knobs, switches)[0]
        figures.append(error_db(wet, pair["wet"]))
    assert np.mean(figures) < -45
