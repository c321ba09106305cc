"""Settings of one order of effects, with the cost of their render by the real effects.

``InitialPoint`` is where a search begins. ``Point`` has the settings as vectors in 0…1, the signal
at the input of each effect, and the cost; where many settings are compared, and for slopes, renders
are made in batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.effects.batch import LANES, by_lanes, in_rows
from unmix.nn.mixture_density import Mixture
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map

# Fewer renders than this are made one by one by the devices themselves, others in batches: a
# question of speed, not tuned.
BATCH_FROM = 6


@dataclass(frozen=True, eq=False)
class InitialPoint:
    """Where a search begins.

    Attributes:
        chain: with complete settings.
        log_prob: of its effects in that order, by the network; None for a chain that the user gave.
        mixtures: {effect: Mixture of batch 1}, the posterior of the knobs; may be empty.
    """

    chain: Chain
    log_prob: float | None = None
    mixtures: dict[str, Mixture] = field(default_factory=dict)


class Point:
    """Controls (knobs and switches) of a chain, and trials of other ones.

    Args:
        judge: of the recording.
        points: at least one, all of the same effects in the same order; the nearest is taken.

    Attributes:
        origin: where the settings came from, with the posterior of the knobs.
        others: the points that were farther, nearest first.
        knobs: (K,) of all effects in 0…1; switches: of each effect, its options' numbers.
        knob_slices: of each effect, where its knobs are in ``knobs``.
        effect_of: of each knob, the number of its effect. circular: (K,), whether it is an angle.
        cost: of the settings, by the real effects, in dB² (recording.objective).
        stage_inputs: the signal at the input of each effect: float32 (lead + samples,).
    """

    def __init__(self, judge: Judge, points: Sequence[InitialPoint]):
        self.judge, self.origin = judge, points[0]
        self.effects = [effects.get(name) for name in points[0].chain.names]
        ends = np.cumsum([len(effect.knobs) for effect in self.effects])
        self.knob_slices = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]
        self.effect_of = [i for i, effect in enumerate(self.effects) for _ in effect.knobs]
        circular = [effect.panel.circular for effect in self.effects]
        self.circular = np.concatenate(circular) if circular else np.zeros(0, bool)
        controls = [self.vectors(judge.at_begin(point.chain)) for point in points]
        costs = self.costs(controls) if len(points) > 1 else [0.0]
        nearest, *others = np.argsort(costs, kind="stable")
        self.knobs, self.switches = controls[nearest]
        self.stage_inputs: list[np.ndarray] = []
        self.cost = self._cost(self._wet(self.knobs, self.switches, 0, self.stage_inputs))
        self.others = [points[n] for n in others]

    @staticmethod
    def vectors(chain: Chain) -> tuple[np.ndarray, list[np.ndarray]]:
        """All knobs (K,) in 0…1, and the switches of each effect, of a chain that is told for the
        time at which the judge's source begins."""
        pairs = [effects.get(name).to_unit(settings) for name, settings in chain.steps]
        knobs = np.concatenate([knobs for knobs, _ in pairs]) if pairs else np.zeros(0)
        return knobs.astype(np.float64), [switches for _, switches in pairs]

    def settings_of(self, i: int, knobs=None, switches=None) -> dict:
        """The settings of effect i in units, now or with other controls of the chain."""
        knobs = self.knobs if knobs is None else knobs
        switches = self.switches if switches is None else switches
        return self.effects[i].from_unit(knobs[self.knob_slices[i]], switches[i])

    def _wet(self, knobs, switches, first: int = 0, stage_inputs=None) -> np.ndarray:
        """The real render, (lead + samples,); the effects before ``first`` have their present
        controls. The inputs of the effects are appended to ``stage_inputs``."""
        audio = self.judge.source if first == 0 else self.stage_inputs[first]
        self.judge.renders += 1
        for i in range(first, len(self.effects)):
            if stage_inputs is not None:
                stage_inputs.append(audio)
            settings = self.settings_of(i, knobs, switches)
            audio = self.effects[i].render(audio, SAMPLE_RATE, settings)
        return audio

    def _render_batch(
        self, controls: Sequence[tuple], first: int = 0, smooth: bool = False
    ) -> np.ndarray:
        """Renders with up to LANES controls (knobs, switches), (B, lead + samples), from the input
        of effect ``first``; from BATCH_FROM on, and for slopes, by the effects' batched DSP."""
        if len(controls) < BATCH_FROM and not smooth:
            return np.stack([self._wet(*control, first) for control in controls])
        stage_input = self.judge.source if first == 0 else self.stage_inputs[first]
        audio, last = np.repeat(stage_input[:, None], LANES, 1), 0
        for i in range(first, len(self.effects)):
            own = [self.settings_of(i, *control) for control in controls]
            last = max([last, *(n for n, settings in enumerate(own) if settings != own[0])])
            # lanes after ``last`` have been as the first so far
            audio = self.effects[i].render_batch(audio, own[: last + 1], smooth)
        self.judge.renders += len(controls)
        return in_rows(audio, len(controls))

    def residuals(self, controls: Sequence[tuple], first: int = 0) -> torch.Tensor:
        """Spectrogram residuals of many other controls (knobs, switches) of the chain, at least
        one, by ``_render_batch``: (B, D)."""
        wets = thread_map(lambda group: self._render_batch(group, first), by_lanes(controls))
        return torch.cat(thread_map(self._residuals, np.concatenate(wets)))

    def costs(self, controls: Sequence[tuple], first: int = 0) -> list[float]:
        """The costs of many other controls."""
        return self._costs(self.residuals(controls, first)) if controls else []

    def _residuals(self, wet: np.ndarray, objective=None) -> torch.Tensor:
        """(1, D) of a render (lead + samples,); in the spectrogram objective by default."""
        audio = self.judge.level(torch.from_numpy(wet)[None])
        return (objective or self.judge.spectrogram).residuals(audio)

    def _cost(self, wet: np.ndarray) -> float:
        return self._costs(self._residuals(wet))[0]

    def _costs(self, residuals: torch.Tensor) -> list[float]:
        """Of residuals (B, D); infinite where a render is not finite."""
        costs = self.judge.spectrogram.cost(residuals).tolist()
        return [cost if math.isfinite(cost) else math.inf for cost in costs]

    def accept_if_better(self, cost: float, knobs, switches) -> bool:
        """Take these controls if they are nearer."""
        if not cost < self.cost:
            return False
        self.set(cost, knobs, switches)
        return True

    def set(self, cost: float, knobs, switches) -> None:
        """Take these controls, whose cost is known."""
        first = self._first_changed(knobs, switches)
        self.cost, self.knobs, self.switches = cost, knobs, switches
        self.stage_inputs = self.stage_inputs[: first + 1]
        for i in range(first, len(self.effects) - 1):
            wet = self.effects[i].render(self.stage_inputs[i], SAMPLE_RATE, self.settings_of(i))
            self.stage_inputs.append(wet)

    def error(self) -> float:
        """The cost of the settings in the waveform objective."""
        objective, first = self.judge.waveform, max(len(self.effects) - 1, 0)
        wet = self._wet(self.knobs, self.switches, first)
        return float(objective.cost(self._residuals(wet, objective)))

    def _first_changed(self, knobs, switches) -> int:
        """Number of the first effect whose controls differ from the present ones."""
        for i, own in enumerate(self.knob_slices):
            if not np.array_equal(knobs[own], self.knobs[own]):
                return i
            if not np.array_equal(switches[i], self.switches[i]):
                return i
        return len(self.knob_slices)

    def within(self, knobs: np.ndarray) -> np.ndarray:
        """Angles wrapped, other knobs clipped to their range."""
        return np.where(self.circular, knobs % 1.0, knobs.clip(0, 1))

    def cost_of(self, knobs: np.ndarray, switches=None, first: int = 0) -> float:
        """The cost with these knobs (K,) in 0…1, and with other switches than the present ones. The
        effects before ``first`` must have their present controls."""
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
        """A copy with other controls, whose cost is known."""
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
        """Told for the beginning of the whole source, as all chains outside."""
        return self.chain_at(self.knobs)

    @property
    def chain_at_begin(self) -> Chain:
        """The same at the time at which the judge's source begins."""
        return Chain((effect.name, self.settings_of(i)) for i, effect in enumerate(self.effects))

    def chain_at(self, knobs: np.ndarray) -> Chain:
        """The chain with other knobs (K,) in 0…1, brought within their ranges."""
        knobs = self.within(np.asarray(knobs, np.float64))
        steps = [(effect.name, self.settings_of(i, knobs)) for i, effect in enumerate(self.effects)]
        return Chain(steps).at_time(-self.judge.begin_s)

    def as_point(self) -> InitialPoint:
        """The present settings, with the posterior of their knobs."""
        return replace(self.origin, chain=self.chain)
