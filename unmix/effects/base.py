"""What every effect is, and the registry that finds them.

A new effect is one new file or folder in this package with one subclass of :class:`Effect`. Only
proxies want torch, and it is slow to import: an effect names its proxy, and ``build_proxy`` imports
it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from unmix.audio.io import SAMPLE_RATE, as_channels, resample
from unmix.effects.batch import filled
from unmix.effects.controls import Knob, Panel, Switch
from unmix.effects.plotdata import Curve
from unmix.errors import UnmixError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Lfo:
    """The LFO of an effect: the knobs that say where it stands at each moment.

    An effect with an LFO has ``position`` and ``render_frozen``; a search then finds these knobs
    together, by comparing a recording with the effect frozen at every position.

    ``grain_hz`` is the step to which the device quantises its rate, if it does: within a step the
    gradient is zero.
    """

    rate: str
    depth: str
    centre: str
    phase: str
    grain_hz: float = 0.0

    @property
    def knobs(self) -> tuple[str, ...]:
        return self.rate, self.depth, self.centre, self.phase


@dataclass(frozen=True)
class EqBand:
    """One band of an equaliser: its knobs. A search tries each band at other frequencies, the
    remaining knobs re-fitted."""

    freq: str
    gain: str
    q: str


class Effect:
    """One device of the chain. Subclasses give the class attributes and ``process``.

    Attributes:
        name: the word users type.
        order: place in the registry; neighbours that may swap are sorted by it.
        knobs, switches: the controls, with units and ranges.
        linear_time_invariant: two such neighbours may swap without a difference in sound.
        lfo: the knobs of its LFO, if it has one.
        eq_bands: the knobs of each band with a gain in dB, if it is an equaliser.
        proxy_class: "module:Class" of its proxy, which is built with the effect's panel.
        min_sample_rate: below this rate ``render`` works at 44.1 kHz inside and resamples back.
    """

    name: str
    order: int
    description: str
    knobs: tuple[Knob, ...]
    switches: tuple[Switch, ...] = ()
    linear_time_invariant: bool = False
    lfo: Lfo | None = None
    eq_bands: tuple[EqBand, ...] = ()
    proxy_class: str | None = None
    min_sample_rate: int = SAMPLE_RATE

    def __init__(self) -> None:
        self.panel = Panel(self.knobs, self.switches)

    def process(self, audio: np.ndarray, sample_rate: int, settings: dict) -> np.ndarray:
        """The real DSP on one channel: float32 (samples,) -> same shape, from a fresh state.
        ``settings`` are complete."""
        raise NotImplementedError

    def is_neutral(self, settings: dict) -> bool:
        """Whether complete ``settings`` leave every input as it is."""
        return settings.get("dry_wet") == 0

    def knob(self, name: str) -> Knob:
        """The knob of that name, which the effect has."""
        return next(knob for knob in self.knobs if knob.name == name)

    def at_time(self, settings: dict, seconds: float) -> dict:
        """The settings that it has, with its LFO run on, for sound that begins so much later (or
        earlier, if below 0)."""
        if self.lfo is None or not seconds:
            return settings
        phase = self.knob(self.lfo.phase)
        span = phase.high - phase.low
        turned = settings[self.lfo.phase] + span * settings[self.lfo.rate] * seconds
        return settings | {self.lfo.phase: turned % span}

    def position(self, values: dict, seconds: np.ndarray) -> np.ndarray:
        """Where the LFO stands at times (seconds), 0…1, from knobs in units (arrays that broadcast
        against the times); only of an effect with a ``lfo``."""
        raise NotImplementedError

    def render_frozen(self, audio: np.ndarray, settings: dict, position: float) -> np.ndarray:
        """``process`` at 44.1 kHz with the LFO held at a position, 0…1."""
        raise NotImplementedError

    def response_plots(
        self,
        settings: dict,
        input_audio: np.ndarray | None,
        sample_rate: int = SAMPLE_RATE,
        lead: int = 0,
    ) -> list[Curve]:
        """Plots of what the effect does at complete ``settings``, by its real DSP or by exact
        formulas; none by default.

        Args:
            input_audio: float32 (samples,), what goes into the effect; None if unknown.
            lead: that many samples of it, at its beginning, go through the effect and are not
                shown; an LFO counts from the first of them.
        """
        return []

    def render_frozen_batch(
        self, audio: np.ndarray, settings: dict, positions: np.ndarray
    ) -> np.ndarray:
        """``render_frozen`` at up to LANES positions: float32 (samples, LANES), of which the first
        ones count; as ``render_batch``."""
        return np.stack(filled([self.render_frozen(audio, settings, p) for p in positions]), 1)

    @staticmethod
    def lanes(settings: Sequence[dict], name: str, default: object = None) -> np.ndarray:
        """One knob, in units, or switch of the sounds of ``render_batch``: (LANES,)."""
        return np.array(filled([own.get(name, default) for own in settings]))

    def build_proxy(self) -> torch.nn.Module:
        """A fresh, untrained proxy: a torch module called as ``proxy(audio, knobs, switches)``."""
        if self.proxy_class is None:
            raise NotImplementedError
        module, _, name = self.proxy_class.partition(":")
        return getattr(importlib.import_module(module), name)(self.panel)

    def render(self, audio: np.ndarray, sample_rate: int, settings: dict) -> np.ndarray:
        """Run audio through the true effect.

        Args:
            audio: float (samples,) or (channels, samples); each channel is processed alone.
            sample_rate: Hz, 8,000 to 192,000.
            settings: in units, e.g. ``{"drive": 12.0}``; missing ones take their default.

        Returns:
            float32 array of the input's shape, never clipped.

        Raises:
            UnmixError: unknown setting, value out of range, or audio of a wrong shape.

        >>> from unmix import effects
        >>> effects.get("saturator").render(np.zeros((2, 100)), 48_000, {"drive": 12.0}).shape
        (2, 100)
        """
        try:
            settings = self.panel.complete(settings)
        except UnmixError as error:
            raise UnmixError(f"{self.name}: {error}") from None
        wet = self.run(as_channels(audio), sample_rate, settings)
        return wet.reshape(np.shape(audio))

    def render_batch(
        self, audio: np.ndarray, settings: Sequence[dict], smooth: bool = False
    ) -> np.ndarray:
        """``render`` of LANES sounds at 44.1 kHz, for searches, which compare a great many.

        An effect may compute them in one pass, by its formulas instead of the device: to an ESR of
        −50 dB at most, and mostly to the rounding noise.

        Args:
            audio: float32 (samples, LANES).
            settings: complete, of the first sounds; the others are like the first one.
            smooth: for gradients; where the device rounds a knob to steps, the sounds differ from
                the first as they would without the rounding.

        Returns:
            float32 (samples, LANES).
        """
        wet = [self.render(audio[:, n], SAMPLE_RATE, own) for n, own in enumerate(settings)]
        return np.stack(filled(wet), 1)

    def run(self, channels: np.ndarray, sample_rate: int, settings: dict) -> np.ndarray:
        """``process`` on each channel, float32 (channels, samples), with complete settings; at
        44.1 kHz inside where the device needs it. The exported script runs this very code."""
        if self.is_neutral(settings) or channels.shape[1] == 0:
            return channels.copy()
        if sample_rate >= self.min_sample_rate:
            wet = np.stack([self.process(x, sample_rate, settings) for x in channels])
        else:
            inside = resample(channels, sample_rate, SAMPLE_RATE)
            inside = np.stack([self.process(x, SAMPLE_RATE, settings) for x in inside])
            wet = resample(inside, SAMPLE_RATE, sample_rate)
            wet = wet[:, : channels.shape[1]]
            wet = np.pad(wet, ((0, 0), (0, channels.shape[1] - wet.shape[1])))
        return np.ascontiguousarray(wet, np.float32)

    def sample(self, rng: np.random.Generator) -> dict:
        """Settings drawn from the training distribution: each knob uniform on its 0…1 scale."""
        knobs = rng.random(len(self.knobs))
        switches = [int(rng.integers(len(s.options))) for s in self.switches]
        return self.panel.from_unit(knobs, switches)

    def to_unit(self, settings: dict) -> tuple[np.ndarray, np.ndarray]:
        """Settings in units -> knobs (K,) float32 in 0…1, switches (S,) int64 option numbers."""
        return self.panel.to_unit(settings)

    def from_unit(self, knobs: ArrayLike, switches: Iterable[int]) -> dict:
        """Knobs (K,) in 0…1 and option numbers (S,) -> settings in units."""
        return self.panel.from_unit(knobs, switches)
