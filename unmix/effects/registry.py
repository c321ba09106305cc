"""Effects that are installed, and the numbered sets of them that networks and data sets know."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class EffectSet:
    """Effects in a fixed order: the vocabulary of a network or of a data set.

    It comes from the file of weights or from the data set's manifest, not from what is installed,
    so that an effect installed later changes no answer. An effect's number is its place here.

    Raises:
        UnmixError: an effect that is not installed, or one named twice.
    """

    names: tuple[str, ...]

    @staticmethod
    def of(effects: Iterable[str] | EffectSet | None) -> EffectSet:
        """The set of these names in this order; of all installed effects if None."""
        if isinstance(effects, EffectSet):
            return effects
        return EffectSet(names() if effects is None else tuple(effects))

    def __post_init__(self):
        if missing := [name for name in self.names if name not in _registry()]:
            raise UnmixError(
                f"not installed: {', '.join(map(str, missing))}; "
                f"the installed effects are {', '.join(names())}"
            )
        if len(set(self.names)) < len(self.names):
            raise UnmixError(f"an effect appears twice in {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.names)

    def get(self, name: str) -> Effect:
        """The effect of that name; UnmixError if it is not in the set."""
        self.index(name)
        return get(name)

    def index(self, name: str) -> int:
        """The number of an effect; UnmixError if it is not in the set."""
        if name not in self.names:
            raise UnmixError(f"{name} is not among the effects {', '.join(self.names)}")
        return self.names.index(name)
