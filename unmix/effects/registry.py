"""The registry: every module of this package that defines an effect is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from unmix.effects.base import Effect
from unmix.errors import UnmixError

# modules of this package that are no effects
SUPPORT = ("base", "batch", "black_box", "controls", "plotdata", "registry")


@cache
def _registry() -> dict[str, Effect]:
    package = importlib.import_module("unmix.effects")
    found = []
    for info in pkgutil.iter_modules(package.__path__):
        if info.name in SUPPORT:
            continue
        name = f"unmix.effects.{info.name}"
        importlib.import_module(name)
        homes = name, f"{name}.device"
        found += [cls for cls in Effect.__subclasses__() if cls.__module__ in homes]
    return {cls.name: cls() for cls in sorted(found, key=lambda cls: cls.order)}


def names() -> tuple[str, ...]:
    """Names of all effects, in registry order."""
    return tuple(_registry())


def get(name: str) -> Effect:
    """The effect of that name; UnmixError if there is none."""
    try:
        return _registry()[name]
    except (KeyError, TypeError):
        raise UnmixError(f"no effect {name!r}; the effects are {', '.join(names())}") from None
