"""The band limit of a recording that went through lossy coding, which no effect of a chain has."""

from __future__ import annotations

from functools import cache

import numpy as np

from unmix.audio.io import SAMPLE_RATE

ORDER = 8  # of the Butterworth low-pass
LIMITS_HZ = np.arange(13_500.0, 20_501.0, 50.0)
SIZE, RUN = 2048, 12  # of the spectra, and bins that are taken together
RANGE_HZ = 7_000.0, 20_500.0
FLOOR = 1e-8  # of the recording's strongest bin: below, nothing is compared
DEEPEST_DB = -30.0  # nor where a limit takes away more
BETTER, BETTER_DB2 = 0.5, 2.0  # than without: of the mean square, and in dB²


def _sections(hz: float) -> np.ndarray:
    from scipy.signal import butter

    return butter(ORDER, hz, fs=SAMPLE_RATE, output="sos")


def low_pass(audio: np.ndarray, hz: float) -> np.ndarray:
    """A signal (samples,) at 44.1 kHz without what lies above ``hz``; float32."""
    from scipy.signal import sosfilt

    return sosfilt(_sections(hz), audio).astype(np.float32)


def _runs(spectrum: np.ndarray) -> np.ndarray:
    """Means over runs of bins (SIZE/2 + 1,) within RANGE_HZ."""
    low, high = (round(hz * SIZE / SAMPLE_RATE) for hz in RANGE_HZ)
    count = (high - low) // RUN
    return spectrum[low : low + count * RUN].reshape(count, RUN).mean(1)


@cache
def _responses_db() -> np.ndarray:
    """(limits, runs): what each limit does, in dB; the first is none."""
    from scipy.signal import sosfreqz

    hz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    found = [sosfreqz(_sections(limit), hz, fs=SAMPLE_RATE)[1] for limit in LIMITS_HZ]
    powers = [np.ones(hz.size), *(np.abs(response) ** 2 for response in found)]
    return 10 * np.log10(np.array([_runs(power) for power in powers]) + 1e-12)


def find(recording: np.ndarray, render: np.ndarray) -> float | None:
    """Where the top of a recording is cut off, in Hz; None if it is not.

    A render of nearly the right chain differs from the recording by a low-pass, and a little tilt
    that its knobs have wrong. The limit that with a tilt leaves the least is taken, if it leaves
    far less than the tilt alone.

    Args:
        recording, render: float32 (samples,), SIZE at least, at 44.1 kHz; at any level.
    """
    from scipy.signal import welch

    powers = [welch(audio, SAMPLE_RATE, nperseg=SIZE)[1] for audio in (recording, render)]
    floor = FLOOR * powers[0].max() + 1e-20
    over, under = (_runs(power) + floor for power in powers)
    ratio_db = 10 * np.log10(over / under)
    tilt = np.stack([np.ones(ratio_db.size), np.linspace(-1, 1, ratio_db.size)], 1)
    left = []
    for response in _responses_db():
        kept = response > DEEPEST_DB
        off, lines = (ratio_db - response)[kept], tilt[kept]
        left.append(np.mean((off - lines @ np.linalg.lstsq(lines, off, rcond=None)[0]) ** 2))
    none, best = left[0], min(left)
    if best > BETTER * none or best > none - BETTER_DB2:
        return None
    return float(LIMITS_HZ[left.index(best) - 1])
