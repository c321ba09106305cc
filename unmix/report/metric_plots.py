"""Plots of metrics, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unmix.runtime.files import write_atomic

DPI = 120
LEAST_MSS = 1e-6  # on a scale of decades


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path) -> Path:
    """Publish a figure as PNG, whole or not at all."""
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=DPI, format="png"))
    return Path(path)


def chains(metrics: dict):
    """``evaluation.chains.chains`` at a glance: accuracy, confusion, calibration, knobs."""
    figure = _figure(12, 9)
    axes = figure.subplots(2, 2)
    degraded = f", degraded: {metrics['degraded']}" if metrics["degraded"] else ""
    how = "The network with re-ranking" if "alone" in metrics else "The network alone"
    figure.suptitle(
        f"{how} on {metrics['count']:,} held-out chains, "
        f"source {metrics['source']}{degraded}, seed {metrics['seed']}"
    )
    _accuracy(axes[0, 0], metrics)
    _confusion(axes[0, 1], metrics["confusion"])
    _calibration(axes[1, 0], metrics)
    _knobs(axes[1, 1], metrics["knobs"])
    return figure


def refine(metrics: dict):
    """``evaluation.refine.refine`` at a glance: distance over time; before and after by length."""
    figure = _figure(12, 4.8)
    left, right = figure.subplots(1, 2)
    figure.suptitle(
        f"Refine, {metrics['steps']} steps, on {metrics['count']:,} held-out recordings, "
        f"seed {metrics['seed']}"
    )
    longest = max(line[-1][0] for lines in metrics["timelines"].values() for line in lines)
    seconds = np.linspace(0, longest, 200)
    for name, lines in metrics["timelines"].items():
        courses = [
            _course(line, before, seconds)
            for line, before in zip(lines, metrics["before"], strict=True)
        ]
        left.plot(seconds, np.median(courses, 0), label=name)
    left.set(xlabel="seconds", ylabel="median distance (MSS) by the real effects", yscale="log")
    left.set_title("Distance over time")
    left.legend(fontsize=8)
    lengths = [str(n) for n in metrics["by_length"]]
    ends = []
    for when in ("before", "after"):
        values = [row[f"mss_{when}"] for row in metrics["by_length"].values()]
        ends.append(np.maximum(values, LEAST_MSS))
        right.plot(lengths, ends[-1], "o", ms=8, label=f"{when} refine")
        for length, height, value in zip(lengths, ends[-1], values, strict=True):
            beside = {"xytext": (8, -3), "textcoords": "offset points", "fontsize": 8}
            right.annotate(f"{value:.2g}", (length, height), **beside)
    right.vlines(lengths, *ends, color="lightgrey", zorder=0)
    right.set(xlabel="effects in the chain", ylabel="median distance (MSS)", yscale="log")
    right.margins(x=0.2)
    right.set_title("By length of the chain")
    right.legend(fontsize=8)
    return figure


def _course(line, before: float, seconds: np.ndarray) -> np.ndarray:
    """The distance as it stood at each of ``seconds``, from (second, distance) pairs."""
    times = [0.0, *(second for second, _ in line)]
    distances = np.array([before, *(distance for _, distance in line)])
    return distances[np.searchsorted(times, seconds, side="right") - 1]


def _accuracy(axis, metrics: dict) -> None:
    lengths = list(metrics["by_length"])
    x = np.arange(len(lengths))
    series = (("top5", "among the top 5"), ("set", "right set"), ("equivalence", "named rightly"))
    for i, (key, label) in enumerate(series):
        shares = [100 * row[key] for row in metrics["by_length"].values()]
        bars = axis.bar(x + 0.27 * (i - 1), shares, 0.25, label=label)
        axis.bar_label(bars, [f"{share:.0f}" for share in shares], fontsize=7)
    others = {"network alone": metrics["alone"]} if "alone" in metrics else {}
    others |= metrics.get("baselines", {})
    for (name, rows), colour in zip(
        others.items(), ("black", "tab:red", "tab:purple"), strict=False
    ):
        shares = [100 * row["equivalence"] for row in rows["by_length"].values()]
        axis.plot(x + 0.27, shares, "_", ms=22, mew=2, c=colour, label=f"named rightly: {name}")
    axis.set_xticks(x, [str(n) for n in lengths])
    axis.set(xlabel="effects in the chain", ylabel="recordings, %", ylim=(0, 138))
    axis.set_yticks(range(0, 101, 20))
    axis.set_title("Chains, by equivalence")
    axis.legend(fontsize=8, ncols=2, loc="upper center")


def _confusion(axis, table: dict) -> None:
    labels = list(table)
    counts = np.array([[table[x][y] for y in labels] for x in labels], float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="named in its place (– nothing)", ylabel="effect (– nothing)")
    axis.set_title("Confusion, chains aligned")


def _calibration(axis, metrics: dict) -> None:
    rows = [*metrics["by_length"].items(), ("all", metrics["all"])]
    axis.plot([0, 100], [0, 100], ":", color="grey", label="right")
    for n, row in rows:
        covered = row["coverage"]
        x = [100 * float(share) for share in covered]
        y = [100 * value if value is not None else np.nan for value in covered.values()]
        style = {"lw": 2.5, "color": "black"} if n == "all" else {"lw": 1}
        axis.plot(x, y, "o-", ms=4, label=f"{n}", **style)
    axis.set(xlabel="nominal coverage of the interval, %", ylabel="knobs inside, %")
    axis.set(xlim=(45, 95), ylim=(30, 100))
    axis.set_title("Calibration of the knobs' intervals, by effects in the chain")
    axis.legend(fontsize=8)


def _knobs(axis, table: dict) -> None:
    names, errors, colours = [], [], []
    for i, (effect, knobs) in enumerate(table.items()):
        for knob, row in knobs.items():
            names.append(f"{effect} {knob}")
            errors.append(row["error"])
            colours.append(f"C{i}")
    axis.barh(range(len(names)), errors, color=colours)
    axis.set_yticks(range(len(names)), names, fontsize=6)
    axis.invert_yaxis()
    axis.set(xlabel="mean error of the knob where audible, share of its range")
    axis.set_title("Knobs of the effects named rightly")
