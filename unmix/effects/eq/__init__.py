"""Four-band equaliser: device, proxy and JSFX."""

from unmix.effects.eq.device import Equalizer

__all__ = ["Equalizer"]
