"""What the controls of an effect change, measured: the real effect on test sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from unmix import sources
from unmix.audio import SAMPLE_RATE
from unmix.effects import Effect
from unmix.knobs import Knob, Switch
from unmix.report import bars

VALUES = 5  # positions of a knob in its course
ENOUGH_DB = 1.5  # a control that changes less is looked at with another one moved
FLOOR_DB = -70.0
FRAME = 441  # samples of a level: 10 ms
TONE_SECONDS, TONE_HZ, TONE_DB = 4.0, 1_000.0, -12.0
BANDS_HZ = 30 * 2 ** np.arange(0, 9.3, 1 / 8)  # edges


@dataclass(frozen=True)
class View:
    """One way to look at what an effect makes of a test sound.

    Attributes:
        title, x_label, y_label: of a plot. log: of its x axis.
        sound: "probe" or "tone". part: the samples of it that are looked at.
        x: (N,). look: called as look(dry part, wet part), gives (N,) dB.
        linear: it says something about an effect that is linear and time-invariant.
        weight: how well it explains what it shows: of two views the heavier one is taken.
    """

    title: str
    x_label: str
    y_label: str
    sound: str
    part: slice
    x: np.ndarray
    look: Callable[[np.ndarray, np.ndarray], np.ndarray]
    weight: float
    log: bool = False
    linear: bool = False


@cache
def _sounds() -> dict[str, np.ndarray]:
    seconds = np.arange(round(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 10 ** (TONE_DB / 20) * np.sin(2 * np.pi * TONE_HZ * seconds)
    return {"probe": sources.probe(), "tone": tone.astype(np.float32)}


@cache
def _views() -> tuple[View, ...]:
    sounds, parts = _sounds(), sources.probe_parts()
    sine, noise, tail = (parts[name] for name in ("sine", "steps", "impulse"))
    late = slice(tail.start + 5 * FRAME, tail.stop)
    whole = slice(0, sounds["tone"].size)
    inputs = _levels(sounds["probe"][sine])
    middles = np.sqrt(BANDS_HZ[1:] * BANDS_HZ[:-1])
    rows = (
        ("rising sine", "input, dB", "output, dB", "probe", sine, inputs, _level_of, 0.8),
        ("noise", "Hz", "gain, dB", "probe", noise, middles, _gain, 0.8, True, True),
        ("tone of 1 kHz", "s", "level, dB", "tone", whole, _times(whole), _level_of, 1.0),
        ("noise in steps", "s", "level, dB", "probe", noise, _times(noise), _level_of, 0.6),
        ("impulse", "s", "level, dB", "probe", tail, _times(tail), _level_of, 0.4, False, True),
        ("tail of an impulse", "Hz", "dB", "probe", late, middles, _spectrum, 0.4, True, True),
    )
    return tuple(View(*row) for row in rows)


def _times(part: slice) -> np.ndarray:
    return np.arange((part.stop - part.start) // FRAME) * FRAME / SAMPLE_RATE


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def _levels(audio: np.ndarray) -> np.ndarray:
    """(samples,) -> RMS of frames in dB."""
    frames = audio[: audio.size // FRAME * FRAME].reshape(-1, FRAME)
    return _decibels(np.square(frames, dtype=np.float64).mean(1))


def _level_of(dry: np.ndarray, wet: np.ndarray) -> np.ndarray:
    return _levels(wet)


def _spectrum(dry: np.ndarray, wet: np.ndarray) -> np.ndarray:
    """Mean power of wet in BANDS_HZ, in dB."""
    return _decibels(_band_powers(wet) / wet.size)


def _gain(dry: np.ndarray, wet: np.ndarray) -> np.ndarray:
    """Power of wet to dry in BANDS_HZ, in dB."""
    return _decibels(_band_powers(wet) / _band_powers(dry))


def _band_powers(audio: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(np.hanning(audio.size) * audio)) ** 2
    starts = np.searchsorted(np.fft.rfftfreq(audio.size, 1 / SAMPLE_RATE), BANDS_HZ)
    return np.add.reduceat(power, starts)[: BANDS_HZ.size - 1]


@dataclass(frozen=True)
class Course:
    """What one control changes.

    Attributes:
        control: the knob or switch. values: in units, or options.
        view: where most of the change is seen. curves: (N,) dB for each value.
        moved: settings of other controls, without which it would change next to nothing.
        change: between the curves in dB; see ``_change``.
    """

    control: Knob | Switch
    values: Sequence
    view: View
    curves: Sequence[np.ndarray]
    moved: dict
    change: float


def courses(effect: Effect) -> list[Course]:
    """What every control changes, all others at their defaults where that is enough.

    With a bar, as the search for another control that must be moved takes seconds.
    """
    found = []
    for control in bars.steps(effect.switches + effect.knobs, f"{effect.name}: render"):
        course = _course(effect, control, {}, VALUES)
        if course.change < ENOUGH_DB:
            tries = (_course(effect, control, moved, 3) for moved in _moves(effect, control))
            moved = max(tries, key=lambda tried: tried.change, default=course).moved
            again = _course(effect, control, moved, VALUES)
            course = max(course, again, key=lambda either: either.change)
        found.append(course)
    return found


def _course(effect: Effect, control: Knob | Switch, moved: dict, count: int) -> Course:
    """The course in the view that shows most."""
    values = _positions(control, count)
    views = [v for v in _views() if v.linear or not effect.linear_time_invariant]
    heard = {name: _sounds()[name] for name in {view.sound for view in views}}
    settings = [moved | {control.name: value} for value in values]
    wet = {
        name: [effect.render(dry, SAMPLE_RATE, each) for each in settings]
        for name, dry in heard.items()
    }
    found = []
    for view in views:
        dry = heard[view.sound][view.part]
        curves = [view.look(dry, sound[view.part]) for sound in wet[view.sound]]
        found.append(Course(control, values, view, curves, moved, _change(curves)))
    return max(found, key=lambda course: course.view.weight * course.change)


def _positions(control: Knob | Switch, count: int) -> list:
    if isinstance(control, Switch):
        return list(control.options)
    last = count if control.circular else count - 1
    return [control.check(control.from_unit(i / last)) for i in range(count)]


def _change(curves: Sequence[np.ndarray]) -> float:
    """Greatest minus smallest curve in dB, mean over the view; a mere shift counts a fifth of a
    change in shape, as every view shows it."""
    means = np.mean(curves, 1, keepdims=True)
    return float(np.ptp(curves - means, axis=0).mean() + 0.2 * np.ptp(means))


def _moves(effect: Effect, control: Knob | Switch) -> Iterator[dict]:
    """Every other control alone, at each end or option."""
    for other in effect.switches + effect.knobs:
        if other is not control:
            yield from ({other.name: value} for value in _positions(other, 2))
