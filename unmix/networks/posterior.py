"""What the network infers of a recording: a distribution over chains, switches and knobs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unmix import effects
from unmix.chain import Chain


@dataclass
class Posterior:
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


def posterior_chain(
    posterior, knobs: dict[str, torch.Tensor], switches: dict | None = None
) -> Chain:
    """The chain of an inverse.model.Belief with {effect: (K,) in 0…1}, and its most probable
    switches if none are given."""
    switches = posterior.switches if switches is None else switches
    return Chain(
        (name, effects.get(name).from_unit(knobs[name].tolist(), switches[name].tolist()))
        for name in posterior.names
    )
