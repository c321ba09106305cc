"""Held-out chains, what an item is scored by, and rows that survive an interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from unmix import effects
from unmix.analysis.sensitivity import knob_sensitivity
from unmix.audio.io import SAMPLE_RATE
from unmix.audio.signals import FIXED_KINDS
from unmix.chain import Chain
from unmix.data.chains import ChainOptions, ChainSampler
from unmix.errors import UnmixError
from unmix.recording.judge import Judge
from unmix.recording.prepare import Problem, prepare
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
        found["audible"] += [row for row, told in zip(rows, audible[name], strict=True) if told]
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
    options = ChainOptions(degraded=degraded, independent=True, **options)
    return ChainSampler(seed, {source: 1.0}, options)


@dataclass(frozen=True)
class Question:
    """A held-out recording, and what is right about it.

    Attributes:
        dry, recording: float32 (samples,) at 44.1 kHz.
        match_gain: the recording's level says nothing.
        hidden: the source is not told.
        true: the chain. audible: by ``audible_knobs``.
        tie: picks the order in which ``true`` counts as made, of those that sound the same.
    """

    dry: np.ndarray
    recording: np.ndarray
    match_gain: bool
    hidden: bool
    true: Chain
    audible: dict
    tie: int
    kind: str

    def prepare(self) -> Problem:
        """The recording as ``unmix.analyze`` prepares it.

        Raises:
            UnmixError: as ``prepare``: there, ``analyze`` gives no answer.
        """
        told = self.kind if self.kind in FIXED_KINDS else self.dry
        gain = "auto" if self.match_gain else 0.0
        return prepare(self.recording, SAMPLE_RATE, "none" if self.hidden else told, gain)

    @cached_property
    def judge(self) -> Judge:
        """Of the recording as it was made, for answers of which ``prepare`` makes no judge."""
        return Judge(self.recording, self.dry, self.match_gain)


def ask(sampler: ChainSampler, i: int, hidden: bool = False) -> Question:
    """Item i of a held-out sampler of one kind of source."""
    config = sampler.config
    dry, true, recording = sampler.example(i)
    return Question(
        dry,
        recording,
        config["degradation"] == "gain",
        hidden,
        true,
        audible_knobs(dry, true),
        int(np.random.default_rng([config["seed"], i]).integers(10**6)),
        next(iter(config["shares"])),
    )


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
