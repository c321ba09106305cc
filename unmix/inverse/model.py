"""The whole model: encoder, decoder, heads; its losses and its answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from unmix import effects
from unmix.dataset import MAX_LENGTH
from unmix.inverse.decoder import ChainDecoder
from unmix.inverse.encoder import OPTIONAL, Encoder
from unmix.inverse.heads import Heads


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the model; saved beside its weights."""

    widths: tuple[int, ...] = (192, 256, 384)
    size: int = 512
    heads: int = 12
    hidden: int = 320
    components: int = 6
    decoder_hidden: int = 96
    geometry: str = "hyperbolic"
    dropout: float = 0.1
    timeline: int = 64
    inputs: tuple[str, ...] = OPTIONAL
    score_widths: tuple[int, ...] = (160, 192)
    sweep_widths: tuple[int, ...] = (16, 32, 48)
    effects: tuple[str, ...] = field(default_factory=effects.names)

    def to_dict(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> ModelConfig:
        tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return ModelConfig(**tuples)


@dataclass
class Belief:
    """What the network believes of one recording, given one chain.

    Attributes:
        order: effect numbers in registry order.
        log_prob: of the chain.
        mixtures: {effect: Mixture of batch 1} given the most probable switches.
        switches: {effect: (S,) option numbers}, the most probable ones.
        switch_log_probs: {effect: list of (options,) tensors}.
    """

    order: tuple[int, ...]
    log_prob: float
    mixtures: dict
    switches: dict
    switch_log_probs: dict

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(effects.names()[i] for i in self.order)


class InverseModel(nn.Module):
    """Recording (and source, if known) -> chains, switches, knobs."""

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = c = config or ModelConfig()
        self.encoder = Encoder(
            c.widths,
            c.size,
            c.heads,
            c.dropout,
            c.timeline,
            c.inputs,
            c.score_widths,
            c.sweep_widths,
        )
        self.decoder = ChainDecoder(c.size, c.decoder_hidden, c.geometry)
        self.heads = Heads(c.size, c.hidden, c.components, c.dropout)

    def knob_losses(self, z, batch) -> tuple[dict[str, torch.Tensor], dict]:
        """Losses of knobs and switches given the true chain.

        Returns:
            Sums over the effects of each chain, averaged over the batch: the negative
            log-likelihoods "knobs" and "switches", and the distance of the "guess"; and {effect:
            (rows, Mixture)}.
        """
        context = self.heads.context(z, batch["order"])
        parts = dict.fromkeys(("switches", "guess", "knobs"), z.new_zeros((), dtype=torch.float32))
        mixtures = {}
        for i, (name, head) in enumerate(self.heads.items()):
            rows = (batch["order"] == i).any(1).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            hidden, logits = head(context[rows])
            knobs, switches = batch[f"knobs.{name}"][rows], batch[f"switches.{name}"][rows]
            for s, switch_logits in enumerate(logits):
                wrong = F.cross_entropy(switch_logits, switches[:, s], reduction="sum")
                parts["switches"] = parts["switches"] + wrong
            mixtures[name] = rows, head.mixture(hidden, switches)
            parts["knobs"] = parts["knobs"] - mixtures[name][1].log_prob(knobs).sum()
            parts["guess"] = parts["guess"] + head.guess.distance(hidden, knobs).sum()
        return {name: part / len(z) for name, part in parts.items()}, mixtures

    def losses(self, batch: dict) -> dict[str, torch.Tensor]:
        """The parts of the loss for a batch of items (dataset.ChainSampler)."""
        z = self.encoder(batch)
        parts, _ = self.knob_losses(z, batch)
        return {"chain": -self.decoder(z, batch["order"]).mean(), **parts}

    @torch.no_grad()
    def believe(self, heard: dict, beams: int = 10) -> list[list[Belief]]:
        """The best chains for each recording of a batch of features, most probable first."""
        z = self.encoder(heard).float()
        return [
            [self._belief(row[None], order, p) for order, p in self.decoder.beam_search(row, beams)]
            for row in z
        ]

    def _belief(self, z, order: tuple[int, ...], log_prob: float) -> Belief:
        padded = torch.full((1, MAX_LENGTH), -1, dtype=torch.long, device=z.device)
        padded[0, : len(order)] = torch.tensor(order, dtype=torch.long, device=z.device)
        context = self.heads.context(z, padded)
        mixtures, switches, log_probs = {}, {}, {}
        for i in order:
            name = effects.names()[i]
            head = self.heads[name]
            hidden, logits = head(context)
            log_probs[name] = [x.log_softmax(-1)[0] for x in logits]
            best = [int(x.argmax()) for x in logits]
            switches[name] = torch.tensor(best, dtype=torch.long, device=z.device)
            mixtures[name] = head.mixture(hidden, switches[name][None])
        return Belief(order, log_prob, mixtures, switches, log_probs)
