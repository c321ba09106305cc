"""A chain as a list to type into any DAW by hand."""

from __future__ import annotations

import textwrap

from unmix import effects
from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.effects import Effect
from unmix.effects.controls import Knob

WIDTH = 80


def files(chain: Chain, name: str, result: Result | None = None) -> dict[str, str]:
    """{path: text} of the format "text"."""
    return {f"{name}.knobs.txt": knobs_text(chain, name, result)}


def knobs_text(chain: Chain, name: str, result: Result | None = None) -> str:
    """Every control of every effect, in the chain's order, one a line.

    ``result`` adds what the analysis knows of each knob: its 90 % interval, or that the recording
    does not determine it; and the analysis's remarks.
    """
    lines = [f"{name}: {chain.in_words(empty='no effect')}", ""]
    if chain.steps:
        lines += ["The first effect hears the dry sound, each other one the effect above it.", ""]
    for place, (effect_name, settings) in enumerate(chain.steps, 1):
        effect = effects.get(effect_name)
        lines += textwrap.wrap(f"{place}. {effect_name}: {effect.description}", WIDTH)
        lines += [*_controls(effect, settings, result), ""]
    for note in result.notes if result else ():
        lines += [*textwrap.wrap(f"Note: {note}", WIDTH), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _controls(effect: Effect, settings: dict, result: Result | None) -> list[str]:
    """Lines with columns: name, value (numbers to the right), unit, hint."""
    names = max(len(c.name) for c in effect.switches + effect.knobs)
    values = max([9, *(len(option) for switch in effect.switches for option in switch.options)])
    lines = [
        f"   {s.name:{names}}  {settings[s.name]:>{values}}     one of {', '.join(s.options)}"
        for s in effect.switches
    ]
    for knob in effect.knobs:
        value = f"{settings[knob.name]:.5g}"
        hint = _hint(effect.name, knob, result) if result else ""
        lines.append(f"   {knob.name:{names}}  {value:>{values}} {knob.unit:3} {hint}".rstrip())
    return lines


def _hint(effect: str, knob: Knob, result: Result) -> str:
    if knob.name in result.undetermined.get(effect, ()):
        return "not determined by this recording"
    interval = result.intervals.get(effect, {}).get(knob.name)
    return f"90 %: {knob.format_interval(interval)}" if interval else ""
