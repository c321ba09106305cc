"""A batch of chains as unconstrained tensors, for descents through the proxies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.nn.mixture_density import Mixture, from_normal, to_normal
from unmix.search.point import InitialPoint

TURN = 6.0  # one turn of an angle in optimiser units, as wide as the normal space; not tuned


class ParameterBatch:
    """A batch of chains whose knobs are unconstrained: one parameter tensor (B, K) per effect.

    Attributes:
        points: of each row. order: (B, longest), the effects' numbers in ``free``, −1 where a chain
            has ended.
        free: {effect: (B, K)}, unconstrained; switches: {effect: (B, S)}.
    """

    def __init__(self, points: Sequence[InitialPoint]):
        self.points = list(points)
        longest = max(len(point.chain.names) for point in points)
        self.order = torch.full((len(points), longest), -1, dtype=torch.long)
        used = [name for name in effects.names() if any(name in p.chain.names for p in points)]
        for row, point in enumerate(points):
            for position, name in enumerate(point.chain.names):
                self.order[row, position] = used.index(name)
        self.free, self.switches = {}, {}
        for name in used:
            settings = [dict(point.chain.steps).get(name, {}) for point in points]
            knobs, switches = zip(*(effects.get(name).to_unit(s) for s in settings), strict=True)
            u = torch.from_numpy(np.stack(knobs))
            circular = self._circular(name)
            self.free[name] = torch.where(circular, u * TURN, to_normal(u)).requires_grad_()
            self.switches[name] = torch.from_numpy(np.stack(switches))
        self.posteriors = {name: p for name in used if (p := self._posterior(name)) is not None}

    @staticmethod
    def _circular(name: str) -> torch.Tensor:
        return torch.from_numpy(effects.get(name).panel.circular)

    def _posterior(self, name: str):
        """(rows, their Mixture) for one effect, or None if there is no posterior of it."""
        rows = [i for i, p in enumerate(self.points) if name in p.mixtures]
        rows = [i for i in rows if name in self.points[i].chain.names]
        if not rows:
            return None
        return torch.tensor(rows), Mixture.joined([self.points[i].mixtures[name] for i in rows])

    def __len__(self) -> int:
        return len(self.points)

    def knobs(self) -> dict[str, torch.Tensor]:
        """{effect: (B, K) in 0…1}, differentiable."""
        return {
            name: torch.where(self._circular(name), (v / TURN) % 1.0, from_normal(v))
            for name, v in self.free.items()
        }

    def chain(self, row: int) -> Chain:
        """The present chain of one row."""
        knobs = self.knobs()
        return Chain(
            (
                name,
                effects.get(name).from_unit(
                    knobs[name][row].tolist(), self.switches[name][row].tolist()
                ),
            )
            for name in self.points[row].chain.names
        )

    def negative_log_prior(self, knobs: dict[str, torch.Tensor]) -> torch.Tensor:
        """−log q(knobs) of each row by its posterior: (B,)."""
        total = torch.zeros(len(self))
        for name, (rows, mixture) in self.posteriors.items():
            total = total.index_add(0, rows, -mixture.log_prob(knobs[name][rows]))
        return total
