"""Saturator: a memoryless curve behind a drive gain, mixed with the untouched input."""

from __future__ import annotations

import numpy as np

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect
from unmix.effects.controls import Knob, Switch
from unmix.effects.plotdata import Axis, Curve, Line

BLOCK = 4_096  # samples of many sounds that are computed at once: they stay in the cache
CURVES = ("analog", "soft_sine", "hard", "fold")


def apply_curve(curve: str, x: np.ndarray) -> np.ndarray:
    """One of the four wave shapes, sample by sample; x is the driven signal."""
    match curve:
        case "analog":
            return np.tanh(x)
        case "soft_sine":
            return np.sin(np.pi / 2 * np.clip(x, -1, 1))
        case "hard":
            return np.clip(x, -1, 1)
        case "fold":
            return np.sin(np.pi / 2 * x)
    raise ValueError(f"unknown curve {curve!r}")


class Saturator(Effect):
    """wet = output · curve(drive · x); y = (1 − dry_wet) · x + dry_wet · wet. No oversampling."""

    name = "saturator"
    order = 1
    proxy_class = "unmix.effects.saturator.proxy:SaturatorProxy"
    description = "Distortion: drives the signal into one of four curves."
    knobs = (
        Knob("drive", "dB", 0, 36, "linear", 12, "gain in front of the curve"),
        Knob("output", "dB", -24, 0, "linear", 0, "gain of the distorted path"),
        Knob("dry_wet", "%", 0, 100, "linear", 100, "share of the distorted path"),
    )
    switches = (Switch("curve", CURVES, "analog", "tanh, clipped sine, hard clip or sine folder"),)
    min_sample_rate = 0

    def response_plots(self, settings, input_audio, sample_rate=SAMPLE_RATE, lead=0):
        peak = 1.0 if input_audio is None else float(np.abs(input_audio).max(initial=0))
        reach = max(peak, 0.01)
        x = np.linspace(-reach, reach, 801, dtype=np.float32)
        y = self.process(x, sample_rate, settings)
        top = 1.05 * max(reach, float(np.abs(y).max()))
        note = "Sample in, sample out; 1 is full scale."
        if input_audio is not None:
            note += f" Drawn as far as the sound in front of it reaches, ±{peak:.2g}."
        lines = (Line("untouched", x, x, faint=True), Line("this setting", x, y))
        level_in, level_out = Axis("in", "", -reach, reach), Axis("out", "", -top, top)
        return [Curve("Curve", level_in, level_out, lines, note=note)]

    def process(self, audio, sample_rate, settings):
        drive = np.float32(10 ** (settings["drive"] / 20))
        mix = np.float32(settings["dry_wet"] / 100)
        output = np.float32(10 ** (settings["output"] / 20))
        return (1 - mix) * audio + mix * output * apply_curve(settings["curve"], drive * audio)

    def render_batch(self, audio, settings, smooth=False):
        drive, output, mix = (self.lanes(settings, knob.name) for knob in self.knobs)
        drive, mix = np.float32(10 ** (drive / 20)), np.float32(mix / 100)
        gain = mix * np.float32(10 ** (output / 20))
        curves = self.lanes(settings, "curve")
        lanes = {curve: curves == curve for curve in set(curves.tolist())}
        wet = np.empty_like(audio)
        for start in range(0, len(audio), BLOCK):
            x = audio[start : start + BLOCK]
            driven = drive * x
            shaped = np.empty_like(x)
            for curve, where in lanes.items():
                np.copyto(shaped, apply_curve(curve, driven), where=where)
            wet[start : start + BLOCK] = (1 - mix) * x + gain * shaped
        return wet
