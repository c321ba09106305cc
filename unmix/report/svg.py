"""A Curve as HTML: an SVG that stretches, and text around it that keeps its size on a phone."""

from __future__ import annotations

from html import escape

import numpy as np

from unmix.effects.plotdata import Axis, Curve, Line
from unmix.report import colormap

SIZE = 1000  # of the SVG's own coordinates, both ways
BAR_TICKS = 4


def _path(curve: Curve, line: Line) -> str:
    x = SIZE * np.clip(curve.x.place(line.x), -0.1, 1.1)
    low = curve.y.low if curve.y.log else -np.inf  # a logarithm needs a positive number
    y = SIZE * (1 - np.clip(curve.y.place(np.maximum(line.y, low)), -0.1, 1.1))
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _grid(curve: Curve) -> str:
    """Lines at the ticks; the one at 0 is stronger."""
    parts = []
    for value, _ in curve.x.ticks():
        x = SIZE * float(curve.x.place(value))
        parts.append(f'<path d="M{x:.1f} 0V{SIZE}"{_zero(value)}/>')
    for value, _ in curve.y.ticks():
        y = SIZE * (1 - float(curve.y.place(value)))
        parts.append(f'<path d="M0 {y:.1f}H{SIZE}"{_zero(value)}/>')
    return f'<g class="grid">{"".join(parts)}</g>'


def _zero(value: float) -> str:
    return ' class="zero"' if value == 0 else ""


def _styles(curve: Curve) -> list[str]:
    """A class a line: faint ones apart, the others numbered, so that each has colour and dash."""
    count = {"faint": 0, "line": 0}
    found = []
    for line in curve.lines:
        kind = "faint" if line.faint else "line"
        found.append(f"{kind} {kind}-{count[kind] % 4}")
        count[kind] += 1
    return found


def _svg(curve: Curve) -> str:
    lines = "".join(
        f'<path class="{style}" d="{_path(curve, line)}"/>'
        for line, style in zip(curve.lines, _styles(curve), strict=True)
    )
    what = "colour" if curve.image else "lines"
    label = escape(f"{curve.title}: {what} over {curve.x.title} and {curve.y.title}", True)
    grid = "" if curve.image else _grid(curve)
    return (
        f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{grid}{lines}</svg>'
    )


def _ticks(axis: Axis, side: str, count: int) -> str:
    """Texts at their places, in percent from the left or from the bottom."""
    return "".join(
        f'<span style="{side}:{100 * float(axis.place(value)):.2f}%">{text}</span>'
        for value, text in axis.ticks(count)
    )


def _legend(curve: Curve) -> str:
    if len(curve.lines) < 2 and not (curve.lines and curve.image):
        return ""
    entries = "".join(
        f'<li><svg viewBox="0 0 22 6" aria-hidden="true"><path class="{style}" d="M1 3H21"/></svg>'
        f"{escape(line.label)}</li>"
        for line, style in zip(curve.lines, _styles(curve), strict=True)
    )
    return f'<ul class="legend">{entries}</ul>'


def _bar(curve: Curve) -> str:
    if not curve.image:
        return ""
    scale = curve.image.scale
    return (
        f'<div class="bar"><i style="background:{colormap.gradient(curve.image.diverging)}"></i>'
        f"{_ticks(scale, 'bottom', BAR_TICKS)}</div>"
    )


def figure(curve: Curve, above: str = "") -> str:
    """One plot with title, legend, axes with units, colour bar and note; HTML ``above`` it."""
    kind = " image" if curve.image else ""
    timeline = f' data-timeline="{curve.x.high:g}"' if curve.timeline else ""
    picture = unit = ""
    if curve.image:
        picture = f'<img alt="" src="{colormap.data_uri(curve.image)}">'
        unit = f'<span class="unit">{escape(curve.image.scale.title)}</span>'
    note = f'<p class="note">{escape(curve.note)}</p>' if curve.note else ""
    return f"""<figure class="plot{kind}"{timeline}>
<figcaption>{above}<h4>{escape(curve.title)}</h4>{_legend(curve)}</figcaption>
<div class="units"><span class="unit">{escape(curve.y.title)}</span>{unit}</div>
<div class="frame"><div class="ys">{_ticks(curve.y, "bottom", 6)}</div>
<div class="area">{picture}{_svg(curve)}</div>{_bar(curve)}
<div class="xs">{_ticks(curve.x, "left", 6)}</div></div>
<div class="unit across">{escape(curve.x.title)}</div>{note}
</figure>
"""
