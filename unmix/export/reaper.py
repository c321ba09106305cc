"""A chain for REAPER: an .RfxChain file and the JSFX devices that it names.

The EEL2 code of a device is in ``jsfx.eel`` of its effect's folder, or in ``NAME.eel`` beside an
effect of one file. Its header, with one slider a control, is made here from the effect's knobs and
switches, so that ranges exist once. Devices need REAPER 6.74 or newer (named and logarithmic
sliders).
"""

from __future__ import annotations

import math
from importlib import resources

from unmix import effects
from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch
from unmix.errors import UnmixError

FOLDER = "unmix"  # below REAPER's Effects folder
SLIDERS = 64  # places for values in a chain file
NOTE = """REAPER devices written by unmix

1. In REAPER: Options > Show REAPER resource path in explorer/finder.
2. Copy this folder, with its name, into the folder "Effects" there.
3. On a track: FX > Add > FX chain > Load, and choose the .RfxChain file beside this folder.

REAPER 6.74 or newer. Each channel is processed alone. The sliders carry the names and the units
of unmix. An LFO stands where its slider says when playback starts.
"""


def files(chain: Chain, name: str, result: Result | None = None) -> dict[str, str]:
    """{path: text} of the format "reaper"."""
    return {f"{name}.RfxChain": chain_text(chain)} | devices(chain)


def chain_text(chain: Chain) -> str:
    """The .RfxChain file: its devices in order, each with all of its sliders' values.

    Raises:
        UnmixError: an effect of the chain has no device.
    """
    blocks = []
    for name, settings in chain.steps:
        effect = effects.get(name)
        device_code(effect)
        values = [f"{settings[knob.name]:.9f}" for knob in effect.knobs]
        values += [str(s.options.index(settings[s.name])) for s in effect.switches]
        values += ["-"] * (SLIDERS - len(values))
        blocks.append(
            f'BYPASS 0 0 0\n<JS {FOLDER}/{name}.jsfx ""\n{" ".join(values)}\n>\n'
            "FLOATPOS 0 0 0 0\nWAK 0 0\n"
        )
    return "".join(blocks)


def device_text(effect: Effect) -> str:
    """The JSFX file of an effect: header, sliders, code. UnmixError if there is no code."""
    controls = effect.knobs + effect.switches
    lines = [
        f"desc:unmix: {effect.name}",
        "// Written by unmix. Licence: GPL-3.0-or-later.",
        f"// {effect.description}",
        *(slider(number, control) for number, control in enumerate(controls, 1)),
        *(f"{way}_pin:{side}" for way in ("in", "out") for side in ("left", "right")),
    ]
    return "\n".join(lines) + "\n\n" + device_code(effect)


def device_code(effect: Effect) -> str:
    """The EEL2 code of an effect: its sections from @init on."""
    home, _, module = type(effect).__module__.rpartition(".")
    name = "jsfx.eel" if module == "device" else f"{module}.eel"
    file = resources.files(home or "unmix.effects") / name
    if not file.is_file():
        raise UnmixError(f"there is no REAPER device for {effect.name}; the other exports have it")
    return file.read_text(encoding="utf-8")


def slider(number: int, control: Knob | Switch) -> str:
    """A control's line in a JSFX header; its variable is knob_NAME or switch_NAME.

    A logarithmic slider names the value of its middle: the geometric mean of its ends.
    """
    if isinstance(control, Switch):
        place, last = control.options.index(control.default), len(control.options) - 1
        ends = f"0,{last},1{{{','.join(control.options)}}}"
        return f"slider{number}:switch_{control.name}={place}<{ends}>{control.name}"
    middle = math.sqrt(control.low * control.high) if control.scale == "log" else None
    shape = "" if middle is None else f":log={middle:g}"
    label = f"{control.name} ({control.unit})" if control.unit else control.name
    ends = f"{control.low:g},{control.high:g}"
    return f"slider{number}:knob_{control.name}={control.default:g}<{ends},0.01{shape}>{label}"


def devices(chain: Chain) -> dict[str, str]:
    """{path: text} of the devices that a chain needs, with a note on where they belong."""
    files = {f"{FOLDER}/{name}.jsfx": device_text(effects.get(name)) for name in chain.names}
    return files | {f"{FOLDER}/INSTALL.txt": NOTE}
