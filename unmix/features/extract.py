"""What the network hears: log-mel pictures, frame statistics, and how recording and source relate.

Everything is computed from mono signals of ``WINDOW`` samples at 44.1 kHz. The recording's
pictures are relative to its own level, so that an unknown recording gain changes one number only.
"""

from __future__ import annotations

import numpy as np
import torch

from unmix.dsp.band_sums import band_cross, band_powers, frame_moments, totals
from unmix.dsp.stft import _POWER_FLOOR, _decibels, _decibels_of, band_bank, short_spectra
from unmix.features import nonlinear_coherence
from unmix.features.amplitude_histogram import AMPLITUDES
from unmix.features.spectra import (
    BAND_RANGE_HZ,
    BANDS,
    FRAMES,
    HOP,
    LONG_FFT,
    MELS,
    N_FFT,
    SCORE_FRAMES,
    Spectra,
    _mel_runs,
    _score_runs,
)
from unmix.runtime.workers import thread_map

FRAME_STATS = 4


NEAR_PEAK = 0.9


TRANSFER = 4


LINK = 2


LINK_SMOOTH = 5  # frames that a cross-spectrum is averaged over


LINK_FRAMES = 1 + (FRAMES - 1) // 2


VERSION = 5  # data sets with features of another version are not mixed


def log_mel(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, MELS, FRAMES) in dB re full scale, not below FLOOR_DB."""
    spectra = short_spectra(audio, N_FFT, HOP).mT.numpy()
    return _decibels(torch.from_numpy(np.stack([band_powers(y, _mel_runs()) for y in spectra])))


def link(recording: Spectra, source: Spectra) -> np.ndarray:
    """How linearly, and with what phase, the recording follows its source, over time.

    The complex coherence γ = Σ Y X* / √(Σ|Y|² Σ|X|²), sums over a mel band and LINK_SMOOTH
    frames. A filter leaves |γ| near 1; what a wave shaper adds lowers it where the filters behind
    the shaper let it through, which tells their order.

    Returns:
        (LINK · MELS, LINK_FRAMES): real parts, then imaginary parts, −1…1; 0 in silence.
    """

    def smooth(values):
        return torch.nn.functional.avg_pool1d(
            torch.from_numpy(values), LINK_SMOOTH, stride=2, padding=LINK_SMOOTH // 2
        ).numpy()

    cross = smooth(band_cross(recording.mel, source.mel, _mel_runs()))
    strength = np.sqrt(smooth(recording.mel_powers) * smooth(source.mel_powers)) + _POWER_FLOOR
    return (cross / strength).reshape(LINK * MELS, LINK_FRAMES)


def frame_stats(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, FRAME_STATS, FRAMES): what a wave shaper leaves and log-mel hides.

    Per frame of N_FFT/2 samples: RMS in dB, crest factor in dB, excess kurtosis (squashed), and
    the share of samples near the frame's peak (clipping), of frames above FLOOR_DB: below, filters
    ring on in numbers that no file keeps.
    """
    size = N_FFT // 2
    padded = torch.nn.functional.pad(audio, (size // 2, size // 2)).numpy()
    moments = [frame_moments(x, size, HOP, FRAMES, NEAR_PEAK) for x in padded]
    power, fourth, peak, near_peak = torch.from_numpy(np.stack(moments, 1))
    near_peak = near_peak * (power > _POWER_FLOOR)
    kurtosis = fourth / (power.square() + 1e-20)
    crest_db = 20 * torch.log10((peak + 1e-9) / (power.sqrt() + 1e-9))
    return torch.stack(
        [_decibels(power), crest_db, 10 * torch.log(1 + kurtosis), 40 * near_peak], 1
    )


def relative_stats(audio: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """As ``frame_stats``, the RMS relative to each signal's level (B,)."""
    stats = frame_stats(audio)
    stats[:, 0] -= level[:, None]
    return stats


def transfer(recording: Spectra, source: Spectra) -> np.ndarray:
    """Transfer-function estimate of the whole window.

    H = Σ Y X* / Σ |X|² (H1 estimator) and coherence, averaged into log-spaced bands.

    Returns:
        (TRANSFER, BANDS): output-to-input power ratio in dB, coherence, and cosine and sine of
        the phase weighted by how steady it is within the band.
    """
    bank = band_bank(LONG_FFT, BANDS, *BAND_RANGE_HZ).numpy()
    power_y, power_x, real, imaginary = totals(recording.long, source.long)
    power_x, power_y = power_x + np.float32(1e-12), power_y + np.float32(1e-12)
    ratio_db = 10 * np.log10((bank @ power_y) / (bank @ power_x))
    size = np.sqrt(real**2 + imaginary**2)
    coherence = bank @ (size**2 / (power_x * power_y))
    cosine, sine = bank @ (real / (size + 1e-12)), bank @ (imaginary / (size + 1e-12))
    return np.stack([ratio_db, coherence, cosine, sine])


def relative_transfer(recording: Spectra, source: Spectra) -> np.ndarray:
    """As ``transfer``, its ratio relative to the difference of the two levels."""
    h = transfer(recording, source)
    h[0] -= np.float32(recording.level) - np.float32(source.level)
    return h


def shaped(recording: Spectra, source: Spectra) -> np.ndarray:
    """What wave-shaped copies explain beyond the signals themselves (``unmix.shaping``).

    Returns:
        (SHAPING, BANDS): logarithms of shares of the recording's power by each copy of the source,
        and by none, then of the source's power by each copy of the recording, and by none; 0 at
        the share shaping.TYPICAL.
    """
    bank = band_bank(LONG_FFT, BANDS, *BAND_RANGE_HZ).numpy()
    rows = []
    for signal, copies, target in (
        (source.long, source.forward, recording.long),
        (recording.long, recording.backward, source.long),
    ):
        sums = nonlinear_coherence.products(signal, *copies, target)
        rows += [bank @ share for share in nonlinear_coherence.shares(sums)]
    return np.log(
        (np.stack(rows) + nonlinear_coherence.FLOOR) / nonlinear_coherence.TYPICAL
    ).astype(np.float32)


def score(signal: Spectra) -> np.ndarray:
    """(SCORE_FRAMES, BANDS) in dB relative to the signal's level."""
    return (_decibels_of(signal.score_powers) - np.float32(signal.level)).T


def score_link(recording: Spectra, source: Spectra) -> np.ndarray:
    """Complex coherence as ``link``, of the single bands and frames of the score:
    (LINK, SCORE_FRAMES, BANDS)."""
    cross = band_cross(recording.score, source.score, _score_runs())
    strength = np.sqrt(recording.score_powers * source.score_powers) + _POWER_FLOOR
    return (cross / strength).transpose(0, 2, 1)


def _mel(signal: Spectra) -> np.ndarray:
    """(MELS, FRAMES) in dB relative to the signal's level."""
    return _decibels_of(signal.mel_powers) - np.float32(signal.level)


# {picture: its shape, and how it is made of the spectra of recording and source}
_OF_RECORDING = {"mel": _mel, "score": score, "amplitudes": lambda y: y.amplitudes}


_OF_SOURCE = {
    "source_mel": ((MELS, FRAMES), lambda y, x: _mel(x)),
    "source_score": ((SCORE_FRAMES, BANDS), lambda y, x: score(x)),
    "source_amplitudes": ((AMPLITUDES,), lambda y, x: x.amplitudes),
    "transfer": ((TRANSFER, BANDS), relative_transfer),
    "shaped": ((nonlinear_coherence.SHAPING, BANDS), shaped),
    "link": ((LINK * MELS, LINK_FRAMES), link),
    "score_link": ((LINK, SCORE_FRAMES, BANDS), score_link),
}


PICTURES = (*_OF_RECORDING, *_OF_SOURCE, "stats")


def extract(
    recording: torch.Tensor, source: torch.Tensor | None, names=PICTURES
) -> dict[str, torch.Tensor]:
    """Features of recordings (B, WINDOW) of one source (1, WINDOW), if that is known.

    Args:
        names: of PICTURES. Levels and ``known`` are always there.

    Returns:
        mel (B, MELS, FRAMES), score (B, SCORE_FRAMES, BANDS) and stats (B, FRAME_STATS, FRAMES) of
        the recording, in dB relative to the recording's level where they are levels, and its
        amplitudes (B, AMPLITUDES); level (B,) in dB; and, zeros where no source is known:
        source_mel, source_score and source_amplitudes of the same shapes, levels relative to the
        source's, source_level (B,), transfer (B, TRANSFER, BANDS) relative to the difference of
        the two levels, shaped (B, SHAPING, BANDS), link (B, LINK · MELS, LINK_FRAMES), score_link
        (B, LINK, SCORE_FRAMES, BANDS); known (B,) 1 or 0.

    The score is read along frequency: fewer frames than mel has, finer bands at the bottom, equal
    intervals, so that one place in it can be compared over time, and a harmonic is everywhere as
    far from its fundamental.
    """
    x = None if source is None else Spectra(source[0])
    rows = thread_map(lambda wet: _extract(Spectra(wet), x, names), recording)
    result = {k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]}
    if "stats" in names:
        result["stats"] = relative_stats(recording, result["level"])
    return result


def _extract(y: Spectra, x: Spectra | None, names) -> dict[str, np.ndarray]:
    """Features of one recording, but its frame statistics."""
    result = {
        "level": np.float32(y.level),
        "source_level": np.float32(0 if x is None else x.level),
        "known": np.float32(x is not None),
    }
    for name, make in _OF_RECORDING.items():
        if name in names:
            result[name] = make(y)
    for name, (shape, make) in _OF_SOURCE.items():
        if name in names:
            result[name] = np.zeros(shape, np.float32) if x is None else make(y, x)
    return result
