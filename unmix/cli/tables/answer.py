"""The answer of an analysis as tables in 80 columns."""

from __future__ import annotations

from io import StringIO

from unmix import effects
from unmix.analysis.result import Result

WIDTH = 80


def in_short(result: Result) -> str:
    """Chain, and distance or probability: half a line."""
    if result.distance is None:
        judged = f"probability {100 * result.candidates[0][1]:.0f} %"
    else:
        judged = f"distance {result.distance['after']['mss']:.3f}"
    return f"{result.chain.in_words()}, {judged}"


def as_text(result: Result, name: str, notes: bool = True, colour: bool = False) -> str:
    """Headline, settings with intervals, candidates, distances, remarks; no line over WIDTH."""
    from rich.console import Console

    console = Console(
        file=StringIO(),
        width=WIDTH,
        highlight=False,
        markup=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    console.print(f"{name}: {result.chain.in_words()}", style="bold")
    if result.chain.steps:
        console.print(_settings(result))
    console.print(_candidates(result))
    console.print(_distance(result), soft_wrap=False)
    for note in result.notes if notes else ():
        console.print(_note(note), style="dim")
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _table(*columns: tuple[str, str]):
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")
    return table


def _settings(result: Result):
    table = _table(("", "right"), ("effect", "left"), ("setting", "left"), ("value", "right"))
    table.add_column("90 % interval", justify="left")
    for place, (name, settings) in enumerate(result.chain.steps, 1):
        effect = effects.get(name)
        head = (str(place), name)
        for switch in effect.switches:
            table.add_row(*head, switch.name, settings[switch.name], "")
            head = ("", "")
        for knob in effect.knobs:
            interval = result.intervals.get(name, {}).get(knob.name)
            between = knob.format_interval(interval) if interval else ""
            if knob.name in result.undetermined.get(name, ()):
                between = "not determined"
            table.add_row(*head, knob.name, knob.format(settings[knob.name]), between)
            head = ("", "")
    return table


def _candidates(result: Result):
    table = _table(("", "right"), ("probability", "right"), ("distance", "right"))
    table.add_column("chain", justify="left", overflow="fold")
    for place, (chain, probability, distance) in enumerate(result.candidates, 1):
        table.add_row(
            str(place),
            "" if probability is None else f"{100 * probability:.1f} %",
            "" if distance is None else f"{distance:.3f}",
            chain.in_words(),
        )
    return table


def _distance(result: Result) -> str:
    if result.distance is None:
        return "Distance: unknown without the source"
    stages = {"prediction": "before", "answer": "after"} if result.history else {"answer": "after"}
    lines = [f"Distance by the real effects, source {result.source}:"]
    for stage, when in stages.items():
        distance = result.distance[when]
        lines.append(f"  {stage:<10}  MSS {distance['mss']:.3f}  ESR {distance['esr_db']:+.1f} dB")
    return "\n".join(lines)


def _note(note: str):
    from rich.padding import Padding

    return Padding(f"Note: {note}", (0, 0, 0, 0), expand=False)
