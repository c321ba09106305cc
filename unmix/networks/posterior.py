"""What the network infers of a recording: a distribution over chains, switches and knobs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unmix import effects
from unmix.chain import Chain
from unmix.effects import EffectSet


@dataclass
class Posterior:
    """What the network infers of one recording, given one chain.

    Attributes:
        order: the chain as effect numbers of ``effects``.
        log_prob: of the chain.
        mixtures: {effect: Mixture of batch 1} given the most probable switches.
        switches: {effect: (S,) option numbers}, the most probable ones.
        switch_log_probs: {effect: list of (options,) tensors}.
        effects: of the network.
    """

    order: tuple[int, ...]
    log_prob: float
    mixtures: dict
    switches: dict
    switch_log_probs: dict
    effects: EffectSet

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.effects.names[i] for i in self.order)


def posterior_chain(
    posterior: Posterior, knobs: dict[str, torch.Tensor], switches: dict | None = None
) -> Chain:
    """The chain of a posterior with knobs {effect: (K,) in 0…1} and switches {effect: (S,) option
    numbers}, the most probable ones if None."""
    switches = posterior.switches if switches is None else switches
    return Chain(
        (name, effects.get(name).from_unit(knobs[name].tolist(), switches[name].tolist()))
        for name in posterior.names
    )
