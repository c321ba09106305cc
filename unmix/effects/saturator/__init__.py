"""Saturator: device, proxy and JSFX."""

from unmix.effects.saturator.device import Saturator

__all__ = ["Saturator"]
