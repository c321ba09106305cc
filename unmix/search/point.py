"""Position: controls of one order of effects, with what their real render costs.

Where many positions are compared, and for slopes, renders are made side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Self

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.effects.batch import LANES, by_lanes, in_rows
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search.starts import InitialPoint

FEW = 6  # renders that are made one by one by the devices themselves; more, side by side


class Point:
    """Controls (knobs and switches) as they stand, and other ones beside them.

    Args:
        judge: of the recording.
        starts: at least one, all of the same effects in the same order.

    Attributes:
        cost: of the settings as they stand, by the real effects, in the cost of picture.py.
        start: where they came from, with what is believed of the knobs.
        others: the starts that were farther, nearest first.
        heard: what each effect hears: float32 (lead + samples,).
    """

    def __init__(self, judge: Judge, starts: Sequence[InitialPoint]):
        self.judge, self.start = judge, starts[0]
        self.effects = [effects.get(name) for name in starts[0].chain.names]
        ends = np.cumsum([len(effect.knobs) for effect in self.effects])
        self.knob_slices = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]
        self.effect_of = [i for i, effect in enumerate(self.effects) for _ in effect.knobs]
        circular = [effect.panel.circular for effect in self.effects]
        self.circular = np.concatenate(circular) if circular else np.zeros(0, bool)
        controls = [self.vectors(start.chain) for start in starts]
        costs = self.costs(controls) if len(starts) > 1 else [0.0]
        nearest, *others = np.argsort(costs, kind="stable")
        self.knobs, self.switches = controls[nearest]
        self.stage_inputs: list[np.ndarray] = []
        self.cost = self._cost(self._wet(self.knobs, self.switches, 0, self.stage_inputs))
        self.others = [starts[n] for n in others]

    @staticmethod
    def vectors(chain: Chain) -> tuple[np.ndarray, list[np.ndarray]]:
        """All knobs of a chain in 0…1, and the switches of each effect."""
        pairs = [effects.get(name).to_unit(settings) for name, settings in chain.steps]
        knobs = np.concatenate([knobs for knobs, _ in pairs]) if pairs else np.zeros(0)
        return knobs.astype(np.float64), [switches for _, switches in pairs]

    def settings(self, i: int, knobs=None, switches=None) -> dict:
        """Those of effect i, in units, as they stand or with other controls of the chain."""
        knobs = self.knobs if knobs is None else knobs
        switches = self.switches if switches is None else switches
        return self.effects[i].from_unit(knobs[self.knob_slices[i]], switches[i])

    def _wet(self, knobs, switches, first: int = 0, heard=None) -> np.ndarray:
        """The real render; the effects before ``first`` are as they stand."""
        audio = self.judge.source if first == 0 else self.stage_inputs[first]
        self.judge.renders += 1
        for i in range(first, len(self.effects)):
            if heard is not None:
                heard.append(audio)
            settings = self.settings(i, knobs, switches)
            audio = self.effects[i].render(audio, SAMPLE_RATE, settings)
        return audio

    def _render_batch(
        self, controls: Sequence[tuple], first: int = 0, smooth: bool = False
    ) -> np.ndarray:
        """Renders with up to LANES controls (knobs, switches), (B, samples), of what effect
        ``first`` hears; from FEW on, and for slopes, by the effects' formulas, all at once."""
        if len(controls) < FEW and not smooth:
            return np.stack([self._wet(*control, first) for control in controls])
        heard = self.judge.source if first == 0 else self.stage_inputs[first]
        audio, last = np.repeat(heard[:, None], LANES, 1), 0
        for i in range(first, len(self.effects)):
            own = [self.settings(i, *control) for control in controls]
            last = max([last, *(n for n, settings in enumerate(own) if settings != own[0])])
            # the others are still as the first
            audio = self.effects[i].render_batch(audio, own[: last + 1], smooth)
        self.judge.renders += len(controls)
        return in_rows(audio, len(controls))

    def residuals(self, controls: Sequence[tuple], first: int = 0) -> torch.Tensor:
        """Those of many other controls (knobs, switches) of the chain, at least one, by
        ``_render_batch``: (B, D)."""
        wets = thread_map(lambda group: self._render_batch(group, first), by_lanes(controls))
        return torch.cat(thread_map(self._residuals, np.concatenate(wets)))

    def costs(self, controls: Sequence[tuple], first: int = 0) -> list[float]:
        """What they cost."""
        return self._costs(self.residuals(controls, first)) if controls else []

    def _residuals(self, wet: np.ndarray, view=None) -> torch.Tensor:
        audio = self.judge.level(torch.from_numpy(wet)[None])
        return (view or self.judge.spectrogram).residuals(audio)

    def _cost(self, wet: np.ndarray) -> float:
        return self._costs(self._residuals(wet))[0]

    def _costs(self, differences: torch.Tensor) -> list[float]:
        """Of differences (B, D); endless where a render is not finite."""
        costs = self.judge.spectrogram.cost(differences).tolist()
        return [cost if math.isfinite(cost) else math.inf for cost in costs]

    def accept_if_better(self, cost: float, knobs, switches) -> bool:
        """Stand there if it is nearer."""
        if not cost < self.cost:
            return False
        self.set(cost, knobs, switches)
        return True

    def set(self, cost: float, knobs, switches) -> None:
        """Stand there."""
        first = self._first_moved(knobs, switches)
        self.cost, self.knobs, self.switches = cost, knobs, switches
        self.stage_inputs = self.stage_inputs[: first + 1]
        for i in range(first, len(self.effects) - 1):
            wet = self.effects[i].render(self.stage_inputs[i], SAMPLE_RATE, self.settings(i))
            self.stage_inputs.append(wet)

    def error(self) -> float:
        """The waveform's cost of the settings as they stand."""
        view, first = self.judge.waveform, max(len(self.effects) - 1, 0)
        wet = self._wet(self.knobs, self.switches, first)
        return float(view.cost(self._residuals(wet, view)))

    def _first_moved(self, knobs, switches) -> int:
        """Number of the first effect with other controls than those that stand."""
        for i, place in enumerate(self.knob_slices):
            if not np.array_equal(knobs[place], self.knobs[place]):
                return i
            if not np.array_equal(switches[i], self.switches[i]):
                return i
        return len(self.knob_slices)

    def within(self, knobs: np.ndarray) -> np.ndarray:
        """Angles wrapped, other knobs clipped to their range."""
        return np.where(self.circular, knobs % 1.0, knobs.clip(0, 1))

    def cost_of(self, knobs: np.ndarray, switches=None, first: int = 0) -> float:
        """The cost with these knobs (all of the chain's, 0…1), and other switches than those that
        stand. The effects before ``first`` must be as they stand."""
        switches = self.switches if switches is None else switches
        return self._cost(self._wet(np.asarray(knobs, np.float64), switches, first))

    def best_of(self, i: int, options: Sequence[tuple], count: int = 1) -> list[tuple]:
        """The nearest of other controls (knobs, switches) of effect i, as (cost, knobs, switches)
        of the chain."""
        controls = []
        for option in options:
            knobs, switches = self.knobs.copy(), list(self.switches)
            knobs[self.knob_slices[i]], switches[i] = option
            controls.append((knobs, switches))
        near = np.argsort(self.costs(controls, i), kind="stable")[:count]
        trials = [(self.cost_of(*controls[n], i), *controls[n]) for n in near]
        return sorted(trials, key=lambda trial: trial[0])

    def copy_at(self, cost: float, knobs: np.ndarray, switches) -> Self:
        """A copy with other controls and what they cost."""
        trial = copy(self)
        trial.cost = math.inf
        trial.accept_if_better(cost, knobs, switches)
        return trial

    def move_to(self, knobs: np.ndarray) -> bool:
        """Take these knobs if they are nearer."""
        knobs = self.within(np.asarray(knobs, np.float64))
        return self.accept_if_better(self.cost_of(knobs), knobs, self.switches)

    @property
    def chain(self) -> Chain:
        return self.chain_at(self.knobs)

    def chain_at(self, knobs: np.ndarray) -> Chain:
        """The chain with other knobs (all of them, 0…1), brought within their ranges."""
        knobs = self.within(np.asarray(knobs, np.float64))
        return Chain(
            (effect.name, self.settings(i, knobs)) for i, effect in enumerate(self.effects)
        )

    def as_point(self) -> InitialPoint:
        """The settings as they stand, with their beliefs."""
        return replace(self.start, chain=self.chain)
