"""The effects: every module in this package that defines an Effect is found by itself."""

from unmix.effects.base import Effect
from unmix.effects.registry import EffectSet, get, names

__all__ = ["Effect", "EffectSet", "get", "names"]
