"""What the controls of an effect change: one small plot each."""

from __future__ import annotations

from collections.abc import Callable

from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch
from unmix.report.control_sweep import FLOOR_DB, Course, courses

COLUMNS = 3
WIDTH, HEIGHT = 4.3, 3.0  # inches of a plot


def picture(effect: Effect, progress: Callable = iter):
    """A figure with a plot for every switch and knob; seconds of work, see ``courses``."""
    from matplotlib.figure import Figure

    found = courses(effect, progress)
    columns = 2 if len(found) in (2, 4) else min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows + 0.8), layout="constrained")
    figure.suptitle(
        f"{effect.name}: what each control changes, the others at their defaults", fontsize=13
    )
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, course in zip(axes, found, strict=False):
        _plot(axis, course, effect)
    for axis in axes[len(found) :]:
        axis.set_axis_off()
    return figure


def _plot(axis, course: Course, effect: Effect) -> None:
    control, view = course.control, course.view
    labels = [control.format(value) for value in course.values]
    colours = _colours(control, len(labels))
    lowest = min(curve.min() for curve in course.curves)
    highest = max(curve.max() for curve in course.curves)
    strip = 1.1 * (highest - lowest) if view.strips else 0.0
    for i, (curve, colour, label) in enumerate(zip(course.curves, colours, labels, strict=True)):
        axis.plot(view.x, curve + i * strip, color=colour, lw=1.3, label=label)
    if view.log:
        axis.set_xscale("log")
        axis.set_xticks([50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4])
        axis.set_xticklabels(["50", "100", "200", "500", "1k", "2k", "5k", "10k"])
        axis.minorticks_off()
    if strip:
        axis.set_yticks([(lowest + highest) / 2 + i * strip for i in range(len(labels))], labels)
    elif highest - lowest < 6:  # so that little looks little
        axis.set_ylim(lowest - 3, highest + 3)
    elif lowest <= FLOOR_DB:
        axis.set_ylim(FLOOR_DB, highest + 4)
    moved = [f"{name} {_control(effect, name).format(v)}" for name, v in course.moved.items()]
    about = ", ".join([view.title, *moved])
    if strip:
        axis.set_ylabel(f"level of a {about}\n({lowest:.0f} … {highest:.0f} dB each)", fontsize=8)
    else:
        axis.set_ylabel(view.y_label, fontsize=8)
        style = {"framealpha": 0.75, "labelspacing": 0.25}
        axis.legend(fontsize=7, title=about, title_fontsize=7, **style)
    axis.set_xlim(view.x[0], view.x[-1])
    axis.set_xlabel(view.x_label, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.25, lw=0.5)
    axis.set_title(f"{control.name}: {control.description}", fontsize=9, loc="left", wrap=True)


def _colours(control: Knob | Switch, count: int):
    from matplotlib import colormaps

    if isinstance(control, Switch):
        return [f"C{i}" for i in range(count)]
    scale = colormaps["twilight_shifted" if control.circular else "viridis"]
    last = count if control.circular else 1.1 * (count - 1)  # the brightest yellow is not read well
    return [scale(i / last) for i in range(count)]


def _control(effect: Effect, name: str) -> Knob | Switch:
    return next(control for control in effect.knobs + effect.switches if control.name == name)
