"""unmix: names the chain of audio effects in a recording, with every knob.

Every name loads when it is first used: ``import unmix`` itself imports nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unmix import effects
    from unmix.analysis.analyze import analyze
    from unmix.audio.signals import probe
    from unmix.chain import Chain
    from unmix.weights import load_proxy

    __version__: str

__all__ = ["Chain", "__version__", "analyze", "effects", "load_proxy", "probe"]

_WHERE = {
    "Chain": "unmix.chain",
    "analyze": "unmix.analysis.analyze",
    "load_proxy": "unmix.weights",
    "probe": "unmix.audio.signals",
}


def __getattr__(name: str) -> object:
    if name == "effects":
        return importlib.import_module("unmix.effects")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("unmix")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'unmix' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
