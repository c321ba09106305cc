"""Intervals of a posterior: they hold the share they say, also round a circle."""

import math

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.inference.intervals import covered, posterior_intervals, posterior_unit_intervals
from unmix.nn.mixture_density import Mixture, from_normal

CIRCULAR = [n for n in effects.names() if effects.get(n).panel.circular.any()]


def posterior(name, angle=0.0, concentration=8.0):
    """One component: standard normal numbers, angles about ``angle`` (radians)."""
    circular = torch.from_numpy(effects.get(name).panel.circular)
    angles = int(circular.sum())
    numbers = len(circular) - angles
    return Mixture(
        torch.zeros(1, 1),
        torch.zeros(1, 1, numbers),
        torch.eye(numbers)[None, None],
        torch.full((1, 1, angles), angle),
        torch.full((1, 1, angles), concentration),
        circular,
    )


@pytest.mark.parametrize("name", effects.names())
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_share_of_true_values_that_an_interval_holds(name, share):
    mixture, generator = posterior(name, angle=0.1), torch.Generator().manual_seed(0)
    truths = mixture.sample(2_000, generator)[:, 0].numpy()
    found = posterior_unit_intervals(name, mixture, share, generator)
    hits = np.array([covered(name, found, u) for u in truths]).mean(0)
    assert (abs(hits - share) < 0.08).all()


def test_intervals_of_a_standard_normal_by_hand():
    name = next(n for n in effects.names() if n not in CIRCULAR)
    found = posterior_unit_intervals(name, posterior(name), 0.8, torch.Generator().manual_seed(1))
    expected = [float(from_normal(torch.tensor(v))) for v in (-1.2816, 1.2816)]
    assert all(pair == pytest.approx(expected, abs=0.06) for pair in found)


@pytest.mark.parametrize("name", CIRCULAR)
def test_an_angle_about_0_goes_through_0(name):
    generator = torch.Generator().manual_seed(0)
    found = posterior_unit_intervals(
        name, posterior(name, angle=0.0, concentration=50.0), 0.9, generator
    )
    knob = int(effects.get(name).panel.circular.argmax())
    low, high = found[knob]
    assert low > 0.9 and high < 0.1
    knobs = np.full(len(found), 0.5)
    assert not covered(name, found, knobs)[knob]
    knobs[knob] = 0.99
    assert covered(name, found, knobs)[knob]
    units = posterior_intervals(name, posterior(name, angle=math.pi), generator)
    low, high = units[effects.get(name).knobs[knob].name]
    assert 90 < low < 180 < high < 270
