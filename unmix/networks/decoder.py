"""Decoders that write a chain, effect by effect: hyperbolic, and a Euclidean one to compare.

Tokens are the effects by their numbers in the network's set, then END. Only valid chains can come
out: no effect twice, at most MAX_LENGTH, and of chains that nobody can tell apart only the
canonical one.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from unmix.chain import MAX_LENGTH, canonical_order
from unmix.effects import EffectSet
from unmix.nn.poincare import Ball, HyperplaneLogits, MobiusGRUCell

# of chains of one to five effects in what a network learns (training.datasets.ChainData.draw)
LENGTH_SHARES = (0.1, 0.2, 0.2, 0.2, 0.3)
TANGENT_RADIUS = 2.0  # encoder outputs enter the ball no farther out than this


class HyperbolicCore(nn.Module):
    """Möbius GRU whose input is the token before and the embedding, all points of the ball."""

    def __init__(self, size: int, hidden: int, tokens: int):
        super().__init__()
        self.manifold = Ball(c=1.0, learnable=True)
        self.enter = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 2 * hidden))
        self.embedding = nn.Parameter(0.1 * torch.randn(tokens, hidden))
        self.cell = MobiusGRUCell(self.manifold, hidden, hidden)
        self.leave = HyperplaneLogits(self.manifold, hidden, tokens)

    def _point(self, tangent: torch.Tensor) -> torch.Tensor:
        norm = tangent.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        tangent = tangent / norm * TANGENT_RADIUS * torch.tanh(norm / TANGENT_RADIUS)
        return self.manifold.expmap0(tangent)

    def start(self, z):
        first, context = self.enter(z).float().chunk(2, -1)
        return self._point(first), self._point(context)

    def gate_inputs(self, context, tokens):
        words = self.manifold.expmap0(self.embedding)[tokens]
        return self.cell.read(self.manifold.mobius_add(context[:, None], words))

    def step(self, hidden, inputs):
        return self.cell(inputs, hidden)

    def logits(self, hidden):
        return self.leave(hidden)


class EuclideanCore(nn.Module):
    """The same decoder with an ordinary GRU and a linear output, for the comparison."""

    def __init__(self, size: int, hidden: int, tokens: int):
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 2 * hidden))
        self.embedding = nn.Parameter(0.1 * torch.randn(tokens, hidden))
        self.cell = nn.GRUCell(hidden, hidden)
        self.leave = nn.Linear(hidden, tokens)

    def start(self, z):
        first, context = self.enter(z).float().chunk(2, -1)
        return torch.tanh(first), context

    def gate_inputs(self, context, tokens):
        return context[:, None] + self.embedding[tokens]

    def step(self, hidden, inputs):
        return self.cell(inputs, hidden)

    def logits(self, hidden):
        return self.leave(hidden)


CORES = {"hyperbolic": HyperbolicCore, "euclidean": EuclideanCore}


class ChainDecoder(nn.Module):
    """Chain probabilities given an embedding.

    Args:
        effects: its vocabulary.
        size: of the embedding z.
        hidden: of the recurrent state.
        geometry: a key of CORES.
    """

    def __init__(
        self, effects: EffectSet, size: int, hidden: int = 96, geometry: str = "hyperbolic"
    ):
        super().__init__()
        self.end = len(effects)
        self.start_token = self.end  # END before the first effect means "nothing yet"
        self.core = CORES[geometry](size, hidden, self.end + 1)
        # may token b follow token a? (a: effects and the start)
        may = torch.ones(self.end + 1, self.end + 1, dtype=torch.bool)
        for a, first in enumerate(effects.names):
            for b, second in enumerate(effects.names):
                may[a, b] = canonical_order((first, second)) == (first, second)
        self.register_buffer("may_follow", may, persistent=False)

    def _mask(self, logits, previous, used, length):
        """Log-probabilities of the tokens (…, tokens) that may come behind ``length`` effects."""
        allowed = self.may_follow[previous] & ~used & (length < MAX_LENGTH)
        allowed[..., self.end] = True
        return logits.masked_fill(~allowed, float("-inf")).log_softmax(-1)

    def forward(self, z: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        """Teacher forcing: z (B, size), order (B, MAX_LENGTH) of effect numbers with −1 behind
        the end -> log-probability of each chain (B,)."""
        with torch.autocast(z.device.type, enabled=False):
            hidden, context = self.core.start(z.float())
            targets = torch.cat([order, order.new_full((len(order), 1), -1)], 1)
            targets = torch.where(targets < 0, self.end, targets)
            start = torch.full_like(order[:, :1], self.start_token)
            previous = torch.cat([start, targets[:, :-1]], 1)
            inputs, states = self.core.gate_inputs(context, previous), []
            for i in range(MAX_LENGTH + 1):
                hidden = self.core.step(hidden, inputs[:, i])
                states.append(hidden)
            logits = self.core.logits(torch.stack(states, 1))  # (B, places, tokens)
            here = nn.functional.one_hot(targets, self.end + 1)
            used = here.cumsum(1) > here
            places = torch.arange(MAX_LENGTH + 1, device=z.device)
            log_p = self._mask(logits, previous, used, places[:, None])
            gained = log_p.gather(-1, targets[..., None])[..., 0]
            return gained.masked_fill(used[..., self.end], 0).sum(1)

    @torch.no_grad()
    def beam_search(
        self, z: torch.Tensor, beams: int = 10, even: bool = False
    ) -> list[tuple[tuple[int, ...], float]]:
        """The best chains for one embedding z (size,), as (effect numbers, log-probability); with
        ``even`` all lengths have the same prior probability."""
        start, context = self.core.start(z.float()[None])
        open_chains = [((), 0.0, start)]
        finished: list[tuple[tuple[int, ...], float]] = []
        for i in range(MAX_LENGTH + 1):
            if not open_chains:
                break
            hidden = torch.cat([h for _, _, h in open_chains])
            last = [chain[-1] if chain else self.start_token for chain, _, _ in open_chains]
            previous = torch.tensor(last, device=z.device)
            used = torch.zeros(len(last), self.end + 1, dtype=torch.bool, device=z.device)
            for row, (chain, _, _) in enumerate(open_chains):
                used[row, list(chain)] = True
            inputs = self.core.gate_inputs(context.expand(len(last), -1), previous[:, None])
            hidden = self.core.step(hidden, inputs[:, 0])
            log_p = self._mask(self.core.logits(hidden), previous, used, i).tolist()
            grown = []
            for row, (chain, score, _) in enumerate(open_chains):
                finished.append((chain, score + log_p[row][self.end]))
                grown += [
                    ((*chain, token), score + log_p[row][token], hidden[row : row + 1])
                    for token in range(self.end)
                    if log_p[row][token] > float("-inf")
                ]
            open_chains = sorted(grown, key=lambda item: -item[1])[:beams]
        if even:
            finished = evened(finished)
        return sorted(finished, key=lambda item: -item[1])[:beams]


def evened(chains: list[tuple[tuple[int, ...], float]]) -> list[tuple[tuple[int, ...], float]]:
    """Chains with their log-probabilities as if all lengths came equally often in training, by
    Bayes' theorem; what is not among the chains counts as it did."""
    gains = [0.0, *(-math.log(len(LENGTH_SHARES) * share) for share in LENGTH_SHARES)]
    gained = [(chain, p + gains[len(chain)]) for chain, p in chains]
    total = 1 + sum(math.exp(p) for _, p in gained) - sum(math.exp(p) for _, p in chains)
    return [(chain, p - math.log(total)) for chain, p in gained]
