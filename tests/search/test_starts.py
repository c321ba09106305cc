"""Initial points: drawn from the posteriors; batches of them keep their settings."""

import math

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.nn.mixture_density import Mixture, to_normal
from unmix.search.parameter_batch import ParameterBatch
from unmix.search.point import InitialPoint
from unmix.search.starts import InitialSettings, initial_points


def certain(name: str, u: float, sharpness: float = 20.0) -> Mixture:
    """One narrow component about u for every knob."""
    circular = torch.from_numpy(effects.get(name).panel.circular)
    numbers, angles = int((~circular).sum()), int(circular.sum())
    return Mixture(
        torch.zeros(1, 1),
        to_normal(torch.full((1, 1, numbers), u)),
        sharpness * torch.eye(numbers)[None, None],
        torch.full((1, 1, angles), 2 * math.pi * u),
        torch.full((1, 1, angles), 100.0),
        circular,
    )


class Posterior:
    """A networks.posterior.Posterior made by hand: every knob at u, all options as likely."""

    def __init__(self, names, u, log_prob):
        self.names, self.log_prob = names, log_prob
        self.mixtures = {name: certain(name, u) for name in names}
        counts = {name: [len(s.options) for s in effects.get(name).switches] for name in names}
        self.switches = {n: torch.zeros(len(c), dtype=torch.long) for n, c in counts.items()}
        self.switch_log_probs = {
            n: [torch.full((k,), -math.log(k)) for k in c] for n, c in counts.items()
        }


def test_initial_points_are_the_prediction_samples_and_other_options(two_effects):
    first, last = two_effects
    posteriors = [Posterior((first, last), 0.4, -0.1), Posterior((last,), 0.6, -3.0)]
    points = initial_points(
        posteriors, torch.Generator().manual_seed(0), InitialSettings(samples=3)
    )
    assert points[0].chain.names == (first, last)
    knobs, _ = effects.get(first).to_unit(dict(points[0].chain.steps)[first])
    np.testing.assert_allclose(knobs, 0.4, atol=1e-4)
    options = sum(len(s.options) - 1 for n in two_effects for s in effects.get(n).switches)
    assert sum(s.log_prob == -0.1 for s in points) == 1 + 3 + options
    assert points[0].mixtures.keys() == {first, last}


def test_an_empty_chain_is_an_initial_point_too():
    (point,) = initial_points([Posterior((), 0.5, -0.2)])
    assert point.chain.steps == []


@pytest.mark.parametrize("name", effects.names())
def test_batches_give_back_the_settings_they_were_made_from(name):
    effect = effects.get(name)
    settings = effect.sample(np.random.default_rng(1))
    batch = ParameterBatch(
        [InitialPoint(Chain([(name, settings)])), InitialPoint(Chain([(name, {})]))]
    )
    knobs, switches = effect.to_unit(settings)
    again, again_switches = effect.to_unit(dict(batch.chain(0).steps)[name])
    assert effect.panel.distance(knobs, again).max() < 2e-3  # the ends of a range are left out
    assert (switches == again_switches).all()


def test_the_negative_log_prior_rises_away_from_the_posterior(two_effects):
    name = two_effects[0]
    mixtures = {name: certain(name, 0.5)}
    near, far = (
        InitialPoint(Chain([(name, effects.get(name).from_unit([u] * n, [0] * s))]), -1.0, mixtures)
        for n, s in [(len(effects.get(name).knobs), len(effects.get(name).switches))]
        for u in (0.5, 0.8)
    )
    batch = ParameterBatch([near, far])
    negative_log_prior = batch.negative_log_prior(batch.knobs())
    assert negative_log_prior[1] > negative_log_prior[0] + 10
