"""unmix: names the chain of audio effects in a recording, with every knob.

Only ``analyze`` is bound at once (its module is light); the other names load when they are used.
"""

from __future__ import annotations

import importlib

from unmix.analysis.analyze import analyze

__all__ = ["Chain", "__version__", "analyze", "effects", "load_proxy", "probe"]

_WHERE = {"Chain": "unmix.chain", "load_proxy": "unmix.weights", "probe": "unmix.audio.signals"}


def __getattr__(name: str):
    if name == "effects":
        return importlib.import_module("unmix.effects")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("unmix")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'unmix' has no attribute {name!r}")
