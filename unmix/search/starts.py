"""Where refine starts: chains drawn from the network's belief, and batches of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.networks.posterior import posterior_chain
from unmix.nn.mixture_density import Mixture, from_normal, to_normal

SAMPLES = 24  # drawn from the belief of each chain, beside its medians


LIKELY_OPTION = 0.02  # options at least this probable are tried from the start


TURN = 6.0  # one turn of a circular knob in optimiser units: like the width of the normal space
SPREAD = 0.3  # of starts around a given chain, in normal space


@dataclass(frozen=True, eq=False)
class InitialPoint:
    """Where a search begins.

    Attributes:
        chain: with complete settings.
        log_prob: of its effects in that order, by the network; None if nobody said.
        mixtures: {effect: Mixture of batch 1}, what is believed of the knobs; may be empty.
    """

    chain: Chain
    log_prob: float | None = None
    mixtures: dict[str, Mixture] = field(default_factory=dict)


def _start(posterior, knobs: dict[str, torch.Tensor], switches: dict | None = None) -> InitialPoint:
    return InitialPoint(
        posterior_chain(posterior, knobs, switches), posterior.log_prob, posterior.mixtures
    )


def _drawn(log_probs: Sequence[torch.Tensor], generator) -> torch.Tensor:
    """One option of each switch, by its probability: (S,)."""
    options = [torch.multinomial(row.exp(), 1, generator=generator) for row in log_probs]
    return torch.cat(options) if options else torch.zeros(0, dtype=torch.long)


def prediction(posterior) -> InitialPoint:
    """The chain of an inverse.model.Belief with its most probable switches and median knobs."""
    return _start(posterior, {n: mixture.median()[0] for n, mixture in posterior.mixtures.items()})


def initial_points(
    posteriors: Sequence, samples: int = SAMPLES, generator: torch.Generator | None = None
) -> list[InitialPoint]:
    """Prediction, samples and likely other options of each belief (inverse.model.Belief). The
    samples draw switches, too.

    The first start is the prediction of the first belief.
    """
    starts = []
    for posterior in posteriors:
        first = prediction(posterior)
        starts.append(first)
        draws = {n: m.sample(samples, generator)[:, 0] for n, m in posterior.mixtures.items()}
        for i in range(samples if draws else 0):
            switches = {n: _drawn(posterior.switch_log_probs[n], generator) for n in draws}
            starts.append(_start(posterior, {name: u[i] for name, u in draws.items()}, switches))
        for name in posterior.names:
            for switch, log_probs in zip(
                effects.get(name).switches, posterior.switch_log_probs[name], strict=True
            ):
                for option, log_prob in zip(switch.options, log_probs.tolist(), strict=True):
                    if log_prob > math.log(LIKELY_OPTION):
                        starts += [
                            InitialPoint(chain, posterior.log_prob, posterior.mixtures)
                            for chain in _with_option(first.chain, name, switch.name, option)
                        ]
    return starts


def perturbed(
    chain: Chain, count: int, generator: torch.Generator | None = None
) -> list[InitialPoint]:
    """The chain itself, then ``count`` copies with every knob moved at random (SPREAD)."""
    starts = [InitialPoint(chain)]
    for _ in range(count if chain.steps else 0):
        rows = ParameterBatch(starts[:1])
        with torch.no_grad():
            for free in rows.free.values():
                free += SPREAD * torch.randn(free.shape, generator=generator)
        starts.append(InitialPoint(rows.chain(0)))
    return starts


def _with_option(chain: Chain, effect: str, switch: str, option: str) -> list[Chain]:
    """The chain with one switch moved; nothing if it stands there already."""
    steps = dict(chain.steps)
    if steps[effect][switch] == option:
        return []
    steps[effect] = steps[effect] | {switch: option}
    return [Chain(steps.items())]


class ParameterBatch:
    """A batch of chains with free knobs: one parameter tensor (B, K) per effect, unconstrained.

    Attributes:
        order: (B, length), the effects' places in ``free``, −1 behind the end.
        free: {effect: (B, K)}, unconstrained.
        switches: {effect: (B, S) option numbers}.
    """

    def __init__(self, starts: Sequence[InitialPoint]):
        self.starts = list(starts)
        used = [name for name in effects.names() if any(name in s.chain.names for s in starts)]
        longest = max(len(start.chain.names) for start in starts)
        self.order = torch.full((len(starts), longest), -1, dtype=torch.long)
        for row, start in enumerate(starts):
            for place, name in enumerate(start.chain.names):
                self.order[row, place] = used.index(name)
        self.free, self.switches = {}, {}
        for name in used:
            settings = [dict(s.chain.steps).get(name, {}) for s in starts]
            knobs, switches = zip(*(effects.get(name).to_unit(s) for s in settings), strict=True)
            u = torch.from_numpy(np.stack(knobs))
            circular = self._circular(name)
            self.free[name] = torch.where(circular, u * TURN, to_normal(u)).requires_grad_()
            self.switches[name] = torch.from_numpy(np.stack(switches))
        self.posteriors = {name: b for name in used if (b := self._posterior(name)) is not None}

    @staticmethod
    def _circular(name: str) -> torch.Tensor:
        return torch.from_numpy(effects.get(name).panel.circular)

    def _posterior(self, name: str):
        """(rows, their Mixture) for one effect, or None if nothing is believed of it."""
        rows = [i for i, s in enumerate(self.starts) if name in s.mixtures]
        rows = [i for i in rows if name in self.starts[i].chain.names]
        if not rows:
            return None
        return torch.tensor(rows), Mixture.joined([self.starts[i].mixtures[name] for i in rows])

    def __len__(self) -> int:
        return len(self.starts)

    def knobs(self) -> dict[str, torch.Tensor]:
        """{effect: (B, K) in 0…1}, differentiable."""
        return {
            name: torch.where(self._circular(name), (v / TURN) % 1.0, from_normal(v))
            for name, v in self.free.items()
        }

    def chain(self, row: int) -> Chain:
        """The chain of one row as it stands."""
        knobs = self.knobs()
        return Chain(
            (
                name,
                effects.get(name).from_unit(
                    knobs[name][row].tolist(), self.switches[name][row].tolist()
                ),
            )
            for name in self.starts[row].chain.names
        )

    def start(self, row: int, chain: Chain | None = None) -> InitialPoint:
        """A start at this row's place, or at ``chain``, with this row's beliefs."""
        origin = self.starts[row]
        return InitialPoint(chain or self.chain(row), origin.log_prob, origin.mixtures)

    def negative_log_prior(self, knobs: dict[str, torch.Tensor]) -> torch.Tensor:
        """−log q(knobs) of each row by its belief: (B,)."""
        total = torch.zeros(len(self))
        for name, (rows, mixture) in self.posteriors.items():
            total = total.index_add(0, rows, -mixture.log_prob(knobs[name][rows]))
        return total
