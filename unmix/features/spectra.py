"""The time-frequency grids of the features, and the spectra of one signal on them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp.band_sums import Bank, band_powers
from unmix.dsp.stft import band_bank, level_db, short_spectra
from unmix.features import nonlinear_coherence
from unmix.features.amplitude_histogram import amplitude_histogram, reference

WINDOW = 4 * SAMPLE_RATE
# mel spectrogram and frame statistics
N_FFT, HOP, MELS = 2048, 512, 80
FRAMES = 1 + WINDOW // HOP
# transfer function and nonlinear coherence
LONG_FFT, LONG_HOP, BANDS = 8192, 2048, 96
BAND_RANGE_HZ = 18, 20_500
# log-frequency spectrogram, in BANDS over BAND_RANGE_HZ
SCORE_FFT, SCORE_HOP = 4096, 2048
SCORE_FRAMES = 1 + WINDOW // SCORE_HOP


@cache
def _mel_bank() -> torch.Tensor:
    """(N_FFT/2 + 1, MELS) triangular mel filters, 20 Hz to 20 kHz."""
    from unmix.dsp.torchaudio import torchaudio

    return torchaudio.functional.melscale_fbanks(
        N_FFT // 2 + 1, 20.0, 20_000.0, MELS, SAMPLE_RATE, mel_scale="slaney"
    )


@cache
def _mel_runs() -> Bank:
    return Bank.of(_mel_bank().T.numpy())


@cache
def _score_runs() -> Bank:
    return Bank.of(band_bank(SCORE_FFT, BANDS, *BAND_RANGE_HZ).numpy())


def _long_spectra(audio: torch.Tensor) -> np.ndarray:
    """(signals, samples) -> complex64 (signals, frames, bins)."""
    return short_spectra(audio, LONG_FFT, LONG_HOP).mT.numpy()


class once:
    """As ``functools.cached_property``, which up to Python 3.11 has one lock for all instances: no
    two threads compute it at once, not even of two signals."""

    def __init__(self, make):
        self.make = make

    def __get__(self, signal, owner=None):
        made = signal.__dict__[self.make.__name__] = self.make(signal)
        return made


class Spectra:
    """The spectra of one signal (WINDOW,), each complex64 (frames, bins), and its band powers; made
    when they are asked for."""

    def __init__(self, audio: torch.Tensor):
        self.audio, self.level = audio, float(level_db(audio))

    def _of(self, n_fft: int, hop: int) -> np.ndarray:
        return short_spectra(self.audio, n_fft, hop).mT.numpy()

    @once
    def mel(self) -> np.ndarray:
        return self._of(N_FFT, HOP)

    @once
    def long(self) -> np.ndarray:
        return _long_spectra(self.audio)

    @once
    def score(self) -> np.ndarray:
        return self._of(SCORE_FFT, SCORE_HOP)

    @once
    def forward(self) -> np.ndarray:
        """Of the wave-shaped copies of a source: (copies, frames, bins)."""
        return _long_spectra(nonlinear_coherence.forward(self.audio))

    @once
    def backward(self) -> np.ndarray:
        """Of the wave-shaped copies of a recording: (copies, frames, bins)."""
        return _long_spectra(nonlinear_coherence.backward(self.audio))

    @once
    def mel_powers(self) -> np.ndarray:
        """(MELS, FRAMES)."""
        return band_powers(self.mel, _mel_runs())

    @once
    def score_powers(self) -> np.ndarray:
        """(BANDS, SCORE_FRAMES)."""
        return band_powers(self.score, _score_runs())

    @once
    def amplitudes(self) -> np.ndarray:
        """Amplitude histogram (AMPLITUDES,), less that of the reference."""
        return amplitude_histogram(self.audio.numpy()) - reference()
