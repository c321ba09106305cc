"""The controls of effects, as JSON for programs and as tables in 80 columns for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from io import StringIO

from unmix.effects import Effect
from unmix.effects.controls import Knob

WIDTH = 80


def as_json(effects: Iterable[Effect]) -> str:
    """A JSON list with one object an effect: names, knobs and switches with all their fields."""
    document = [
        {
            "name": effect.name,
            "description": effect.description,
            "linear_time_invariant": effect.linear_time_invariant,
            "knobs": [asdict(knob) for knob in effect.knobs],
            "switches": [asdict(switch) for switch in effect.switches],
        }
        for effect in effects
    ]
    return json.dumps(document, indent=2, ensure_ascii=False)


def _range(knob: Knob) -> str:
    return f"{knob.low:,g} … {knob.high:,g}"


def as_text(effects: Iterable[Effect]) -> str:
    """One table of knobs and one list of switches an effect, no line longer than WIDTH."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    for effect in effects:
        console.print(f"{effect.name}: {effect.description}", markup=False)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        for column in ("knob", "range", "unit", "scale", "default", "what it does"):
            right = column in ("range", "default")
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        table.columns[0].max_width = 24  # names do not drive the rest off the line
        for k in effect.knobs:
            table.add_row(k.name, _range(k), k.unit, k.scale, f"{k.default:,g}", k.description)
        console.print(table)
        for switch in effect.switches:
            options = ", ".join(switch.options)
            line = f"{switch.name} (switch): {options}; default {switch.default}. "
            console.print(line + switch.description, markup=False)
        if effect.switches:
            console.print()
    return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().splitlines())
