"""From what the user gives to what is analysed: reading, source, gain, alignment, window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE, as_channels, read, resample
from unmix.errors import UnmixError
from unmix.recording import alignment, checks
from unmix.recording.judge import Judge

KINDS = ("auto", *signals.FIXED_KINDS, "none")  # of sources that are not a file


@dataclass
class Problem:
    """A recording made ready: the aligned pair, and the whole source for the answer.

    Attributes:
        pair: windows at 44.1 kHz.
        source: kind. dry, sample_rate: the whole mono source as it was given.
        match_gain: the recording's gain is unknown. gain_db: what was taken out, None if unknown.
    """

    pair: alignment.Pair
    source: str
    dry: np.ndarray | None
    sample_rate: int
    match_gain: bool
    gain_db: float | None

    @property
    def latency_s(self) -> float:
        """Latency that was taken out, in seconds."""
        return self.pair.latency / SAMPLE_RATE

    @property
    def window_s(self) -> float:
        """Where in the aligned signals the analysed window begins, in seconds."""
        return self.pair.start / SAMPLE_RATE

    @cached_property
    def judge(self) -> Judge:
        """Of the part that holds sound from both; the one of everything that is compared.

        Raises:
            UnmixError: the source is not known.
        """
        if self.dry is None:
            raise UnmixError("without its source a recording cannot be compared with renders")
        return Judge(*self.pair.sounds(), self.match_gain, self.pair.begin_s)


def prepare(
    audio,
    sample_rate: int | None = None,
    source: str | Path | np.ndarray = "auto",
    gain: float | str = 0.0,
) -> Problem:
    """Read, check, mix to mono, resample, find the source, align, and choose the window.

    Args:
        audio: a file, or an array (samples,) or (channels, samples) with ``sample_rate`` in Hz.
        source: as of ``analysis.analyze``, or the dry sound as an array of the same sample rate.
        gain: in dB, what recording added and is taken out; "auto" if nobody knows.

    Raises:
        UnmixError: audio that cannot be read or analysed, or an argument that makes no sense.
    """
    if not isinstance(source, np.ndarray):
        source = str(source)
        check(source, gain)
    if isinstance(audio, str | Path):
        channels, sample_rate = read(audio)
    elif sample_rate is None:
        raise UnmixError("an array needs its sample_rate")
    else:
        channels = as_channels(audio)
    gain_db = _gain_db(gain)
    mono, notes = checks.to_mono(channels)
    notes += checks.check_recording(mono, sample_rate)
    recording = resample(mono, sample_rate, SAMPLE_RATE) * np.float32(10 ** (-(gain_db or 0) / 20))
    kind, dry, dry_rate, more = _source(source, sample_rate, recording)
    notes += more
    known = None if dry is None else resample(dry, dry_rate, SAMPLE_RATE)
    slack = 1 + SAMPLE_RATE // min(sample_rate, SAMPLE_RATE)
    pair = alignment.align(recording, known, slack)
    pair.notes = notes + pair.notes
    if gain_db is None and dry is not None:
        pair.notes.append("The recording gain counts as unknown: compared at equal RMS level.")
    return Problem(pair, kind, dry, dry_rate, gain_db is None, gain_db)


def check(source: str, gain: float | str) -> None:
    """UnmixError unless ``source`` is a kind or a file's name, and ``gain`` makes sense."""
    _gain_db(gain)
    if source not in KINDS and not Path(source).exists() and not Path(source).suffix:
        raise UnmixError(f"no source {source!r}; use {', '.join(KINDS)} or an audio file")


def _gain_db(gain: float | str) -> float | None:
    """dB, or None for "auto"."""
    if gain == "auto":
        return None
    try:
        value = float(gain)
    except (TypeError, ValueError):
        value = math.nan
    if not -120 <= value <= 120:
        raise UnmixError(f'gain must be "auto" or a number of dB, not {gain!r}')
    return value


def _source(source: str | np.ndarray, sample_rate: int, recording: np.ndarray):
    """(kind, mono (samples,) or None, its sample rate, notes) for what the user asked for."""
    if isinstance(source, np.ndarray):
        return _dry("the source", as_channels(source), sample_rate)
    if source == "none":
        return "none", None, SAMPLE_RATE, []
    if source in signals.FIXED_KINDS:
        return source, signals.fixed(source), SAMPLE_RATE, []
    if source == "auto":
        probe = signals.probe()
        if alignment.match(recording, probe).found:
            return "probe", probe, SAMPLE_RATE, ["The probe was found in the recording."]
        return "none", None, SAMPLE_RATE, ["The probe was not found in the recording."]
    return _dry(f"the source {source}", *read(source))


def _dry(name: str, channels: np.ndarray, sample_rate: int):
    """As ``_source``, of the dry sound itself."""
    mono, notes = checks.to_mono(channels)
    if np.abs(mono).max(initial=0) < 10 ** (checks.SILENCE_DB / 20):
        raise UnmixError(f"{name} is silent")
    return "file", mono, sample_rate, [f"Source: {note[0].lower()}{note[1:]}" for note in notes]
