"""A chain as a Python program of its own: settings on top, then the DSP of its effects."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from unmix import effects
from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.effects import Effect
from unmix.export.source import Source

TEMPLATE = '''"""{title}: a chain of audio effects as a program.

    python THIS.py in.wav out.wav

Needs Python 3.11 with numpy, soundfile and pedalboard; numba makes some effects faster; sounds
below 44.1 kHz need soxr. A .wav file is written as 32-bit float and holds peaks above full scale.
"""

# Written by unmix, whose code the effects below are. Licence: GPL-3.0-or-later.

from __future__ import annotations

{imports}

# The chain, in order. Values may be changed within their ranges.
CHAIN = [{chain}]
{definitions}

DEVICES = {{{devices}}}


def render(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """float32 (channels, samples) through the chain, never clipped."""
    for name, settings in CHAIN:
        audio = DEVICES[name].run(audio, sample_rate, settings)
    return audio


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    audio, sample_rate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
    wet = render(np.ascontiguousarray(audio.T), sample_rate)
    subtype = "FLOAT" if sys.argv[2].lower().endswith(".wav") else None
    soundfile.write(sys.argv[2], wet.T, sample_rate, subtype=subtype)


if __name__ == "__main__":
    main()
'''


def files(chain: Chain, name: str, result: Result | None = None) -> dict[str, str]:
    """{path: text} of the format "script"."""
    return {f"{name}.chain.py": script_text(chain)}


def script_text(chain: Chain) -> str:
    """The program. UnmixError if the code of two effects cannot stand in one file."""
    devices = [effects.get(name) for name in chain.names]
    source = Source(devices, reserved=("CHAIN", "DEVICES", "render", "main"))
    standard = source.imports | {"import sys"}
    other = {"import numpy as np", "import soundfile"}
    table = [f'    "{device.name}": {type(device).__name__}(),\n' for device in devices]
    return TEMPLATE.format(
        title=chain.in_words(empty="No effect"),
        imports=_imports(standard | other, source.optional),
        chain=_lines(_step(effects.get(name), settings) for name, settings in chain.steps),
        definitions=source.text(),
        devices=_lines(table),
    )


def _imports(statements: set[str], optional: set[str]) -> str:
    """Import statements in the usual order: standard library, others, those to do without."""

    def is_standard(statement: str) -> bool:
        return statement.split()[1].partition(".")[0] in sys.stdlib_module_names

    standard = sorted(filter(is_standard, statements))
    other = sorted(statements - set(standard))
    parts = ["\n".join(standard), "\n".join(other), *(text + "\n" for text in sorted(optional))]
    return "\n\n".join(parts)


def _lines(pieces: Iterable[str]) -> str:
    """What stands between the brackets of a list: nothing, or indented lines."""
    text = "".join(pieces)
    return f"\n{text}" if text else ""


def _step(effect: Effect, settings: dict) -> str:
    """One entry of CHAIN: a line a control, with its range and what it does."""
    lines = [
        f'"{s.name}": "{settings[s.name]}",  # {", ".join(s.options)}: {s.description}'
        for s in effect.switches
    ]
    for knob in effect.knobs:
        unit = f" {knob.unit}" if knob.unit else ""
        ends = f"{knob.low:g} to {knob.high:g}{unit}"
        lines.append(f'"{knob.name}": {settings[knob.name]!r},  # {ends}: {knob.description}')
    body = "".join(f"            {line}\n" for line in lines)
    return f'    (\n        "{effect.name}",\n        {{\n{body}        }},\n    ),\n'
