"""What the controls of an effect change, measured: the real effect on test sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch

VALUES = 5  # positions of a knob in its course
ENOUGH_DB = 1.5  # a control that changes less is looked at with another one moved
FLOOR_DB = -80.0
FRAME = 401  # samples of a level: two periods of the probe's rising sine
SECONDS, TONE_HZ, TONE_DB = 2.0, 1_000.0, -12.0  # of the sounds beside the probe
MOMENT_SECONDS = 0.2
BANDS_HZ = 30 * 2 ** np.arange(0, 9.3, 1 / 8)  # edges


@dataclass(frozen=True)
class View:
    """One way to look at what an effect makes of a test sound.

    Attributes:
        title, x_label, y_label: of a plot. log: of its x axis.
        sound: a name in ``_sounds``. part: the samples of it that are looked at.
        x: (N,). look: called as look(dry part, wet part), gives (N,) dB.
        weights: by the kind of effect — "still" (linear and time-invariant), "swept" (by an LFO),
            "other" — how well the view explains what it shows; none where it would mislead.
        strips: the curves cross so often that each wants a strip of its own.
    """

    title: str
    x_label: str
    y_label: str
    sound: str
    part: slice
    x: np.ndarray
    look: Callable[[np.ndarray, np.ndarray], np.ndarray]
    weights: dict[str, float]
    log: bool = False
    strips: bool = False


@cache
def _sounds() -> dict[str, np.ndarray]:
    seconds = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 10 ** (TONE_DB / 20) * np.sin(2 * np.pi * TONE_HZ * seconds)
    return {
        "probe": signals.probe(),
        "tone": tone.astype(np.float32),
        "impulse": signals.fixed("impulse")[: tone.size],
    }


@cache
def _views() -> tuple[View, ...]:
    sounds, parts = _sounds(), signals.probe_parts()
    sine, steps = parts["sine"], parts["steps"]
    tone, impulse = (slice(0, sounds[name].size) for name in ("tone", "impulse"))
    moment = slice(0, round(MOMENT_SECONDS * SAMPLE_RATE))
    late, soon = slice(5 * FRAME, impulse.stop), slice(0, impulse.stop * 2 // 3)
    inputs = _levels(sounds["probe"][sine])
    hz = np.sqrt(BANDS_HZ[1:] * BANDS_HZ[:-1])
    gain, level, at = "gain, dB", "level, dB", _times
    still, swept, other = "still", "swept", "other"
    in_other, in_still, in_tone = {other: 0.8}, {still: 0.4}, {swept: 1.0, other: 0.7}
    rows = (
        ("rising sine", "input, dB", "output, dB", "probe", sine, inputs, _level_of, in_other),
        ("noise", "Hz", gain, "probe", steps, hz, _gain, {still: 0.8, other: 0.7}, True),
        ("impulse", "Hz", gain, "impulse", moment, hz, _response, {swept: 1.5}, True),
        ("tone of 1 kHz", "s", level, "tone", tone, at(tone), _level_of, in_tone, False, True),
        ("noise in steps", "s", level, "probe", steps, at(steps), _level_of, {other: 0.6}),
        ("impulse", "s", level, "impulse", soon, at(soon), _level_of, in_still),
        ("tail of an impulse", "Hz", level, "impulse", late, hz, _spectrum, {still: 0.3}, True),
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


def _response(dry: np.ndarray, wet: np.ndarray) -> np.ndarray:
    """The same for an impulse at the first sample, which a window would blot out."""
    return _decibels(_band_powers(wet, window=1.0) / _band_powers(dry, window=1.0))


def _band_powers(audio: np.ndarray, window=None) -> np.ndarray:
    window = np.hanning(audio.size) if window is None else window
    power = np.abs(np.fft.rfft(window * audio)) ** 2
    starts = np.searchsorted(np.fft.rfftfreq(audio.size, 1 / SAMPLE_RATE), BANDS_HZ)
    return np.add.reduceat(power, starts)[: BANDS_HZ.size - 1]


@dataclass(frozen=True)
class Course:
    """What one control changes.

    Attributes:
        control: the knob or switch. values: in units, or options.
        view: where most of the change is seen. curves: (N,) dB for each value.
        moved: settings of other controls, without which it would change next to nothing.
        change: between the curves in dB, see ``_change``; of a switch the smallest between two.
    """

    control: Knob | Switch
    values: Sequence
    view: View
    curves: Sequence[np.ndarray]
    moved: dict
    change: float


def courses(effect: Effect, progress: Callable = iter) -> list[Course]:
    """What every control changes, all others at their defaults where that is enough.

    ``progress`` wraps the controls as tqdm would: the search for another control that must be
    moved takes seconds.
    """
    found = []
    for control in progress(effect.knobs + effect.switches):
        course = _course(effect, control, {}, VALUES)
        if course.change < ENOUGH_DB:
            tries = (_course(effect, control, moved, 3) for moved in _moves(effect, control))
            moved = max(tries, key=lambda tried: tried.change, default=course).moved
            again = _course(effect, control, moved, VALUES)
            course = again if again.change > 2 * course.change else course
        found.append(course)
    return found


def _course(effect: Effect, control: Knob | Switch, moved: dict, count: int) -> Course:
    """The course in the view that shows most."""
    values = _positions(control, count)
    kind = "still" if effect.linear_time_invariant else "swept" if effect.lfo else "other"
    views = [view for view in _views() if kind in view.weights]
    sounds = {name: _sounds()[name] for name in {view.sound for view in views}}
    settings = [moved | {control.name: value} for value in values]
    wet = {
        name: [effect.render(dry, SAMPLE_RATE, each) for each in settings]
        for name, dry in sounds.items()
    }
    found = []
    for view in views:
        dry = sounds[view.sound][view.part]
        curves = [view.look(dry, sound[view.part]) for sound in wet[view.sound]]
        pairs = combinations(curves, 2) if isinstance(control, Switch) else [curves]
        found.append(Course(control, values, view, curves, moved, min(map(_change, pairs))))
    return max(found, key=lambda course: course.view.weights[kind] * course.change)


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
