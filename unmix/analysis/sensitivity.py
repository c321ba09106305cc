"""What a knob does to a render: which knobs of a chain a recording can tell at all."""

from __future__ import annotations

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.dsp import losses
from unmix.runtime.workers import thread_map

UNDETERMINED_MOVE, UNDETERMINED_ESR_DB = 0.2, -30.0


def knob_sensitivity(
    source: np.ndarray, chain: Chain, amount: float, least: float = -np.inf
) -> dict:
    """How much the real render of a chain changes when one knob alone is moved.

    Args:
        source: float32 (samples,) at 44.1 kHz.
        amount: of the move, in 0…1, towards the farther end of the range.
        least: ESR in dB; a knob that changes it by less is moved the other way as well, as far as
            there is room, and the larger change counts.

    Returns:
        {effect: (K,) ESR in dB against the render as it is}.
    """
    result, stage_input, whole = {}, source, chain.render(source, SAMPLE_RATE)
    for place, (name, settings) in enumerate(chain.steps):
        effect, rest = effects.get(name), Chain(chain.steps[place + 1 :])
        result[name] = _changes(effect, settings, stage_input, rest, whole, amount, least)
        stage_input = effect.render(stage_input, SAMPLE_RATE, settings)
    return result


def _changes(
    effect, settings: dict, stage_input, rest: Chain, whole, amount: float, least: float
) -> np.ndarray:
    """(K,): ``knob_sensitivity`` for one effect, whose input is ``stage_input`` and which is
    followed by ``rest``."""
    knobs, switches = effect.to_unit(settings)
    inward = np.diag(np.where(knobs < 0.5, amount, -amount))

    def change(move: np.ndarray) -> float:
        wet = effect.render(stage_input, SAMPLE_RATE, effect.from_unit(knobs + move, switches))
        return losses.esr_db(*torch.from_numpy(np.stack([rest.render(wet, SAMPLE_RATE), whole])))

    found = np.array(thread_map(change, inward))
    small = found < least
    found[small] = np.maximum(found[small], thread_map(change, -inward[small]))
    return found


def undetermined(source: np.ndarray, chain: Chain) -> dict[str, list[str]]:
    """{effect: its knobs that the render hardly depends on}: moved by UNDETERMINED_MOVE either way
    they change it by less than UNDETERMINED_ESR_DB."""
    changes = knob_sensitivity(source, chain, UNDETERMINED_MOVE, UNDETERMINED_ESR_DB)
    return {
        name: [
            knob.name
            for knob, change in zip(effects.get(name).knobs, changes[name], strict=True)
            if change < UNDETERMINED_ESR_DB
        ]
        for name in chain.names
    }
