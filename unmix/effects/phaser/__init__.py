"""Phaser: device, proxy and JSFX."""

from unmix.effects.phaser.device import Phaser

__all__ = ["Phaser"]
