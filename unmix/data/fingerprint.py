"""What decides the items of a data set: readable values, and one digest of them all.

A data set is trusted by its fingerprint, not by the version of the program that made it. So all
that decides an item stands in its sampler's configuration: options, constants, the test signals
and each effect's controls. Of an effect's DSP only its constants are covered, not its code.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from importlib.metadata import version

import numpy as np

from unmix import effects
from unmix.audio import signals
from unmix.effects.controls import Knob, Switch

DIFFERENCES_SHOWN = 3


def digest(value) -> str:
    """SHA-256, in hexadecimal, of anything JSON; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def plain(value):
    """A value as JSON gives it back: tuples as lists, keys as text."""
    return json.loads(json.dumps(value))


def versions() -> dict[str, str]:
    """Of the program and of the probe, for people: in manifests and in headers of weights."""
    return {"unmix": version("unmix"), "probe": signals.PROBE_VERSION}


@cache
def _samples_digest(kind: str) -> str:
    return hashlib.sha256(signals.fixed(kind).tobytes()).hexdigest()


def fixed_signals() -> dict:
    """{"probe": its version, "fixed_signals": {kind: SHA-256 of its samples}}."""
    sounds = {kind: _samples_digest(kind) for kind in signals.FIXED_KINDS}
    return {"probe": signals.PROBE_VERSION, "fixed_signals": sounds}


def _control(control: Knob | Switch) -> dict:
    if isinstance(control, Switch):
        return {"name": control.name, "options": control.options, "default": control.default}
    keys = "name", "unit", "low", "high", "scale", "default"
    return {key: getattr(control, key) for key in keys}


def controls(names) -> dict[str, list[dict]]:
    """{effect: what the values of each control mean}, in the order of the vectors of ``Panel``."""
    panels = {name: effects.get(name).panel for name in names}
    return plain({n: [_control(c) for c in p.knobs + p.switches] for n, p in panels.items()})


def effect_constants(names) -> dict[str, str]:
    """{effect: SHA-256 of the constants that its DSP uses}."""
    return {name: digest(_constants(type(effects.get(name)))) for name in names}


def _constants(cls: type) -> dict:
    """Constants in the module of an effect, and in those of its folder that it takes from, that
    are numbers, texts, or collections of them."""
    own = sys.modules[cls.__module__]
    folder = cls.__module__.removesuffix(".device") + "."
    homes = {getattr(value, "__module__", None) or "" for value in vars(own).values()}
    modules = [own, *(sys.modules[home] for home in sorted(homes) if home.startswith(folder))]
    found = {}
    for name, value in (pair for module in modules for pair in vars(module).items()):
        value = value.tolist() if isinstance(value, np.ndarray) else value
        if name.isupper():
            try:
                found[name] = json.dumps(value, default=float)
            except TypeError:  # a function, a class
                continue
    return found


def differences(old: dict, new: dict) -> str:
    """In words, where two configurations differ: "seed 1, not 2, controls.eq.q_1.high 9, …"."""
    found = list(_differences(old, new))
    more = [f"and {len(found) - DIFFERENCES_SHOWN} more"] if len(found) > DIFFERENCES_SHOWN else []
    return ", ".join([*found[:DIFFERENCES_SHOWN], *more])


def _by_name(value):
    """A list of controls as {name: control}; anything else as it is."""
    if isinstance(value, list) and all(isinstance(x, dict) and "name" in x for x in value):
        return {control["name"]: control for control in value}
    return value


def _differences(old: dict, new: dict, path: str = ""):
    for key in sorted(old.keys() | new.keys()):
        before, now = _by_name(old.get(key)), _by_name(new.get(key))
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _differences(before, now, f"{path}{key}.")
        elif key not in old:
            yield f"unknown {path}{key}"
        elif before != now:
            yield f"{path}{key} {before!r}, not {now!r}"
