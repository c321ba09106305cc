"""What a plot shows, as plain data: axes with units, lines, an image. It knows no drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unmix.errors import UnmixError


@dataclass(frozen=True)
class Axis:
    """A direction of a plot.

    Args:
        label: what it is, in words. unit: "Hz", "dB", "s", "%" or "" for a pure number.
        low, high: its ends, low < high. log: logarithmic; low must be above 0 then.
    """

    label: str
    unit: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self):
        if not self.low < self.high or (self.log and self.low <= 0):
            raise UnmixError(f"axis {self.label!r}: bad range {self.low}…{self.high}")

    @property
    def title(self) -> str:
        """Label and unit: ``"frequency (Hz)"``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def place(self, values):
        """Values -> 0 at ``low`` … 1 at ``high``, and beyond outside; array in, array out."""
        if self.log:
            return np.log(np.asarray(values) / self.low) / math.log(self.high / self.low)
        return (np.asarray(values) - self.low) / (self.high - self.low)

    def grid(self, count: int) -> np.ndarray:
        """(count,) values from ``low`` to ``high``, evenly on the axis's scale."""
        if self.log:
            return np.geomspace(self.low, self.high, count)
        return np.linspace(self.low, self.high, count)

    def ticks(self, count: int = 6) -> list[tuple[float, str]]:
        """About so many round values within the axis, each with its text."""
        values = self._decades(count) if self.log else self._steps(count)
        return [(value, tick_text(value, self.unit)) for value in values]

    def _steps(self, count: int) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten; decibels go in threes, sixes and twelves."""
        raw = (self.high - self.low) / max(1, count)
        power = 10.0 ** math.floor(math.log10(raw))
        steps = [m * power for m in (1, 2, 5, 10)]
        if self.unit == "dB" and 2 < raw <= 12:
            steps = [3, 6, 12]
        step = next(step for step in steps if step >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]

    def _decades(self, count: int) -> list[float]:
        """1, 2 and 5 times powers of ten; fewer of them where they would be too many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [m * 10.0**n for n in range(first, last + 1) for m in factors]
            inside = [v for v in found if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            if len(inside) <= count + 1:
                break
        return inside if len(inside) > 2 else self._steps(count)  # a range of less than a decade


def tick_text(value: float, unit: str = "") -> str:
    """A round number in few characters: ``"2k"`` for 2,000 Hz, ``"−12"``."""
    value = 0.0 if abs(value) < 1e-12 else value
    text = f"{value / 1000:g}k" if unit == "Hz" and abs(value) >= 1000 else f"{value:g}"
    return text.replace("-", "−")


@dataclass(frozen=True)
class Line:
    """A line of a plot: x and y (N,), in the units of the axes; ``faint`` for a reference."""

    label: str
    x: np.ndarray
    y: np.ndarray
    faint: bool = False


@dataclass(frozen=True)
class Image:
    """Values under the lines of a plot.

    Args:
        values: float (rows, columns); row 0 lies at the y axis's low end and column 0 at the x
            axis's, the others evenly on the axes' scales.
        scale: what a colour means. diverging: its middle means "no difference".
    """

    values: np.ndarray
    scale: Axis
    diverging: bool = False


@dataclass(frozen=True)
class Curve:
    """One plot.

    Args:
        title: short. x, y: its axes; what lies outside them is cut off at their ends.
        note: one sentence on how to read it. timeline: x is the time of the recording's excerpt.
    """

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    image: Image | None = None
    note: str = ""
    timeline: bool = False


FREQUENCY = Axis("frequency", "Hz", 20.0, 20_000.0, log=True)


def time_axis(samples: int, sample_rate: int) -> Axis:
    """From the first to the last of so many samples (at least 1), in seconds."""
    return Axis("time", "s", 0.0, samples / sample_rate)


def response_db(response: np.ndarray, sample_rate: int, hz: np.ndarray) -> np.ndarray:
    """Magnitude of an impulse response (samples,) at frequencies ``hz`` (N,), in dB -> (N,).

    By one FFT, joined by straight lines between its bins; −160 dB at least.
    """
    spectrum = np.abs(np.fft.rfft(np.asarray(response, np.float64)))
    bins = np.fft.rfftfreq(len(response), 1 / sample_rate)
    return 20 * np.log10(np.interp(hz, bins, spectrum) + 1e-8)
