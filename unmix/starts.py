"""Where refine starts: chains drawn from the network's belief, and batches of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.nn.mixture import Mixture, from_normal, to_normal

SAMPLES = 4  # drawn from the belief of each chain, beside its centre
LIKELY_OPTION = 0.02  # options at least this probable are tried from the start
TURN = 6.0  # one turn of a circular knob in optimiser units: like the width of the normal space


@dataclass(frozen=True, eq=False)
class Start:
    """Where a search begins.

    Attributes:
        chain: with complete settings.
        log_prob: of its effects in that order, by the network; None if nobody said.
        mixtures: {effect: Mixture of batch 1}, what is believed of the knobs; may be empty.
    """

    chain: Chain
    log_prob: float | None = None
    mixtures: dict[str, Mixture] = field(default_factory=dict)


def starts_from_beliefs(
    beliefs: Sequence, samples: int = SAMPLES, generator: torch.Generator | None = None
) -> list[Start]:
    """Centre, samples and likely other options of each believed chain (inverse.model.Belief).

    The first start is the prediction: the most probable chain with its centre.
    """
    starts = []
    for belief in beliefs:
        knobs = {name: mixture.centre()[None] for name, mixture in belief.mixtures.items()}
        if samples and belief.names:
            knobs = {
                name: torch.cat([knobs[name], mixture.sample(samples, generator)])[:, 0]
                for name, mixture in belief.mixtures.items()
            }
        else:
            knobs = {name: u[:, 0] for name, u in knobs.items()}
        draws = [
            Chain(
                (name, effects.get(name).from_unit(knobs[name][i].tolist(), belief.switches[name]))
                for name in belief.names
            )
            for i in range(samples + 1 if belief.names else 1)
        ]
        for name in belief.names:
            for switch, log_probs in zip(
                effects.get(name).switches, belief.switch_log_probs[name], strict=True
            ):
                for option, log_prob in zip(switch.options, log_probs.tolist(), strict=True):
                    if log_prob > math.log(LIKELY_OPTION):
                        draws += _with_option(draws[0], name, switch.name, option)
        starts += [Start(chain, belief.log_prob, belief.mixtures) for chain in draws]
    return starts


def _with_option(chain: Chain, effect: str, switch: str, option: str) -> list[Chain]:
    """The chain with one switch moved; nothing if it stands there already."""
    steps = dict(chain.steps)
    if steps[effect][switch] == option:
        return []
    steps[effect] = steps[effect] | {switch: option}
    return [Chain(steps.items())]


def flips(chain: Chain) -> list[Chain]:
    """Every chain that differs from this one in a single switch."""
    return [
        other
        for name in chain.names
        for switch in effects.get(name).switches
        for option in switch.options
        for other in _with_option(chain, name, switch.name, option)
    ]


class Rows:
    """A batch of chains with free knobs: one parameter tensor (B, K) per effect, unconstrained."""

    def __init__(self, starts: Sequence[Start]):
        registry = effects.names()
        self.starts = list(starts)
        longest = max(len(start.chain.names) for start in starts)
        self.order = torch.full((len(starts), longest), -1, dtype=torch.long)
        for row, start in enumerate(starts):
            for place, name in enumerate(start.chain.names):
                self.order[row, place] = registry.index(name)
        used = [name for name in registry if any(name in s.chain.names for s in starts)]
        self.free, self.switches = {}, {}
        for name in used:
            settings = [dict(s.chain.steps).get(name, {}) for s in starts]
            knobs, switches = zip(*(effects.get(name).to_unit(s) for s in settings), strict=True)
            u = torch.from_numpy(np.stack(knobs))
            circular = self._circular(name)
            self.free[name] = torch.where(circular, u * TURN, to_normal(u)).requires_grad_()
            self.switches[name] = torch.from_numpy(np.stack(switches))
        self.beliefs = {name: b for name in used if (b := self._belief(name)) is not None}

    @staticmethod
    def _circular(name: str) -> torch.Tensor:
        return torch.from_numpy(effects.get(name).panel.circular)

    def _belief(self, name: str):
        """(rows, their Mixture) for one effect, or None if nothing is believed of it."""
        rows = [i for i, s in enumerate(self.starts) if name in s.mixtures]
        rows = [i for i in rows if name in self.starts[i].chain.names]
        if not rows:
            return None
        parts = [self.starts[i].mixtures[name] for i in rows]
        fields = ("log_weights", "mean", "precision", "angle", "concentration")
        joined = [torch.cat([getattr(part, f) for part in parts]) for f in fields]
        return torch.tensor(rows), Mixture(*joined, parts[0].circular)

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

    def start(self, row: int, chain: Chain | None = None) -> Start:
        """A start at this row's place, or at ``chain``, with this row's beliefs."""
        origin = self.starts[row]
        return Start(chain or self.chain(row), origin.log_prob, origin.mixtures)

    def surprise(self, knobs: dict[str, torch.Tensor]) -> torch.Tensor:
        """−log q(knobs) of each row by its belief: (B,)."""
        total = torch.zeros(len(self))
        for name, (rows, mixture) in self.beliefs.items():
            total = total.index_add(0, rows, -mixture.log_prob(knobs[name][rows]))
        return total
