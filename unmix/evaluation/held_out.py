"""Held-out chains, what an item is scored by, and rows that survive an interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.analysis.sensitivity import knob_sensitivity
from unmix.chain import Chain
from unmix.data.chains import ChainSampler
from unmix.errors import UnmixError
from unmix.features.extract import extract
from unmix.runtime.files import write_text

AUDIBLE_MOVE, AUDIBLE_ESR_DB = 0.1, -40.0


def audible_knobs(source: np.ndarray, chain: Chain) -> dict:
    """{effect: (K,) bool}: whether moving a knob alone by AUDIBLE_MOVE changes the real render of
    the chain by more than AUDIBLE_ESR_DB."""
    changes = knob_sensitivity(source, chain, AUDIBLE_MOVE)
    return {name: change > AUDIBLE_ESR_DB for name, change in changes.items()}


def knob_errors(answer: Chain, true: Chain, audible: dict) -> dict[str, list]:
    """How far the effects in both chains are off.

    Returns:
        "knobs" (effect, knob, |û − u|), "audible" (the same, audible knobs alone) and "switches"
        (effect, switch, whether it is right): lists with one entry a control.
    """
    found = {"knobs": [], "audible": [], "switches": []}
    answers = dict(answer.steps)
    for name, settings in true.steps:
        if name not in answers:
            continue
        effect = effects.get(name)
        (a, a_switch), (b, b_switch) = effect.to_unit(answers[name]), effect.to_unit(settings)
        errors = zip(effect.knobs, effect.panel.distance(a, b).tolist(), strict=True)
        rows = [(name, knob.name, error) for knob, error in errors]
        found["knobs"] += rows
        found["audible"] += [
            row for row, features in zip(rows, audible[name], strict=True) if features
        ]
        right = zip(effect.switches, (a_switch == b_switch).tolist(), strict=True)
        found["switches"] += [(name, switch.name, hit) for switch, hit in right]
    return found


def last(rows) -> list:
    """The last entry of each row."""
    return [row[-1] for row in rows]


def mean(values) -> float | None:
    """The mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def held_out(seed: int, source: str, degraded: float = 0.0, **options) -> ChainSampler:
    """Chains of their own on one kind of source, from the stream that training never draws from."""
    return ChainSampler(seed, shares={source: 1.0}, degraded=degraded, independent=True, **options)


def hear(
    source: np.ndarray, recording: np.ndarray, hidden: bool = False, level_known: bool = True
) -> dict:
    """Features of one recording for the model; with ``hidden`` it is not told the source."""
    told = None if hidden else torch.from_numpy(source)[None]
    level = {"level_known": torch.full((1,), float(level_known))}
    return extract(torch.from_numpy(recording)[None], told) | level


@dataclass
class Items:
    """Rows of an evaluation that are on disk already, for one that takes hours.

    Args:
        path: JSON file; nothing is kept with None.
        about: what decides the rows; JSON.
        rows: {i: row} of the items that are done; read from the file where there is one.

    Raises:
        UnmixError: the file is of another evaluation, or does not hold items.
    """

    path: Path | None = None
    about: dict = field(default_factory=dict)
    rows: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self):
        if self.path is None or not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            about, self.rows = found["about"], {int(i): row for i, row in found["rows"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnmixError(f"{self.path}: not the items of an evaluation ({error})") from None
        if about != self.about:
            raise UnmixError(f"{self.path} is of another evaluation: name another folder")

    def keep(self, rows: dict[int, dict]) -> None:
        """Write what is done so far."""
        if self.path is not None:
            write_text(self.path, json.dumps({"about": self.about, "rows": rows}) + "\n")
