"""The controls of a device as HTML: knobs as dials with their intervals, switches as rows."""

from __future__ import annotations

import math
from collections import Counter
from html import escape

from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch

SWEEP_DEGREES = 270.0  # from lower left to lower right; a circular knob takes the whole turn
CENTRE, RADIUS, OUTER, POINTER = 36.0, 24.0, 31.0, (9.0, 18.0)


def grouped(effect: Effect) -> list[tuple[str, list[Knob | Switch]]]:
    """Controls by the last part of their names, where several share it: ("", the others) first,
    then (part, its knobs and switches)."""
    controls = [*effect.knobs, *effect.switches]
    ends = Counter(_end(control.name) for control in controls)
    groups: dict[str, list] = {"": []}
    for control in controls:
        end = _end(control.name)
        groups.setdefault(end if ends[end] > 1 else "", []).append(control)
    return [(end, members) for end, members in groups.items() if members]


def _end(name: str) -> str:
    start, _, end = name.rpartition("_")
    return end if start else ""


def _angle(knob: Knob, u: float) -> float:
    """Position 0…1 of a knob -> degrees clockwise from the top."""
    return 360 * u if knob.circular else SWEEP_DEGREES * (u - 0.5)


def _point(angle: float, radius: float) -> str:
    turn = math.radians(angle)
    return f"{CENTRE + radius * math.sin(turn):.2f} {CENTRE - radius * math.cos(turn):.2f}"


def _arc(start: float, end: float, radius: float) -> str:
    """SVG path clockwise from one angle to another, less than a whole turn."""
    span = min(max(end - start, 0.01), 359.9)
    large = int(span > 180)
    head, tail = _point(start, radius), _point(start + span, radius)
    return f"M{head}A{radius:g} {radius:g} 0 {large} 1 {tail}"


def _zero_angle(knob: Knob) -> float:
    """Where the value's arc begins: at 0 where that lies inside a linear range, else at the low
    end."""
    if knob.scale == "linear" and knob.low < 0 < knob.high:
        return _angle(knob, knob.to_unit(0.0))
    return _angle(knob, 0.0)


def _interval_path(knob: Knob, interval: tuple[float, float]) -> str:
    low, high = (_angle(knob, min(max(knob.to_unit(value), 0.0), 1.0)) for value in interval)
    if knob.circular and high < low:  # through 0
        high += 360
    return _arc(low, high, OUTER)


def dial(knob: Knob, value: float, interval: tuple[float, float] | None) -> str:
    """The SVG of one knob: its track, its value, and the interval as an arc outside."""
    angle, zero = _angle(knob, knob.to_unit(value)), _zero_angle(knob)
    track = (0.0, 359.9) if knob.circular else (-SWEEP_DEGREES / 2, SWEEP_DEGREES / 2)
    outer = ""
    if interval:
        outer = f'<path class="interval" d="{_interval_path(knob, interval)}"/>'
    inner, tip = (_point(angle, radius) for radius in POINTER)
    return (
        f'<svg viewBox="0 0 {2 * CENTRE:g} {2 * CENTRE:g}" aria-hidden="true">'
        f'<path class="track" d="{_arc(*track, RADIUS)}"/>{outer}'
        f'<path class="value" d="{_arc(min(zero, angle), max(zero, angle), RADIUS)}"/>'
        f'<circle class="cap" cx="{CENTRE:g}" cy="{CENTRE:g}" r="19"/>'
        f'<path class="pointer" d="M{inner}L{tip}"/></svg>'
    )


def in_words(knob: Knob, interval: tuple[float, float]) -> str:
    """``"10.2 … 14.1 dB"``: the unit once where both ends have the same."""
    low, high = (knob.format(value) for value in interval)
    number, _, unit = low.rpartition(" ")
    low = number if number and high.endswith(f" {unit}") else low
    return f"{typeset(low)} … {typeset(high)}"


def typeset(text: str) -> str:
    """With real minus signs; a zero has no sign."""
    number = text.split(" ")[0]
    if number[:1] in "+-" and not number.strip("+-0."):
        text = text[1:]
    return text.replace("-", "−")


def _short(name: str, group: str) -> str:
    return name.removesuffix(f"_{group}").replace("_", " ")


def _knob(knob: Knob, group: str, value: float, interval, undetermined: bool) -> str:
    shown = typeset(knob.format(value))
    between = in_words(knob, interval) if interval else ""
    words = f"{knob.name}: {shown}"
    if undetermined:
        words += ", not determined by this recording"
    elif between:
        words += f", 90 % interval {between}"
    small = "not determined" if undetermined else between
    title = f"{words}. {knob.description}".strip()
    return (
        f'<div class="knob{" undetermined" if undetermined else ""}" data-knob="{knob.name}" '
        f'role="img" aria-label="{escape(words, True)}" title="{escape(title, True)}">'
        f'{dial(knob, value, interval)}<span class="name">{escape(_short(knob.name, group))}</span>'
        f'<b>{escape(shown)}</b><span class="between">{escape(small)}</span></div>'
    )


def _switch(switch: Switch, group: str, value: str) -> str:
    options = "".join(
        f"<li{' class=on' if option == value else ''}>{escape(option.replace('_', ' '))}</li>"
        for option in switch.options
    )
    label = escape(f"{switch.name}: {value}, of {', '.join(switch.options)}", True)
    return (
        f'<div class="switch" data-knob="{switch.name}" role="img" aria-label="{label}" '
        f'title="{label}"><span class="name">{escape(_short(switch.name, group))}</span>'
        f"<ul>{options}</ul></div>"
    )


def controls(effect: Effect, settings: dict, intervals: dict, undetermined) -> str:
    """All knobs and switches of a device.

    Args:
        settings: complete, in units. intervals: {knob: (low, high)}. undetermined: knob names.
    """
    parts = []
    for group, members in grouped(effect):
        switches = "".join(
            _switch(c, group, settings[c.name]) for c in members if isinstance(c, Switch)
        )
        knobs = "".join(
            _knob(c, group, settings[c.name], intervals.get(c.name), c.name in undetermined)
            for c in members
            if isinstance(c, Knob)
        )
        head = f"<h4>{escape(group)}</h4>" if group else ""
        parts.append(
            f'<div class="group" style="--knobs:{sum(isinstance(c, Knob) for c in members)}">'
            f'{head}{switches}<div class="knobs">{knobs}</div></div>'
        )
    return "".join(parts)
