"""The plots of the report as PNG files, for documents and slides."""

from __future__ import annotations

import math
from pathlib import Path

from unmix import effects
from unmix.analysis.result import Result
from unmix.effects.plotdata import Axis, Curve
from unmix.report import colormap, dials, figure_data, metric_plots

WIDTH, HEIGHT = 6.4, 3.9  # inches of one plot; metric_plots.DPI
LINES = ("#b04a12", "#1a66b3", "#2a7548", "#7c479e")
QUIET = "#6a6a6a"
DASHES = ("-", "--", ":", "-.")
KNOB_HEIGHT = 0.27  # inches of a row


def _figure(columns: int, rows: int, title: str):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    return figure


def _axis(axes, axis: Axis, which: str) -> None:
    values, texts = zip(*axis.ticks(8), strict=True)
    axes.set(**{f"{which}label": axis.title, f"{which}scale": "log" if axis.log else "linear"})
    axes.set(**{f"{which}lim": (axis.low, axis.high)})
    getattr(axes, f"set_{which}ticks")(values, texts)
    getattr(axes, f"set_{which}ticks")([], minor=True)


def draw(axes, curve: Curve, title: str = "") -> None:
    """One plot into matplotlib axes, with labels, units, legend and colour bar."""
    if curve.image:
        values, scale = curve.image.values, curve.image.scale
        rows, columns = values.shape
        edges = curve.x.grid(columns + 1), curve.y.grid(rows + 1)
        colour_map = colormap.colour_map(curve.image.diverging)
        mesh = axes.pcolormesh(
            *edges, values, cmap=colour_map, vmin=scale.low, vmax=scale.high, rasterized=True
        )
        axes.figure.colorbar(mesh, ax=axes, label=scale.title)
    else:
        axes.grid(alpha=0.25)
    numbers = {True: 0, False: 0}  # of faint lines and of the others
    for line in curve.lines:
        number = numbers[line.faint] % len(LINES)
        numbers[line.faint] += 1
        style = {"color": QUIET if line.faint else LINES[number], "ls": DASHES[number]}
        if curve.image:
            style = {"color": "#7fe0ff", "ls": (0, (2, 3))}  # must not hide what lies under it
        width = 1.0 if line.faint or curve.image else 1.8
        axes.plot(line.x, line.y, lw=width, label=line.label, **style)
    _axis(axes, curve.x, "x")
    _axis(axes, curve.y, "y")
    axes.set_title(title or curve.title, fontsize=11)
    if len(curve.lines) > 1 or (curve.lines and curve.image):
        axes.legend(fontsize=8, loc="upper right" if curve.image else "best")


def _grid(curves: list[tuple[str, Curve]], columns: int, title: str):
    """A figure of several plots (title, curve)."""
    columns = min(columns, len(curves))
    figure = _figure(columns, math.ceil(len(curves) / columns), title)
    places = figure.subplots(math.ceil(len(curves) / columns), columns, squeeze=False)
    places = places.flatten()
    for (name, curve), axes in zip(curves, places, strict=False):
        draw(axes, curve, name)
    for axes in places[len(curves) :]:
        axes.set_axis_off()
    return figure


def knobs(result: Result, title: str):
    """Every knob on its range: value, interval, and whether the recording determines it."""
    rows = [
        (name, knob, settings[knob.name])
        for name, settings in result.chain.steps
        for knob in effects.get(name).knobs
    ]
    figure = _figure(1, 1, f"{title}: knobs")
    figure.set_size_inches(1.4 * WIDTH, 1.4 + KNOB_HEIGHT * len(rows))
    axes = figure.subplots()
    for y, (name, knob, value) in enumerate(rows):
        interval = result.intervals.get(name, {}).get(knob.name)
        unclear = knob.name in result.undetermined.get(name, ())
        colour = QUIET if unclear else LINES[1]
        for low, high in _spans(knob, interval):
            axes.barh(y, high - low, 0.5, low, color=colour, alpha=0.3, lw=0)
        axes.plot(knob.to_unit(value), y, "o", color=QUIET if unclear else LINES[0], ms=6)
        words = dials.in_words(knob, interval) if interval else ""
        words = "not determined by this recording" if unclear else words
        text = f"{dials.typeset(knob.format(value))}   {words}"
        axes.text(1.03, y, text, va="center", fontsize=9, color=QUIET if unclear else "black")
    names = [f"{name}  {knob.name.replace('_', ' ')}" for name, knob, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["low end", "", "middle", "", "high end"])
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xlabel("position in the knob's range; bar: 90 % interval")
    axes.grid(axis="x", alpha=0.25)
    return figure


def _spans(knob, interval) -> list[tuple[float, float]]:
    """An interval in 0…1; in two parts where it goes through 0 of a circular knob."""
    if not interval:
        return []
    low, high = (min(max(knob.to_unit(value), 0.0), 1.0) for value in interval)
    return [(low, high)] if low <= high else [(low, 1.0), (0.0, high)]


def write(result: Result, name: str, folder: Path) -> list[Path]:
    """Write NAME.knobs.png, .spectrograms.png, .devices.png and .refine.png into a folder; what a
    result does not have is left out.

    Raises:
        UnmixError: a folder that cannot be written.
    """
    title = f"{name}: {result.chain.in_words(' → ')}"
    figures = {}
    if result.excerpt:
        spectrograms = [(curve.title, curve) for curve in figure_data.spectrograms(result.excerpt)]
        figures["spectrograms"] = _grid(spectrograms, 2, title)
    if result.chain.steps:
        figures["knobs"] = knobs(result, title)
    curves = [
        (f"{place} {effect}: {curve.title}", curve)
        for place, (effect, found) in enumerate(
            zip(result.chain.names, figure_data.devices(result), strict=True), 1
        )
        for curve in found
    ]
    if curves:
        figures["devices"] = _grid(curves, 2, f"{title}: what each device does")
    if course := figure_data.search(result):
        figures["refine"] = _grid([(course.title, course)], 1, title)
    return [
        metric_plots.save(figure, folder / f"{name}.{kind}.png") for kind, figure in figures.items()
    ]
