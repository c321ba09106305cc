"""Knobs and switches: the one place that converts between units and 0…1.

A knob value in the user's unit becomes a number ``u`` in 0…1 inside the networks:

- ``linear``:   value = low + u · (high − low)
- ``log``:      value = low · (high / low) ** u
- ``circular``: value = low + u · (high − low), where u = 0 and u = 1 are the same place
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unmix.errors import UnmixError

SCALES = ("linear", "log", "circular")


@dataclass(frozen=True)
class Knob:
    """A continuous control of an effect.

    Args:
        name: the key in a settings dictionary.
        unit: "dB", "Hz", "%", "°" or "" for a pure number.
        low, high: the ends of the range in that unit, both allowed values.
        scale: "linear", "log" (low must be above 0) or "circular".
        default: value in the unit.
        description: one line on what it does.

    >>> freq = Knob("freq", "Hz", 20, 20_000, "log", 1_000)
    >>> round(freq.from_unit(0.5), 2), freq.to_unit(20_000)
    (632.46, 1.0)
    >>> freq.format(1_250)
    '1.25 kHz'
    """

    name: str
    unit: str
    low: float
    high: float
    scale: str
    default: float
    description: str = ""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"knob {self.name}: scale must be one of {SCALES}, not {self.scale!r}")
        if not self.low <= self.default <= self.high or (self.scale == "log" and self.low <= 0):
            raise ValueError(f"knob {self.name}: bad range {self.low}…{self.high}")

    @property
    def circular(self) -> bool:
        return self.scale == "circular"

    def to_unit(self, value: float) -> float:
        """Value in the knob's unit -> 0…1."""
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, u: Any) -> Any:
        """0…1 (float, array or tensor; differentiable) -> value in the knob's unit."""
        if self.scale == "log":
            return self.low * (self.high / self.low) ** u
        return self.low + (self.high - self.low) * u

    def check(self, value: Any) -> float:
        """Return ``value`` as a float; raise UnmixError unless it is a number within the range.

        A circular value outside its range is wrapped into it.
        """
        number = isinstance(value, (int, float, np.integer, np.floating))
        if isinstance(value, int) and abs(value) > 2**63:  # might not fit a float
            raise UnmixError(f"{self.name} is out of range: a number of {value.bit_length()} bits")
        if not number or isinstance(value, bool) or not math.isfinite(value):
            raise UnmixError(f"{self.name} must be a number, not {value!r}")
        value = float(value)
        if self.circular:
            value = self.low + (value - self.low) % (self.high - self.low)
            return value if value < self.high else float(self.low)  # −1e-20 rounds to a whole turn
        slack = 1e-6 * (self.high - self.low)  # float32 round trips may overshoot the ends
        if not self.low - slack <= value <= self.high + slack:
            raise UnmixError(
                f"{self.name} is {value:g}{self.unit and ' ' + self.unit}; "
                f"its range is {self.low:g} to {self.high:g}{self.unit and ' ' + self.unit}"
            )
        return min(max(value, self.low), self.high)

    def format(self, value: float) -> str:
        """Value with its unit for a person: ``"1.25 kHz"``, ``"-3.0 dB"``, ``"35 %"``."""
        if self.unit == "Hz" and abs(value) >= 1000:
            return f"{value / 1000:.2f} kHz"
        if self.unit == "Hz":
            return f"{value:.2f} Hz" if value < 10 else f"{value:.0f} Hz"
        if self.unit in ("%", "°"):
            return f"{value:.0f} {self.unit}"
        if self.unit == "dB":
            return f"{value:+.1f} dB"
        return f"{value:.2f}{self.unit and ' ' + self.unit}"

    def format_interval(self, interval: tuple[float, float]) -> str:
        """Both ends with their units: ``"-3.2 dB … -2.8 dB"``."""
        return " … ".join(map(self.format, interval))


@dataclass(frozen=True)
class Switch:
    """A discrete control of an effect: one of ``options``."""

    name: str
    options: tuple[str, ...]
    default: str
    description: str = ""

    def check(self, value: Any) -> str:
        """Return ``value``; raise UnmixError unless it is one of the options."""
        if value not in self.options:
            raise UnmixError(f"{self.name} must be one of {', '.join(self.options)}, not {value!r}")
        return value

    def format(self, value: str) -> str:
        """An option for a person: as it is."""
        return value


class Panel:
    """All controls of one effect, in a fixed order: settings <-> vectors.

    The vectors are ``knobs`` (K,) float32 in 0…1 and ``switches`` (S,) int64 option numbers.
    """

    def __init__(self, knobs: tuple[Knob, ...], switches: tuple[Switch, ...]):
        self.knobs, self.switches = tuple(knobs), tuple(switches)
        names = [control.name for control in self.knobs + self.switches]
        if len(set(names)) != len(names):
            raise ValueError(f"two controls share a name: {names}")

    def complete(self, settings: Mapping) -> dict:
        """Settings with every control present, in order, defaults filled in.

        Raises:
            UnmixError: a control that does not exist, or a value that is not allowed.
        """
        controls = self.knobs + self.switches
        known = [control.name for control in controls]
        for name in settings:
            if name not in known:
                raise UnmixError(f"no setting {name!r} here; the settings are {', '.join(known)}")
        return {c.name: c.check(settings.get(c.name, c.default)) for c in controls}

    def in_words(self, settings: Mapping) -> str:
        """Settings for a person, in their order: ``"curve analog, drive +12.0 dB"``."""
        format_of = {control.name: control.format for control in self.knobs + self.switches}
        return ", ".join(f"{name} {format_of[name](value)}" for name, value in settings.items())

    def to_unit(self, settings: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """Settings in units -> knobs (K,) float32 in 0…1, switches (S,) int64."""
        full = self.complete(settings)
        knobs = np.array([k.to_unit(full[k.name]) for k in self.knobs], np.float32)
        switches = np.array([s.options.index(full[s.name]) for s in self.switches], np.int64)
        return knobs, switches

    def from_unit(self, knobs: ArrayLike, switches: Iterable[int]) -> dict:
        """Knobs (K,) in 0…1 (clipped; circular ones wrapped) and option numbers (S,) -> settings.

        Raises:
            UnmixError: a knob that is not a finite number, an option number that does not exist.
        """
        settings: dict[str, float | str] = {}
        for knob, u in zip(self.knobs, np.asarray(knobs, np.float64), strict=True):
            u = u % 1.0 if knob.circular else min(max(u, 0.0), 1.0)
            settings[knob.name] = knob.check(knob.from_unit(float(u)))
        for switch, option in zip(self.switches, switches, strict=True):
            if not 0 <= int(option) < len(switch.options):
                raise UnmixError(
                    f"{switch.name} has options 0 to {len(switch.options) - 1}, no {int(option)}"
                )
            settings[switch.name] = switch.options[int(option)]
        return settings

    def values(self, knobs: Any) -> dict:
        """Tensor (..., K) in 0…1 -> {name: (...) tensor in units}; differentiable."""
        return {k.name: k.from_unit(knobs[..., i]) for i, k in enumerate(self.knobs)}

    def units(self, knobs: Any) -> dict:
        """Tensor (..., K) -> {name: (...) tensor, still in 0…1}."""
        return {k.name: knobs[..., i] for i, k in enumerate(self.knobs)}

    def options(self, switches: Any) -> dict:
        """Tensor (..., S) of option numbers -> {name: (...) tensor}."""
        return {s.name: switches[..., i] for i, s in enumerate(self.switches)}

    @property
    def circular(self) -> np.ndarray:
        """(K,) bool: which knobs are angles."""
        return np.array([k.circular for k in self.knobs], bool)

    def distance(self, a: ArrayLike, b: ArrayLike) -> np.ndarray:
        """|a − b| in 0…1 along the shorter way round for circular knobs; (..., K) arrays."""
        d = np.abs(np.asarray(a) - np.asarray(b))
        return np.where(self.circular, np.minimum(d, 1 - d), d)
