"""Reading, writing, resampling, aligning and levelling audio.

The one shape convention: float32 arrays (channels, samples); mono signals inside the analysis are
(samples,). Inside, everything runs at 44.1 kHz.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

import numpy as np

from unmix.errors import UnmixError

SAMPLE_RATE = 44_100
MIN_RATE, MAX_RATE = 8_000, 192_000


def as_channels(audio) -> np.ndarray:
    """Audio (samples,) or (channels, samples) -> float32 (channels, samples)."""
    audio = np.asarray(audio, np.float32)
    if audio.ndim not in (1, 2):
        raise UnmixError(f"audio must be (samples,) or (channels, samples), not {audio.shape}")
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
    if not path.exists():
        raise UnmixError(f"{path}: no such file")
    if path.is_dir():
        raise UnmixError(f"{path}: is a folder, not an audio file")
    if path.stat().st_size == 0:
        raise UnmixError(f"{path}: the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(path) as file:
            expected, rate = file.frames, file.samplerate
            audio = file.read(dtype="float32", always_2d=True).T
    except (soundfile.SoundFileError, OSError) as error:
        raise UnmixError(f"{path}: not readable as audio ({_reason(error)})") from None
    if audio.shape[1] < expected or _wav_is_cut_short(path):
        raise UnmixError(f"{path}: the file is truncated; export or copy it again")
    if audio.shape[1] == 0:
        raise UnmixError(f"{path}: holds no samples")
    if not np.isfinite(audio).all():
        raise UnmixError(f"{path}: holds NaN or infinite samples; export it again")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnmixError(f"{path}: sample rate {rate} Hz is outside {MIN_RATE}–{MAX_RATE} Hz")
    return np.ascontiguousarray(audio), rate


def _reason(error: Exception) -> str:
    return str(error).split(": ")[-1].strip().rstrip(".").lower() or type(error).__name__


def _wav_is_cut_short(path: Path) -> bool:
    """Whether a RIFF/WAVE file ends before its data chunk does (libsndfile reads it silently)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        while len(chunk := file.read(8)) == 8:
            length = struct.unpack("<I", chunk[4:])[0]
            if chunk[:4] == b"data":
                streamed = length in (0, 0xFFFFFFFF)  # length unknown when it was written
                return not streamed and file.tell() + length > size
            file.seek(length + length % 2, os.SEEK_CUR)
    return False


def write_atomic(path, writer) -> None:
    """Call ``writer(temporary_path)``, then fsync and rename to ``path``: whole file or none.

    Raises:
        UnmixError: the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        writer(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise UnmixError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path, text: str) -> None:
    """Write a text file as temp + fsync + rename."""
    write_atomic(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def write(path, audio: np.ndarray, sample_rate: int, subtype: str = "FLOAT") -> None:
    """Write audio (samples,) or (channels, samples); format from the suffix (.wav, .flac).

    ``subtype`` is soundfile's: "FLOAT" keeps peaks above full scale, FLAC takes "PCM_24".
    """
    import soundfile

    channels = as_channels(audio)
    suffix = Path(path).suffix.lower()
    if suffix not in (".wav", ".flac"):
        raise UnmixError(f"cannot write {path}: use a name that ends in .wav or .flac")
    subtype = "PCM_24" if suffix == ".flac" and subtype == "FLOAT" else subtype
    write_atomic(path, lambda t: soundfile.write(t, channels.T, sample_rate, subtype=subtype))


def rms_db(audio: np.ndarray) -> float:
    """Level of the whole signal in dB re full scale (RMS of 1 is 0 dB); −240 for silence."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-24))
