"""What the network hears: log-mel pictures, frame statistics, and how recording and source relate.

Everything is computed from mono signals of ``WINDOW`` samples at 44.1 kHz. The recording's
pictures are relative to its own level, so that an unknown recording gain changes one number only.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from unmix.audio import SAMPLE_RATE

WINDOW = 4 * SAMPLE_RATE
N_FFT, HOP, MELS = 2048, 512, 80
FRAMES = 1 + WINDOW // HOP
FRAME_STATS = 4
LONG_FFT, LONG_HOP, BANDS = 8192, 2048, 96
BAND_RANGE_HZ = 18, 20_500
TRANSFER = 4
LINK = 2
LINK_SMOOTH = 5  # frames that a cross-spectrum is averaged over
LINK_FRAMES = 1 + (FRAMES - 1) // 2
FLOOR_DB = -120.0
_POWER_FLOOR = 10 ** (FLOOR_DB / 10)


@cache
def _mel_bank() -> torch.Tensor:
    """(N_FFT/2 + 1, MELS) triangular mel filters, 20 Hz to 20 kHz."""
    from unmix._torchaudio import torchaudio

    return torchaudio.functional.melscale_fbanks(
        N_FFT // 2 + 1, 20.0, 20_000.0, MELS, SAMPLE_RATE, mel_scale="slaney"
    )


@cache
def band_bank(n_fft: int, bands: int, low_hz: float, high_hz: float) -> torch.Tensor:
    """(bands, n_fft/2 + 1): log-spaced triangles between two frequencies, each of sum 1."""
    freqs = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    edges = np.geomspace(low_hz, high_hz, bands + 2)
    width = freqs[1]
    rows = []
    for low, mid, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        low, high = min(low, mid - width), max(high, mid + width)  # at least one bin inside
        row = np.interp(freqs, [low, mid, high], [0, 1, 0])
        rows.append(row / row.sum())
    return torch.tensor(np.array(rows), dtype=torch.float32)


def short_spectra(audio: torch.Tensor, n_fft: int, hop: int) -> torch.Tensor:
    """(…, samples) -> complex (…, n_fft/2 + 1, frames), Hann window of sum 1."""
    window = torch.hann_window(n_fft, device=audio.device)
    return torch.stft(
        audio, n_fft, hop, window=window / window.sum(), return_complex=True, pad_mode="constant"
    )


def power_of(spectra: torch.Tensor) -> torch.Tensor:
    return spectra.real.square() + spectra.imag.square()


def level_db(audio: torch.Tensor) -> torch.Tensor:
    """RMS level over the last dimension in dB re full scale, not below FLOOR_DB."""
    return _decibels(audio.square().mean(-1))


def log_mel(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, MELS, FRAMES) in dB re full scale, not below FLOOR_DB."""
    return _decibels(_mel(power_of(short_spectra(audio, N_FFT, HOP))))


def _mel(values: torch.Tensor) -> torch.Tensor:
    """(B, N_FFT/2 + 1, frames) -> (B, MELS, frames)."""
    return _mel_bank().to(values.device).T @ values


def _decibels(power: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(power + _POWER_FLOOR)


def link(recording: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """How linearly, and with what phase, the recording follows its source, over time.

    The complex coherence γ = Σ Y X* / √(Σ|Y|² Σ|X|²), sums over a mel band and LINK_SMOOTH
    frames. A filter leaves |γ| near 1; what a wave shaper adds lowers it where the filters behind
    the shaper let it through, which tells their order.

    Args:
        recording, source: (B, N_FFT/2 + 1, FRAMES) complex; source may have batch 1.

    Returns:
        (B, LINK · MELS, LINK_FRAMES): real parts, then imaginary parts, −1…1; 0 in silence.
    """

    def smooth(values):
        return torch.nn.functional.avg_pool1d(
            _mel(values), LINK_SMOOTH, stride=2, padding=LINK_SMOOTH // 2
        )

    cross = recording * source.conj()
    strength = (smooth(power_of(recording)) * smooth(power_of(source))).sqrt() + _POWER_FLOOR
    return torch.cat([smooth(cross.real) / strength, smooth(cross.imag) / strength], 1)


def frame_stats(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, FRAME_STATS, FRAMES): what a wave shaper leaves and log-mel hides.

    Per frame of N_FFT/2 samples: RMS in dB, crest factor in dB, excess kurtosis (squashed), and
    the share of samples near the frame's peak (clipping).
    """
    size = N_FFT // 2
    padded = torch.nn.functional.pad(audio, (size // 2, size // 2))
    frames = padded.unfold(-1, size, HOP)[:, :FRAMES]  # (B, FRAMES, size)
    power = frames.square().mean(-1)
    peak = frames.abs().amax(-1)
    kurtosis = frames.pow(4).mean(-1) / (power.square() + 1e-20)
    near_peak = (frames.abs() > 0.9 * peak[..., None]).float().mean(-1)
    rms_db = _decibels(power)
    crest_db = 20 * torch.log10((peak + 1e-9) / (power.sqrt() + 1e-9))
    return torch.stack([rms_db, crest_db, 10 * torch.log(1 + kurtosis), 40 * near_peak], 1)


def long_spectra(audio: torch.Tensor) -> torch.Tensor:
    """(B, WINDOW) -> (B, LONG_FFT/2 + 1, frames) complex, for ``transfer``."""
    return short_spectra(audio, LONG_FFT, LONG_HOP)


def transfer(recording: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Transfer-function estimate between long spectra.

    H = Σ Y X* / Σ |X|² (H1 estimator) and coherence, averaged into log-spaced bands.

    Args:
        recording, source: (B, bins, frames) from ``long_spectra``; source may have batch 1.

    Returns:
        (B, TRANSFER, BANDS): output-to-input power ratio in dB, coherence, and cosine and sine of
        the phase weighted by how steady it is within the band.
    """
    bank = band_bank(LONG_FFT, BANDS, *BAND_RANGE_HZ).to(recording.device)
    cross = (recording * source.conj()).sum(-1)
    power_x = power_of(source).sum(-1) + 1e-12
    power_y = power_of(recording).sum(-1) + 1e-12
    ratio_db = 10 * torch.log10((power_y @ bank.T) / (power_x @ bank.T))
    coherence = (power_of(cross) / (power_x * power_y)) @ bank.T
    direction = cross / (cross.abs() + 1e-12)
    cosine, sine = direction.real @ bank.T, direction.imag @ bank.T
    return torch.stack([ratio_db.expand_as(coherence), coherence, cosine, sine], 1)


def extract(recording: torch.Tensor, source: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """All features of recordings (B, WINDOW), with their sources (B or 1, WINDOW) if known.

    Returns:
        mel (B, MELS, FRAMES) and stats (B, FRAME_STATS, FRAMES) of the recording, in dB relative
        to the recording's level where they are levels; level (B,) in dB; and, zeros where no
        source is known: source_mel (B, MELS, FRAMES) relative to the source's level, source_level
        (B,), transfer (B, TRANSFER, BANDS) relative to the difference of the two levels, link
        (B, LINK · MELS, LINK_FRAMES); known (B,) 1 or 0.
    """
    batch = len(recording)
    level = level_db(recording)
    stats = frame_stats(recording)
    stats[:, 0] -= level[:, None]
    spectra = short_spectra(recording, N_FFT, HOP)
    mel = _decibels(_mel(power_of(spectra))) - level[:, None, None]
    result = {"mel": mel, "stats": stats, "level": level}
    if source is None:
        like = recording.new_zeros
        return result | {
            "source_mel": like(batch, MELS, FRAMES),
            "source_level": like(batch),
            "transfer": like(batch, TRANSFER, BANDS),
            "link": like(batch, LINK * MELS, LINK_FRAMES),
            "known": like(batch),
        }
    source_level, source_spectra = level_db(source), short_spectra(source, N_FFT, HOP)
    source_mel = _decibels(_mel(power_of(source_spectra))) - source_level[:, None, None]
    h = transfer(long_spectra(recording), long_spectra(source))
    h[:, 0] -= (level - source_level)[:, None]
    return result | {
        "source_mel": source_mel.expand(batch, -1, -1),
        "source_level": source_level.expand(batch),
        "transfer": h,
        "link": link(spectra, source_spectra),
        "known": recording.new_ones(batch),
    }
