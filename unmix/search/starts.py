"""Initial points of a search: from the network's posterior, or around a given chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from unmix import effects
from unmix.chain import Chain
from unmix.networks.posterior import posterior_chain
from unmix.search.parameter_batch import ParameterBatch
from unmix.search.point import InitialPoint


@dataclass(frozen=True)
class InitialSettings:
    """How initial points are drawn. "Not tuned": no trial is on record that chose the value."""

    # draws from the posterior of each candidate chain, beside its medians; not tuned
    samples: int = 24
    # options of a switch that are at least so probable are tried from the beginning; not tuned
    likely_option: float = 0.02
    # standard deviation of points around a given chain, in the normal space of the knobs; not tuned
    spread: float = 0.3


INITIAL = InitialSettings()


def _point(posterior, knobs: dict[str, torch.Tensor], switches: dict | None = None) -> InitialPoint:
    return InitialPoint(
        posterior_chain(posterior, knobs, switches), posterior.log_prob, posterior.mixtures
    )


def _drawn(log_probs: Sequence[torch.Tensor], generator) -> torch.Tensor:
    """One option of each switch, by its probability: (S,)."""
    options = [torch.multinomial(row.exp(), 1, generator=generator) for row in log_probs]
    return torch.cat(options) if options else torch.zeros(0, dtype=torch.long)


def prediction(posterior) -> InitialPoint:
    """The chain of a networks.posterior.Posterior with its most probable switches and median
    knobs."""
    return _point(posterior, {n: mixture.median()[0] for n, mixture in posterior.mixtures.items()})


def initial_points(
    posteriors: Sequence,
    generator: torch.Generator | None = None,
    settings: InitialSettings = INITIAL,
) -> list[InitialPoint]:
    """Of each posterior (networks.posterior.Posterior) the prediction, draws of knobs and switches,
    and the prediction with each other likely option.

    The first point is the prediction of the first posterior.
    """
    points = []
    for posterior in posteriors:
        first = prediction(posterior)
        points.append(first)
        draws = {
            n: m.sample(settings.samples, generator)[:, 0] for n, m in posterior.mixtures.items()
        }
        for i in range(settings.samples if draws else 0):
            switches = {n: _drawn(posterior.switch_log_probs[n], generator) for n in draws}
            points.append(_point(posterior, {name: u[i] for name, u in draws.items()}, switches))
        points += _likely_options(posterior, first, settings.likely_option)
    return points


def _likely_options(posterior, first: InitialPoint, least: float) -> list[InitialPoint]:
    """The prediction with each other option that has at least that probability."""
    return [
        replace(first, chain=chain)
        for name in posterior.names
        for switch, log_probs in zip(
            effects.get(name).switches, posterior.switch_log_probs[name], strict=True
        )
        for option, log_prob in zip(switch.options, log_probs.tolist(), strict=True)
        if log_prob > math.log(least)
        for chain in _with_option(first.chain, name, switch.name, option)
    ]


def perturbed(
    chain: Chain,
    count: int,
    generator: torch.Generator | None = None,
    settings: InitialSettings = INITIAL,
) -> list[InitialPoint]:
    """The chain itself, then ``count`` copies with every knob moved at random."""
    points = [InitialPoint(chain)]
    for _ in range(count if chain.steps else 0):
        batch = ParameterBatch(points[:1])
        with torch.no_grad():
            for tensor in batch.free.values():
                tensor += settings.spread * torch.randn(tensor.shape, generator=generator)
        points.append(InitialPoint(batch.chain(0)))
    return points


def _with_option(chain: Chain, effect: str, switch: str, option: str) -> list[Chain]:
    """The chain with one switch at another option; nothing if it has that already."""
    steps = dict(chain.steps)
    if steps[effect][switch] == option:
        return []
    steps[effect] = steps[effect] | {switch: option}
    return [Chain(steps.items())]
