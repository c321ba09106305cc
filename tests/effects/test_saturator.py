import math

import numpy as np
import pytest

from unmix import effects

SATURATOR = effects.get("saturator")
X = np.linspace(-2, 2, 4_001, dtype=np.float32)

CURVES = {
    "analog": math.tanh,
    "soft_sine": lambda v: math.sin(math.pi / 2 * max(-1.0, min(1.0, v))),
    "hard": lambda v: max(-1.0, min(1.0, v)),
    "fold": lambda v: math.sin(math.pi / 2 * v),
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    ("drive", "output", "dry_wet"), [(0, 0, 100), (20, 0, 100), (36, -24, 100), (12, -6, 35)]
)
def test_formula(curve, drive, output, dry_wet):
    settings = {"drive": drive, "output": output, "dry_wet": dry_wet, "curve": curve}
    expected = [
        (1 - dry_wet / 100) * v
        + dry_wet / 100 * 10 ** (output / 20) * CURVES[curve](10 ** (drive / 20) * v)
        for v in X.astype(float)
    ]
    # the argument of the fold's sine reaches 2·63·π/2: float32 holds it to about 2e-5
    np.testing.assert_allclose(SATURATOR.render(X, 44_100, settings), expected, atol=5e-5)


def test_every_curve_is_tested():
    assert {o for s in SATURATOR.switches for o in s.options} == set(CURVES)


@pytest.mark.parametrize("curve", CURVES)
def test_memoryless_and_odd(curve):
    settings = {"drive": 18, "curve": curve}
    order = np.random.default_rng(0).permutation(X.size)
    y = SATURATOR.render(X, 44_100, settings)
    np.testing.assert_allclose(SATURATOR.render(X[order], 44_100, settings), y[order], atol=1e-6)
    np.testing.assert_allclose(SATURATOR.render(-X, 44_100, settings), -y, atol=1e-6)


def test_the_four_curves_by_hand():
    def at(curve, value):
        return SATURATOR.render(np.array([value]), 44_100, {"drive": 0, "curve": curve})[0]

    assert at("hard", 0.5) == pytest.approx(0.5) and at("hard", 3) == pytest.approx(1)
    assert at("soft_sine", 1 / 3) == pytest.approx(0.5) and at("soft_sine", 3) == pytest.approx(1)
    assert at("fold", 1 / 3) == pytest.approx(0.5) and at("fold", 3) == pytest.approx(-1)
    assert at("analog", 0.5) == pytest.approx(0.46211716)


def test_output_is_the_gain_of_the_wet_path_only():
    wet_off = SATURATOR.render(X, 44_100, {"output": -24, "dry_wet": 50, "curve": "hard"})
    full = SATURATOR.render(X, 44_100, {"output": 0, "dry_wet": 50, "curve": "hard"})
    clipped = np.clip(X * 10 ** (12 / 20), -1, 1)
    np.testing.assert_allclose(full - wet_off, 0.5 * (1 - 10 ** (-24 / 20)) * clipped, atol=1e-5)
