"""OTT multiband compressor: device, proxy and JSFX."""

from unmix.effects.ott.device import OTT

__all__ = ["OTT"]
