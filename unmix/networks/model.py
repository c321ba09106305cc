"""The whole model: encoder, decoder, heads; its losses and its answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from unmix.chain import MAX_LENGTH
from unmix.effects import EffectSet, names
from unmix.features.spec import GROUPS, NAMES
from unmix.networks.branches import KnobBranch
from unmix.networks.decoder import ChainDecoder
from unmix.networks.encoder import Encoder
from unmix.networks.heads import Heads
from unmix.networks.inputs import network_inputs
from unmix.networks.posterior import Posterior
from unmix.runtime.workers import thread_map

PARTS = {"chain": ("encoder", "decoder"), "knobs": ("heads",)}  # that are trained apart
UNUSED = {"chain": set(), "knobs": set(NAMES) - set(KnobBranch.INPUTS)}  # features, by part


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, inputs and effects of the model; saved beside its weights.

    Attributes:
        widths: channels of the stages of the encoder's CNN over time; each halves the frame rate.
        size: of the embedding.
        heads: attention poolings of that CNN. timeline: channels of it taken frame by frame.
        hidden: of the heads. components: of their mixtures.
        decoder_hidden: of the recurrent state. geometry: a key of decoder.CORES.
        inputs: groups of features that count.
        score_widths, sweep_widths, level_widths, texture_widths, amplitude_width, shaping_width:
            of SpectrogramBranch, ModulationBranch, LevelGainBranch, PooledBranch, AmplitudeBranch
            and CoherenceBranch. The names are older than the branches', as files have them.
        knob_score_widths: of the heads' SpectrogramBranch.
        effects: the vocabulary, in the order of the effects' numbers; by default all installed.
    """

    widths: tuple[int, ...] = (192, 256, 384)
    size: int = 512
    heads: int = 12
    hidden: int = 256
    components: int = 6
    decoder_hidden: int = 96
    geometry: str = "hyperbolic"
    dropout: float = 0.1
    timeline: int = 64
    inputs: tuple[str, ...] = GROUPS
    score_widths: tuple[int, ...] = (160, 192)
    sweep_widths: tuple[int, ...] = (16, 32, 48)
    level_widths: tuple[int, ...] = (48, 64)
    texture_widths: tuple[int, ...] = (24, 48, 96)
    amplitude_width: int = 96
    shaping_width: int = 64
    knob_score_widths: tuple[int, ...] = (96, 96)
    effects: tuple[str, ...] = field(default_factory=names)

    def to_dict(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> ModelConfig:
        tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return ModelConfig(**tuples)


class InverseModel(nn.Module):
    """Recording (and source, if known) -> chains, switches, knobs.

    Attributes:
        effects: EffectSet that it names chains of, from its configuration.

    Raises:
        UnmixError: an effect of the configuration is not installed.
    """

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = c = config or ModelConfig()
        self.effects = EffectSet(c.effects)
        self.encoder = Encoder(c)
        self.decoder = ChainDecoder(self.effects, c.size, c.decoder_hidden, c.geometry)
        self.heads = Heads(self.effects, c)

    def network_inputs(self, features: dict) -> dict[str, torch.Tensor]:
        """Features of a batch as encoder and heads take them in."""
        return network_inputs(features, self.config.inputs)

    def knob_losses(self, inputs: dict, batch: dict) -> tuple[dict[str, torch.Tensor], dict]:
        """Losses of knobs and switches given the true chain.

        Returns:
            Sums over the effects of each chain, averaged over the batch: the negative
            log-likelihoods "knobs" and "switches", and the distance "guess" of the point estimate;
            and {effect: (rows, Mixture)}.
        """
        order = batch["order"]
        nothing = order.new_zeros((), dtype=torch.float32)
        parts = dict.fromkeys(("switches", "guess", "knobs"), nothing)
        mixtures = {}
        for i, (name, head) in enumerate(self.heads.items()):
            rows = (order == i).any(1).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            there = {key: inputs[key][rows] for key in KnobBranch.INPUTS}
            labels = (batch[f"{kind}.{name}"][rows] for kind in ("knobs", "switches"))
            losses, mixture = head.losses(there, order[rows], *labels)
            mixtures[name] = rows, mixture
            parts = {part: total + losses[part].sum() for part, total in parts.items()}
        return {name: part / len(order) for name, part in parts.items()}, mixtures

    def losses(self, batch: dict, parts=tuple(PARTS)) -> dict[str, torch.Tensor]:
        """Losses of some of PARTS for a batch of items (data.chains.ChainSampler)."""
        inputs, result = self.network_inputs(batch), {}
        if "chain" in parts:
            result["chain"] = -self.decoder(self.encoder(inputs), batch["order"]).mean()
        if "knobs" in parts:
            result |= self.knob_losses(inputs, batch)[0]
        return result

    @torch.no_grad()
    def infer(self, features: dict, beams: int = 10) -> list[list[Posterior]]:
        """The best chains for each recording of a batch of features, most probable first.

        Where the source is not known, often more than one length fits. There, all lengths of chains
        get the same prior probability, which they do not have in training.
        """
        inputs = self.network_inputs(features)
        z = self.encoder(inputs).float()
        embedded = {name: head.embed(inputs) for name, head in self.heads.items()}
        return [
            [
                self._posterior(
                    {name: rows[n : n + 1] for name, rows in embedded.items()}, order, p
                )
                for order, p in self.decoder.beam_search(row, beams, even=not known)
            ]
            for n, (row, known) in enumerate(zip(z, features["known"].tolist(), strict=True))
        ]

    @torch.no_grad()
    def posterior_medians(
        self, features: dict, posteriors: list[Posterior]
    ) -> dict[str, torch.Tensor]:
        """Medians of the knobs.

        Args:
            features: of K recordings.
            posteriors: K; each gives chain and switches that its recording's knobs depend on.

        Returns:
            {effect: (n, knobs) in 0…1} of the n recordings whose chain has the effect.
        """
        inputs, device = self.network_inputs(features), features["known"].device
        rows = {
            name: [row for row, posterior in enumerate(posteriors) if i in posterior.order]
            for i, name in enumerate(self.heads)
        }
        rows = {name: own for name, own in rows.items() if own}

        @torch.no_grad()  # gradients are switched off thread by thread
        def medians(name: str) -> torch.Tensor:
            head, own = self.heads[name], rows[name]
            there = {key: inputs[key][own] for key in KnobBranch.INPUTS}
            order = padded([posteriors[row].order for row in own]).to(device)
            switches = torch.stack([posteriors[row].switches[name] for row in own])
            hidden, _ = head(head.embed(there), order)
            return head.mixture(hidden, switches).median()

        return dict(zip(rows, thread_map(medians, rows), strict=True))

    def _posterior(self, embedded: dict, order: tuple[int, ...], log_prob: float) -> Posterior:
        device = next(iter(embedded.values())).device
        alone = padded([order]).to(device)
        mixtures, switches, log_probs = {}, {}, {}
        for i in order:
            name = self.effects.names[i]
            head = self.heads[name]
            hidden, logits = head(embedded[name], alone)
            log_probs[name] = [x.log_softmax(-1)[0] for x in logits]
            best = [int(x.argmax()) for x in logits]
            switches[name] = torch.tensor(best, dtype=torch.long, device=device)
            mixtures[name] = head.mixture(hidden, switches[name][None])
        return Posterior(order, log_prob, mixtures, switches, log_probs, self.effects)


def padded(orders: list[tuple[int, ...]]) -> torch.Tensor:
    """(K, MAX_LENGTH) effect numbers, −1 behind the end."""
    return torch.tensor([(*order, *[-1] * (MAX_LENGTH - len(order))) for order in orders])
