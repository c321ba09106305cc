"""The plots of a result as plain data: spectrograms, responses of each device, the search."""

from __future__ import annotations

import math

import numpy as np
import torch

from unmix import effects
from unmix.analysis.result import Excerpt, Result
from unmix.audio.io import SAMPLE_RATE
from unmix.dsp import stft
from unmix.effects.plotdata import FREQUENCY, Axis, Curve, Image, Line, time_axis
from unmix.features.spectra import N_FFT

ROWS, COLUMNS = 180, 420  # of a spectrogram, about
RANGE_DB = 80.0
DIFFERENCES_DB = 3.0, 6.0, 12.0, 24.0  # ends of the difference's scale: the first that holds …
HELD = 99.5  # … so many percent of it
FULL_SCALE_SINE = 4.0  # a sine at full scale has power 1/4 behind a window of sum 1
NEAREST = 1e-4  # a distance below which nothing is drawn


def _levels(audio: np.ndarray) -> np.ndarray:
    """(samples,) -> (ROWS, about COLUMNS) power in log-spaced bands, 1 for a full-scale sine."""
    hop = max(64, math.ceil(audio.size / COLUMNS))
    spectra = stft.short_spectra(torch.from_numpy(audio), N_FFT, hop)
    step = (FREQUENCY.high / FREQUENCY.low) ** (1 / (ROWS - 1))
    ends = FREQUENCY.low / step, FREQUENCY.high * step  # the first band is centred on ``low``
    bank = stft.band_bank(N_FFT, ROWS, *ends)
    return (bank @ stft.power_of(spectra)).numpy().astype(np.float64) * FULL_SCALE_SINE


def spectrograms(excerpt: Excerpt) -> list[Curve]:
    """Recording, answer and the difference of their waveforms on one scale, then their level
    difference; the recording alone where there is no answer."""
    sounds = {"Recording": excerpt.recording}
    if excerpt.answer is not None:
        sounds["Answer"] = excerpt.answer
        sounds["Recording − answer"] = excerpt.recording - excerpt.answer
    decibels = {name: 10 * np.log10(_levels(x) + 1e-20) for name, x in sounds.items()}
    top = 10 * math.ceil(max(levels.max() for levels in decibels.values()) / 10)
    scale = Axis("level", "dB", top - RANGE_DB, top)
    time = time_axis(excerpt.recording.size, SAMPLE_RATE)
    notes = {"Recording − answer": "The waveforms' difference: dark where the answer is right."}
    found = [
        Curve(name, time, FREQUENCY, (), Image(levels, scale), notes.get(name, ""), timeline=True)
        for name, levels in decibels.items()
    ]
    if excerpt.answer is not None:
        recording, answer = (
            np.maximum(decibels[name], scale.low) for name in ("Recording", "Answer")
        )
        louder = answer - recording
        most = np.percentile(np.abs(louder), HELD)
        end = next((end for end in DIFFERENCES_DB if end >= most), DIFFERENCES_DB[-1])
        image = Image(louder, Axis("answer louder by", "dB", -end, end), diverging=True)
        note = "Levels only, blind to phase: black where both are equally loud."
        found.append(Curve("Level difference", time, FREQUENCY, (), image, note, timeline=True))
    return found


def devices(result: Result) -> list[list[Curve]]:
    """The plots of each device of the chain, driven by the sound that goes into it."""
    chain, sound, lead, found = result.chain, None, 0, []
    if result.excerpt and result.excerpt.source is not None:
        chain, lead = result.excerpt.chain, result.excerpt.lead.size
        sound = np.concatenate([result.excerpt.lead, result.excerpt.source])
    for name, settings in chain.steps:
        effect = effects.get(name)
        found.append(effect.response_plots(settings, sound, SAMPLE_RATE, lead))
        sound = None if sound is None else effect.render(sound, SAMPLE_RATE, settings)
    return found


def search(result: Result) -> Curve | None:
    """Distance by the real effects before, during and after refine; None without refine."""
    if not result.history or result.distance is None:
        return None
    before, after = (result.distance[when]["mss"] for when in ("before", "after"))
    steps = np.array([0, *(step for step, _ in result.history)], float)
    course = np.array([before, *(distance for _, distance in result.history)])
    course = np.maximum(course, NEAREST)
    ends = steps[[0, -1]]
    lines = (
        Line("before", ends, np.full(2, max(before, NEAREST)), faint=True),
        Line("nearest so far", steps, course),
        Line("the answer, polished", ends, np.full(2, max(after, NEAREST))),
    )
    low, high = min(course.min(), max(after, NEAREST)), course.max()
    distance = Axis("distance (MSS)", "", 0.8 * low, 1.25 * high, log=True)
    note = "Each point is a render by the real effects; lower is nearer."
    step_axis = Axis("step", "", 0, max(1.0, ends[1]))
    return Curve("Distance from the recording", step_axis, distance, lines, note=note)
