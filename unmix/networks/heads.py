"""Heads: the posterior of knobs and switches of each effect, given the whole chain."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from unmix.chain import MAX_LENGTH
from unmix.effects import Effect, EffectSet
from unmix.networks.branches import KnobBranch
from unmix.nn.mixture_density import Mixture, MixtureDensity, split


def chain_code(order: torch.Tensor, count: int) -> torch.Tensor:
    """(…, MAX_LENGTH) effect numbers, −1 behind the end -> (…, MAX_LENGTH · count) one-hot."""
    where = F.one_hot(order + 1, count + 1)[..., 1:]  # (…, MAX_LENGTH, count)
    return where.flatten(-2).float()


class PointEstimate(nn.Linear):
    """Point estimate of the knobs, trained for its mean distance from the true ones.

    The likelihood divides the gradient of a mean by its variance, so that uncertain knobs hardly
    improve (Seitzer et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation with
    Probabilistic Neural Networks", ICLR 2022). The gradient of a distance does not depend on the
    variance. The mixture's means are offset by the estimate, and the layers below learn from it.

    Shape: hidden (B, inputs) -> (B, numbers + 2 · angles): numbers in 0…1, then a vector for each
    angle. At first every number is about 0.5.
    """

    def __init__(self, inputs: int, circular):
        is_angle = tuple(map(bool, circular))
        angles = sum(is_angle)
        numbers = len(is_angle) - angles
        super().__init__(inputs, numbers + 2 * angles)
        self.is_angle, self.numbers = is_angle, numbers
        with torch.no_grad():
            self.weight.mul_(0.1)
            self.bias.zero_()
            self.bias[: self.numbers] = 0.5

    def forward(self, hidden):
        with torch.autocast(hidden.device.type, enabled=False):
            return super().forward(hidden.float())

    def distance(self, hidden: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """From the true knobs u (B, K) in 0…1: Σ |û − u| over the numbers and (1 − cos) / 4 over
        the angles, (B,)."""
        numbers, vectors = self(hidden).split((self.numbers, self.out_features - self.numbers), -1)
        x, y = vectors.unflatten(-1, (-1, 2)).unbind(-1)
        true_numbers, angles = split(u, self.is_angle)
        turn = 2 * math.pi * angles
        cosine = (x * turn.cos() + y * turn.sin()) / (x.square() + y.square() + 1e-4).sqrt()
        return (numbers - true_numbers).abs().sum(-1) + (1 - cosine).sum(-1) / 4


class EffectHead(nn.Module):
    """One effect: branches of its own, switch classifiers, a point estimate of the knobs, and their
    mixture density.

    Branches shared by all effects lost the details that single knobs depend on. The density is of
    the knobs given the switches: what a gain of 6 dB does depends on the mode.

    The attribute names ``reader`` and ``guess`` are those of the weights in files.

    Args:
        effect: the effect.
        vocabulary: number of effects of the network.
        config: model.ModelConfig.
    """

    def __init__(self, effect: Effect, vocabulary: int, config):
        super().__init__()
        self.vocabulary, hidden = vocabulary, config.hidden
        self.options = [len(switch.options) for switch in effect.switches]
        self.reader = KnobBranch(config.knob_score_widths, config.sweep_widths)
        self.join = nn.Linear(self.reader.outputs, hidden)
        self.chain = nn.Linear(vocabulary * MAX_LENGTH, hidden, bias=False)
        self.hidden = nn.Sequential(
            nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.switches = nn.ModuleList(nn.Linear(hidden, count) for count in self.options)
        self.knobs = MixtureDensity(
            hidden + sum(self.options), effect.panel.circular, config.components
        )
        self.guess = PointEstimate(hidden, effect.panel.circular)
        self.around = nn.Linear(
            self.guess.out_features, self.knobs.project.out_features, bias=False
        )
        nn.init.zeros_(self.around.weight)

    def embed(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Embedding of the recording, which does not depend on the chain: (B, hidden)."""
        return self.join(self.reader(inputs))

    def forward(
        self, embedded: torch.Tensor, order: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Embedding (B, hidden) and chain (B, MAX_LENGTH) -> hidden vector (B, hidden) and logits
        (B, options) of each switch."""
        hidden = self.hidden(embedded + self.chain(chain_code(order, self.vocabulary)))
        return hidden, [switch(hidden).float() for switch in self.switches]

    def mixture(self, hidden: torch.Tensor, switches: torch.Tensor) -> Mixture:
        """Knobs given the hidden vector and option numbers (B, S)."""
        codes = [F.one_hot(switches[:, i], n) for i, n in enumerate(self.options)]
        context = torch.cat([hidden, *(code.to(hidden.dtype) for code in codes)], -1)
        with torch.autocast(hidden.device.type, enabled=False):
            shift = self.around(self.guess(hidden).detach())
        return self.knobs(context, shift)

    def losses(
        self,
        inputs: dict[str, torch.Tensor],
        order: torch.Tensor,
        knobs: torch.Tensor,
        switches: torch.Tensor,
    ) -> tuple[dict[str, torch.Tensor], Mixture]:
        """Of B chains with the effect, against its true knobs (B, K) in 0…1 and option numbers
        (B, S): the negative log-likelihoods "knobs" and "switches", and the distance "guess" of
        the point estimate, (B,) each; and the mixture."""
        hidden, logits = self(self.embed(inputs), order)
        mixture = self.mixture(hidden, switches)
        wrong = [
            F.cross_entropy(switch_logits, switches[:, s], reduction="none")
            for s, switch_logits in enumerate(logits)
        ]
        return {
            "switches": sum(wrong, hidden.new_zeros(len(order), dtype=torch.float32)),
            "guess": self.guess.distance(hidden, knobs),
            "knobs": -mixture.log_prob(knobs),
        }, mixture


class Heads(nn.ModuleDict):
    """One EffectHead for each effect of a network, in the order of their numbers.

    Args:
        effects: of the network.
        config: model.ModelConfig.
    """

    def __init__(self, effects: EffectSet, config):
        super().__init__(
            {name: EffectHead(effects.get(name), len(effects), config) for name in effects.names}
        )
