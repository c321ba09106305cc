"""Reverb: device, proxy and JSFX."""

from unmix.effects.reverb.device import Reverb

__all__ = ["Reverb"]
