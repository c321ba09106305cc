"""Bringing a recording and its source together: which source, how late, at what level, where."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.errors import UnmixError
from unmix.features import maps, spectra
from unmix.features.spectra import WINDOW
from unmix.recording.checks import MIN_SAMPLES, SILENCE_DB
from unmix.recording.windows import fit_length, loudest, window_notes, windows

LEAD = WINDOW


@dataclass(frozen=True)
class AlignmentSettings:
    """Where and how a source is looked for in a recording.

    Attributes:
        search_samples: of both signals, to find the latency. Not tuned.
        band_hz: of the whitened correlation. Not tuned.
        found: peak of the correlation above which the source is there beyond doubt. In 160
            recordings of the probe behind random chains of up to five effects the peak was 11.6 to
            several hundred, below this in 3; in 250 other sounds it was 17.1 at most.
        faint, similar: peak and similarity below both of which nothing speaks for the source. Not
            tuned.
        arrival, arrival_samples: share of the highest edge of the impulse response that counts as
            the arrival, at most so much before the peak of the correlation: the longest delay of a
            diffuse effect. Of 200 random chains (held-out seeds 1 and 2), the first edge aligned
            186 to the sample on the probe and 177 on synthetic material; of those of seed 1 the
            first high correlation 36 and 32.
        behind: or so many samples behind the peak. Not tuned.
        clear: and times the highest edge where nothing can have arrived. Not tuned.
        regular, near_hz: the deconvolution does not divide by much less power than nearby. Not
            tuned.
        inverted, inverted_bands: mean coherence of the lowest mel bands below which the polarity is
            inverted. In 200 recordings of the probe behind random chains it was −0.04 at least,
            and above 0.06 in four of five.
    """

    search_samples: int = 60 * SAMPLE_RATE
    band_hz: tuple[float, float] = (60.0, 16_000.0)
    found: float = 18.0
    faint: float = 10.0
    similar: float = 0.3
    arrival: float = 0.2
    arrival_samples: int = 3000
    behind: int = 40
    clear: float = 1.3
    regular: float = 0.1
    near_hz: float = 50.0
    inverted: float = -0.06
    inverted_bands: int = 20


SETTINGS = AlignmentSettings()


@dataclass(frozen=True)
class Match:
    """How a recording resembles a source.

    Attributes:
        lag: samples by which the recording is late.
        peak: highest whitened cross-correlation over its RMS: about 5 for unrelated noise.
        similarity: correlation of the aligned log-mel spectrograms, −1…1.
    """

    lag: int
    peak: float
    similarity: float

    @property
    def found(self) -> bool:
        """Whether the source is in the recording beyond doubt."""
        return self.peak > SETTINGS.found

    @property
    def unrelated(self) -> bool:
        """Whether nothing speaks for the source being in the recording."""
        return self.peak < SETTINGS.faint and self.similarity < SETTINGS.similar


@dataclass
class Pair:
    """A recording and its source, ready for analysis.

    Attributes:
        recording, source: float32 (WINDOW,), aligned, silence behind ``valid``; source may be None.
        valid: samples that hold sound from both.
        start: where the window starts in the aligned signals, in samples at 44.1 kHz.
        lead: float32, the source just before the window, at most LEAD samples: what still rings.
        others: of a longer recording, parts elsewhere in it, to check the answer on.
        whole: samples of the whole recording, after it was aligned.
        latency: samples that were taken out.
        notes: what a person should know, in plain English.
    """

    recording: np.ndarray
    source: np.ndarray | None
    valid: int
    start: int = 0
    latency: int = 0
    notes: list[str] = field(default_factory=list)
    lead: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    others: list[Pair] = field(default_factory=list)
    whole: int = 0

    @property
    def begin_s(self) -> float:
        """Where in the aligned signals the effects' input begins, in seconds."""
        return (self.start - self.lead.size) / SAMPLE_RATE

    def sounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Recording and source (with its lead), for the part that holds sound from both."""
        dry = np.concatenate([self.lead, self.source[: self.valid]])
        return self.recording[: self.valid], dry


def _spectra(recording: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Spectra of both, and the samples of the transform: enough that nothing wraps around."""
    from scipy.fft import next_fast_len, rfft

    size = next_fast_len(recording.size + source.size, real=True)
    return rfft(recording, size), rfft(source, size), size


def _whitened_correlation(wet: np.ndarray, dry: np.ndarray, size: int) -> np.ndarray:
    """Cross-correlation by phase alone, so that filters and levels hardly matter: circular.

    GCC-PHAT: Knapp and Carter, "The generalized correlation method for estimation of time delay",
    IEEE Trans. ASSP 24(4), 1976. Index n holds lag n, index −n lag −n.
    """
    from scipy.fft import irfft

    cross = wet * np.conj(dry)
    strength = np.abs(cross)
    cross /= strength + 1e-3 * strength.mean() + 1e-30
    freqs = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    cross[(freqs < SETTINGS.band_hz[0]) | (freqs > SETTINGS.band_hz[1])] = 0
    return irfft(cross, size)


def _arrival(wet: np.ndarray, dry: np.ndarray, size: int, lag: int) -> int:
    """The lag at which the source arrives first, near the ``lag`` of the highest correlation.

    Effects answer after their input, never before: their impulse response, by deconvolution, is
    nothing up to its first edge. Filters put the highest correlation a few samples beside that, a
    reverb far behind it.
    """
    from scipy.fft import irfft
    from scipy.ndimage import uniform_filter1d

    power = np.abs(dry) ** 2
    nearby = uniform_filter1d(power, round(SETTINGS.near_hz * size / SAMPLE_RATE))
    response = irfft(
        wet * np.conj(dry) / (power + SETTINGS.regular * nearby + 1e-6 * power.mean()), size
    )
    lags = np.arange(lag - 2 * SETTINGS.arrival_samples, lag + SETTINGS.behind)
    edges = np.abs(response[lags % size] - response[(lags - 1) % size])
    before, after = np.split(edges, [SETTINGS.arrival_samples])
    first = np.argmax(
        after
        >= max(SETTINGS.arrival * after.max(), min(SETTINGS.clear * before.max(), after.max()))
    )
    return int(lags[SETTINGS.arrival_samples + first])


def _log_mel(signal: np.ndarray, frames: int) -> np.ndarray:
    """Log-mel of the first frames over 70 dB, each band about its mean: (MELS, frames)."""
    mel = maps.log_mel(torch.from_numpy(fit_length(signal, WINDOW))[None])[0, :, :frames].numpy()
    mel = np.maximum(mel, mel.max() - 70)
    return mel - mel.mean(1, keepdims=True)


def similarity(recording: np.ndarray, source: np.ndarray) -> float:
    """Correlation of the log-mel spectrograms of two aligned signals, where both have sound (4 s at
    most): −1…1; 0 if that is less than MIN_SAMPLES."""
    overlap = min(recording.size, source.size, WINDOW)
    if overlap < MIN_SAMPLES:
        return 0.0
    frames = 1 + (overlap - spectra.N_FFT // 2) // spectra.HOP  # whole ones
    a, b = _log_mel(recording, frames), _log_mel(source, frames)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-12))


def match(recording: np.ndarray, source: np.ndarray) -> Match:
    """Look for the source (samples,) in the recording (samples,), both at 44.1 kHz."""
    place = loudest(source, SETTINGS.search_samples)
    recording, source = (x[place : place + SETTINGS.search_samples] for x in (recording, source))
    if recording.size < MIN_SAMPLES:
        return Match(0, 0.0, 0.0)
    wet, dry, size = _spectra(recording, source)
    correlation = np.abs(_whitened_correlation(wet, dry, size))
    highest = correlation.max()
    lag = int(correlation.argmax())
    lag = _arrival(wet, dry, size, lag - size if lag >= recording.size else lag)
    peak = float(highest / (np.sqrt(np.mean(correlation**2)) + 1e-30))
    return Match(lag, peak, similarity(recording[max(lag, 0) :], source[max(-lag, 0) :]))


def shift(recording: np.ndarray, lag: int) -> np.ndarray:
    """Take ``lag`` samples of latency out; a negative one puts silence in front."""
    return recording[lag:] if lag >= 0 else np.pad(recording, (-lag, 0))


def inverted(recording: np.ndarray, source: np.ndarray) -> bool:
    """Whether the polarity of a recording (WINDOW,) is inverted beyond doubt against its source:
    the bass, which filters hardly delay, follows it with the opposite sign."""
    y, x = (spectra.Spectra(torch.from_numpy(signal)) for signal in (recording, source))
    real = maps.mel_coherence(y, x)[: spectra.MELS]
    return float(real[: SETTINGS.inverted_bands].mean()) < SETTINGS.inverted


def align(recording: np.ndarray, source: np.ndarray | None, slack: int = 1) -> Pair:
    """Align, and cut the window that is analysed.

    Args:
        recording, source: (samples,) at 44.1 kHz.
        slack: lengths that differ by no more count as equal: the recording is then taken as
            aligned, as an export of a whole file is.

    Raises:
        UnmixError: the source is not in the recording.
    """
    if source is None:
        start = loudest(recording, WINDOW)
        window = recording[start : start + WINDOW]
        notes = window_notes(start, recording.size)
        return Pair(
            fit_length(window, WINDOW), None, window.size, start, 0, notes, whole=recording.size
        )
    found = match(recording, source)
    if found.unrelated:
        raise UnmixError(
            "has nothing in common with the source; check that it is the source's processed "
            "version, or use --source none"
        )
    lag = 0 if abs(recording.size - source.size) <= slack else found.lag
    notes = _lag_notes(lag)
    recording = shift(recording, lag)
    if recording.size < source.size - slack:
        missing = (source.size - recording.size) / SAMPLE_RATE
        notes.append(
            f"The recording ends {missing:.2f} s before the source does (missing tail): what the "
            "tail would tell, such as the length of a reverb, is less certain."
        )
    whole = max(source.size, min(recording.size, WINDOW))
    valid = min(recording.size, whole)
    recording, source = fit_length(recording, whole), fit_length(source, whole)
    starts = windows(recording[:valid], source[:valid])
    chosen, *others = (_cut(recording, source, start, valid) for start in starts)
    if np.abs(chosen.source).max() < 10 ** (SILENCE_DB / 20):
        raise UnmixError("goes with a part of the source that is silent; check the source")
    chosen.latency, chosen.others, chosen.whole = lag, others, valid
    chosen.notes = notes + window_notes(chosen.start, valid)
    if inverted(chosen.recording, chosen.source):
        for part in (chosen, *others):
            part.recording = -part.recording
        chosen.notes.append(
            "The polarity of the recording is inverted (a cable or an input does that); it was "
            "inverted back."
        )
    return chosen


def _cut(recording: np.ndarray, source: np.ndarray, start: int, end: int) -> Pair:
    """The window at ``start`` of aligned signals that hold sound up to ``end``, as copies."""
    valid = min(end - start, WINDOW)
    wet, dry = (fit_length(x[start : start + valid], WINDOW).copy() for x in (recording, source))
    return Pair(wet, dry, valid, start, lead=source[max(0, start - LEAD) : start].copy())


def _lag_notes(lag: int) -> list[str]:
    if lag == 0:
        return []
    way = "late" if lag > 0 else "early"
    return [
        f"The recording starts {abs(lag)} samples ({1000 * abs(lag) / SAMPLE_RATE:.1f} ms) {way}; "
        "that was taken out."
    ]
