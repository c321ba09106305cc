"""Reading, writing, resampling, aligning and levelling audio.

The one shape convention: float32 arrays (channels, samples); mono signals inside the analysis are
(samples,). Inside, everything runs at 44.1 kHz.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from unmix.errors import UnmixError
from unmix.runtime.files import write_atomic

SAMPLE_RATE = 44_100
MIN_RATE, MAX_RATE = 8_000, 192_000
STREAMED_LENGTH = 0x7FFFF000  # programs that write to a pipe put this or more for "unknown"
OGG_LARGEST_PAGE = 27 + 255 + 255 * 255  # bytes: header, segment table, segments


def as_channels(audio) -> np.ndarray:
    """Audio (samples,) or (channels, samples) -> float32 (channels, samples)."""
    audio = np.asarray(audio, np.float32)
    if audio.ndim not in (1, 2):
        raise UnmixError(f"audio must be (samples,) or (channels, samples), not {audio.shape}")
    if audio.ndim == 2 and audio.shape[0] == 0:
        raise UnmixError("audio must have at least one channel")
    return np.atleast_2d(audio)


def resample(audio: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """(…, samples) at ``from_rate`` Hz -> float32 at ``to_rate`` Hz (soxr, very high quality)."""
    if from_rate == to_rate:
        return np.asarray(audio, np.float32)
    import soxr

    return soxr.resample(np.asarray(audio, np.float32).T, from_rate, to_rate, "VHQ").T


def read(path) -> tuple[np.ndarray, int]:
    """Read an audio file.

    Returns:
        float32 (channels, samples), and its sample rate in Hz.

    Raises:
        UnmixError: missing, empty, truncated, not audio, NaN or infinite samples, or a sample
            rate outside 8–192 kHz. The message names the file and the fault.
    """
    import soundfile

    path = Path(path)
    try:
        if not path.exists():
            raise UnmixError(f"{path}: no such file")
        if path.is_dir():
            raise UnmixError(f"{path}: is a folder, not an audio file")
        if path.stat().st_size == 0:
            raise UnmixError(f"{path}: the file is empty (0 bytes)")
        with soundfile.SoundFile(path) as file:
            expected, rate = file.frames, file.samplerate
            audio = file.read(dtype="float32", always_2d=True).T
    # TypeError: the name ends in .raw, and headerless audio wants a sample rate
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise UnmixError(
            f"{path}: not readable as audio ({_reason(error)}); is it WAV, FLAC, AIFF, OGG or MP3?"
        ) from None
    if audio.shape[1] < expected or _is_cut_short(path):
        raise UnmixError(f"{path}: the file is truncated; export or copy it again")
    if audio.shape[1] == 0:
        raise UnmixError(f"{path}: holds no samples")
    if not np.isfinite(audio).all():
        raise UnmixError(f"{path}: holds NaN or infinite samples; export it again")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnmixError(f"{path}: sample rate {rate} Hz is outside {MIN_RATE}–{MAX_RATE} Hz")
    return np.ascontiguousarray(audio), rate


def _reason(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text.split(": ")[-1].strip().rstrip(".").lower() or type(error).__name__


def _is_cut_short(path: Path) -> bool:
    """Whether a file ends before its header or last page says; libsndfile reads these silently."""
    with path.open("rb") as file:
        head = file.read(12)
        match head[:4], head[8:]:
            case b"RIFF", b"WAVE":
                return _chunk_is_cut_short(file, b"data", "<I")
            case b"FORM", b"AIFF" | b"AIFC":
                return _chunk_is_cut_short(file, b"SSND", ">I")
            case b"OggS", _:
                return _ogg_is_cut_short(file)
    return False


def _chunk_is_cut_short(file, name: bytes, length_format: str) -> bool:
    """Whether the chunk that holds the samples ends behind the end of the file."""
    size = os.fstat(file.fileno()).st_size
    while len(chunk := file.read(8)) == 8:
        length = struct.unpack(length_format, chunk[4:])[0]
        if chunk[:4] == name:
            streamed = length == 0 or length >= STREAMED_LENGTH
            return not streamed and file.tell() + length > size
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _ogg_is_cut_short(file) -> bool:
    """Whether the last page is incomplete or lacks the end-of-stream flag (RFC 3533, section 6)."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - OGG_LARGEST_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    last_page, segments = page[5] & 4, page[27 : 27 + page[26]]
    return not last_page or len(page) < 27 + len(segments) + sum(segments)


def write(path, audio: np.ndarray, sample_rate: int, subtype: str = "FLOAT") -> None:
    """Write audio (samples,) or (channels, samples); format from the suffix (.wav, .flac).

    ``subtype`` is soundfile's: "FLOAT" keeps peaks above full scale, FLAC takes "PCM_24".

    Raises:
        UnmixError: another suffix, a folder that cannot be written, more channels or a higher
            sample rate than the format holds.
    """
    import soundfile

    channels = as_channels(audio)
    suffix = Path(path).suffix.lower()
    if suffix not in (".wav", ".flac"):
        raise UnmixError(f"cannot write {path}: use a name that ends in .wav or .flac")
    subtype = "PCM_24" if suffix == ".flac" and subtype == "FLOAT" else subtype
    try:
        write_atomic(path, lambda t: soundfile.write(t, channels.T, sample_rate, subtype=subtype))
    except soundfile.SoundFileError as error:
        count = channels.shape[0]
        raise UnmixError(
            f"cannot write {path}: {_reason(error)} ({count} channels at {sample_rate} Hz)"
        ) from None


def rms_db(audio: np.ndarray) -> float:
    """Level of the whole signal in dB re full scale (RMS of 1 is 0 dB); −240 for silence."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-24))
