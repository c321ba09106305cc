"""Sounds for the page: levels matched, as FLAC inside the page, with their waveforms."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from unmix.analysis.result import Excerpt
from unmix.audio.io import SAMPLE_RATE, rms_db

PEAK = 0.98  # what the page plays stays below full scale
LOUDEST_DB = -14.0  # RMS at which the sounds are matched at most: noise is loud
QUIETEST_DB = -90.0  # a sound below is left as it is: it holds nothing to match
WAVE_COLUMNS = 400


@dataclass(frozen=True)
class Track:
    """One sound of the player.

    Attributes:
        name: what it is. about: one line on it.
        stored_db: gain with which ``flac`` was stored, so that 16 bits are used well.
        matched_db, plain_db: gain of the sound when levels are matched, and when they are not.
        flac: the sound, mono, 16 bit. wave: an SVG path of its peaks when matched, 1000 × 100.
    """

    name: str
    about: str
    stored_db: float
    matched_db: float
    plain_db: float
    flac: bytes
    wave: str

    def to_dict(self) -> dict:
        """Ready for JSON."""
        return {
            "name": self.name,
            "storedDb": round(self.stored_db, 3),
            "matchedDb": round(self.matched_db, 3),
            "plainDb": round(self.plain_db, 3),
            "flac": base64.b64encode(self.flac).decode(),
        }


def matched_db(sounds: list[np.ndarray]) -> list[float]:
    """Gains in dB with which sounds (samples,) have one RMS level and no peak above PEAK: the
    level is that of the sound with the highest peaks over its RMS, LOUDEST_DB at most."""
    levels = [rms_db(sound) for sound in sounds]
    room = [
        level + _headroom_db(sound)
        for level, sound in zip(levels, sounds, strict=True)
        if level > QUIETEST_DB
    ]
    target = min([LOUDEST_DB, *room])
    return [target - level if level > QUIETEST_DB else 0.0 for level in levels]


def _headroom_db(sound: np.ndarray) -> float:
    """Gain in dB that brings the highest peak to PEAK."""
    return float(20 * np.log10(PEAK / max(float(np.abs(sound).max()), 1e-9)))


def encode(sound: np.ndarray) -> bytes:
    """(samples,) within ±1 at 44.1 kHz -> FLAC, 16 bit."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def wave(sound: np.ndarray) -> str:
    """Peaks of (samples,) within ±1 as a closed SVG path in a box of 1000 × 100."""
    blocks = np.array_split(sound, min(WAVE_COLUMNS, sound.size))
    x = np.linspace(0, 1000, len(blocks))
    tops = 50 - 49 * np.array([block.max() for block in blocks])
    bottoms = 50 - 49 * np.array([block.min() for block in blocks])
    there = [f"{a:.0f} {b:.1f}" for a, b in zip(x, tops, strict=True)]
    back = [f"{a:.0f} {b:.1f}" for a, b in zip(x[::-1], bottoms[::-1], strict=True)]
    return f"M{'L'.join([*there, *back])}Z"


def tracks(excerpt: Excerpt) -> list[Track]:
    """Source, recording, answer and the difference of the last two; or the recording alone."""
    sounds = [("Recording", "what you gave", excerpt.recording)]
    if excerpt.answer is not None:
        sounds.insert(0, ("Source", "what went in", excerpt.source))
        sounds.append(("Answer", "the source through this chain", excerpt.answer))
    gains = matched_db([sound for *_, sound in sounds])
    if excerpt.answer is not None:  # at the recording's gain: as quiet as it is
        left = excerpt.recording - excerpt.answer
        sounds.append(("Difference", "recording − answer, at the recording's gain", left))
        gains.append(min(gains[1], _headroom_db(left)))
    plain = min(0.0, *(_headroom_db(sound) for *_, sound in sounds))
    found = []
    for (name, about, sound), gain in zip(sounds, gains, strict=True):
        stored = min(_headroom_db(sound), 60.0)
        flac = encode(np.float32(10 ** (stored / 20)) * sound)
        picture = wave(np.float32(10 ** (gain / 20)) * sound)
        found.append(Track(name, about, stored, gain, plain, flac, picture))
    return found
