"""The features: spectrograms, frame statistics, and how recording and source relate.

Everything is computed from mono signals of ``WINDOW`` samples at 44.1 kHz. Levels in dB are
relative to each signal's own level, so that an unknown recording gain changes one number only.
"""

from __future__ import annotations

import numpy as np
import torch

from unmix.dsp.band_sums import band_cross, band_powers, frame_moments, totals
from unmix.dsp.stft import POWER_FLOOR, band_bank, power_db, power_db_of, short_spectra
from unmix.features import nonlinear_coherence as nonlinear
from unmix.features.spectra import (
    BAND_RANGE_HZ,
    BANDS,
    FRAMES,
    HOP,
    LONG_FFT,
    MELS,
    N_FFT,
    Spectra,
    _mel_runs,
    _score_runs,
)

FRAME_STATS = 4  # statistics of a frame
NEAR_PEAK = 0.9  # of a frame's peak, from where samples count as near it
TRANSFER = 4  # rows of the transfer function
LINK = 2  # real and imaginary part of a coherence
LINK_SMOOTH = 5  # frames that a cross-spectrum is averaged over
LINK_FRAMES = 1 + (FRAMES - 1) // 2


def log_mel(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, MELS, FRAMES) in dB re full scale, not below FLOOR_DB."""
    spectra = short_spectra(audio, N_FFT, HOP).mT.numpy()
    return power_db(torch.from_numpy(np.stack([band_powers(y, _mel_runs()) for y in spectra])))


def mel_coherence(recording: Spectra, source: Spectra) -> np.ndarray:
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
    strength = np.sqrt(smooth(recording.mel_powers) * smooth(source.mel_powers)) + POWER_FLOOR
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
    near_peak = near_peak * (power > POWER_FLOOR)
    kurtosis = fourth / (power.square() + 1e-20)
    crest_db = 20 * torch.log10((peak + 1e-9) / (power.sqrt() + 1e-9))
    return torch.stack([power_db(power), crest_db, 10 * torch.log(1 + kurtosis), 40 * near_peak], 1)


def relative_frame_stats(signal: Spectra) -> np.ndarray:
    """As ``frame_stats``, the RMS relative to the signal's level: (FRAME_STATS, FRAMES)."""
    stats = frame_stats(signal.audio[None])[0].numpy()
    stats[0] -= np.float32(signal.level)
    return stats


def transfer_function(recording: Spectra, source: Spectra) -> np.ndarray:
    """Transfer-function estimate of the whole window.

    H = Σ Y X* / Σ |X|² (H1 estimator) and coherence, averaged into log-spaced bands.

    Returns:
        (TRANSFER, BANDS): output-to-input power ratio in dB less the difference of the two levels,
        coherence, and cosine and sine of the phase weighted by how steady it is within the band.
    """
    bank = band_bank(LONG_FFT, BANDS, *BAND_RANGE_HZ).numpy()
    power_y, power_x, real, imaginary = totals(recording.long, source.long)
    power_x, power_y = power_x + np.float32(1e-12), power_y + np.float32(1e-12)
    ratio_db = 10 * np.log10((bank @ power_y) / (bank @ power_x))
    size = np.sqrt(real**2 + imaginary**2)
    coherence = bank @ (size**2 / (power_x * power_y))
    cosine, sine = bank @ (real / (size + 1e-12)), bank @ (imaginary / (size + 1e-12))
    ratio_db -= np.float32(recording.level) - np.float32(source.level)
    return np.stack([ratio_db, coherence, cosine, sine])


def nonlinear_coherence(recording: Spectra, source: Spectra) -> np.ndarray:
    """What wave-shaped copies explain beyond the signals themselves (Bendat; see the module).

    Returns:
        (SHAPING, BANDS): logarithms of shares of the recording's power by each copy of the source,
        and by none, then of the source's power by each copy of the recording, and by none; 0 at
        the share TYPICAL.
    """
    bank = band_bank(LONG_FFT, BANDS, *BAND_RANGE_HZ).numpy()
    rows = []
    for signal, copies, target in (
        (source.long, source.forward, recording.long),
        (recording.long, recording.backward, source.long),
    ):
        sums = nonlinear.products(signal, *copies, target)
        rows += [bank @ share for share in nonlinear.shares(sums)]
    return np.log((np.stack(rows) + nonlinear.FLOOR) / nonlinear.TYPICAL).astype(np.float32)


def log_spectrogram(signal: Spectra) -> np.ndarray:
    """Log-frequency spectrogram: (SCORE_FRAMES, BANDS) in dB relative to the signal's level.

    It has fewer frames than the mel spectrogram, finer bands at the bottom and equal musical
    intervals, so that a harmonic is everywhere as far from its fundamental.
    """
    return (power_db_of(signal.score_powers) - np.float32(signal.level)).T


def log_spectrogram_coherence(recording: Spectra, source: Spectra) -> np.ndarray:
    """Complex coherence as ``mel_coherence``, of the single bands and frames of the log-frequency
    spectrogram: (LINK, SCORE_FRAMES, BANDS)."""
    cross = band_cross(recording.score, source.score, _score_runs())
    strength = np.sqrt(recording.score_powers * source.score_powers) + POWER_FLOOR
    return (cross / strength).transpose(0, 2, 1)


def mel_spectrogram(signal: Spectra) -> np.ndarray:
    """(MELS, FRAMES) in dB relative to the signal's level."""
    return power_db_of(signal.mel_powers) - np.float32(signal.level)
