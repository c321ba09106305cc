"""``unmix.features`` of many recordings at once, on any device; and what captures do to them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch.nn import functional as F

from unmix import amplitudes, features, shaping
from unmix.audio import SAMPLE_RATE
from unmix.degradation import BAND_LIMIT_HZ, NOISE_DB, TRAINING_SHARES

# what resampling to 48 kHz and back leaves (unmix.degradation), measured on an impulse: Hz, dB
RATE_HZ = (20_500, 20_800, 21_000, 21_200, 21_500, 22_000)
RATE_DB = (0.0, -2.0, -8.2, -22.0, -64.0, -176.0)
BUTTERWORTH = 8  # order of the band limit


@cache
def _bank(n_fft: int, device: str) -> torch.Tensor:
    """(bins, bands) of the spectra of that size."""
    if n_fft == features.N_FFT:
        return features._mel_bank().to(device)
    bank = features.band_bank(n_fft, features.BANDS, *features.BAND_RANGE_HZ)
    return bank.T.contiguous().to(device)


def _frames_first(audio, n_fft, hop):
    return features.short_spectra(audio, n_fft, hop).mT  # (B, frames, bins)


def _band_sums(wet, sources, n_fft, hop):
    """Of |Y|² (N · B, frames, bands), of |X|² (N, frames, bands), and of Y·X*, real and imaginary
    part, as of |Y|²."""
    bank = _bank(n_fft, str(wet.device))
    y, x = (_frames_first(audio, n_fft, hop) for audio in (wet, sources))
    cross = y * x.repeat_interleave(len(y) // len(x), 0).conj()
    powers = (features.power_of(spectra) @ bank for spectra in (y, x))
    return *powers, (cross.real @ bank, cross.imag @ bank)


def _coherence(cross, power_y, power_x):
    """Real and imaginary part, from sums."""
    power_x = power_x.repeat_interleave(len(power_y) // len(power_x), 0)
    strength = torch.sqrt(power_y * power_x) + features._POWER_FLOOR
    return [part / strength for part in cross]


def _smooth(values):
    """(B, frames, bands) -> (B, bands, frames / 2): as in features.link."""
    size = features.LINK_SMOOTH
    return F.avg_pool1d(values.mT, size, stride=2, padding=size // 2)


def hear(recordings: torch.Tensor, sources: torch.Tensor) -> dict[str, torch.Tensor]:
    """``features.extract`` of (N, B, WINDOW) recordings of the sources (N, WINDOW).

    Returns:
        {name: (N, B, …)}, float32; what is of the source alone: (N, …).
    """
    families, members, _ = recordings.shape
    wet = recordings.flatten(0, 1)
    level, source_level = features.level_db(wet), features.level_db(sources)
    of_wet, of_source = (x[:, None, None] for x in (level, source_level))
    heard = {"level": level, "source_level": source_level, "known": torch.ones_like(level)}

    def repeated(x):
        return x.repeat_interleave(members, 0)

    power_y, power_x, cross = _band_sums(wet, sources, features.N_FFT, features.HOP)
    heard["mel"] = features._decibels(power_y).mT - of_wet
    heard["source_mel"] = features._decibels(power_x).mT - of_source
    smooth = ([_smooth(part) for part in cross], _smooth(power_y), _smooth(power_x))
    heard["link"] = torch.cat(_coherence(*smooth), 1)

    power_y, power_x, cross = _band_sums(wet, sources, features.SCORE_FFT, features.SCORE_HOP)
    heard["score"] = features._decibels(power_y) - of_wet
    heard["source_score"] = features._decibels(power_x) - of_source
    heard["score_link"] = torch.stack(_coherence(cross, power_y, power_x), 1)

    bank = _bank(features.LONG_FFT, str(wet.device))
    y, x = (_frames_first(a, features.LONG_FFT, features.LONG_HOP) for a in (wet, sources))
    power_y, power_x = (features.power_of(spectra).sum(1) + 1e-12 for spectra in (y, x))
    power_x, cross = repeated(power_x), (y * repeated(x).conj()).sum(1)
    size = features.power_of(cross).sqrt()
    ratio_db = 10 * torch.log10((power_y @ bank) / (power_x @ bank))
    steady = [(part / (size + 1e-12)) @ bank for part in (cross.real, cross.imag)]
    coherence = (size.square() / (power_x * power_y)) @ bank
    ratio_db = ratio_db - (level - repeated(source_level))[:, None]
    heard["transfer"] = torch.stack([ratio_db, coherence, *steady], 1)
    heard["shaped"] = _shaped(wet, sources, y, x, bank)

    heard["stats"] = _frame_stats(wet)
    heard["stats"][:, 0] -= level[:, None]
    reference = torch.from_numpy(amplitudes.reference()).to(wet.device)
    heard["amplitudes"] = _amplitudes(wet) - reference
    heard["source_amplitudes"] = _amplitudes(sources) - reference
    return {
        name: values if name.startswith("source_") else values.unflatten(0, (families, members))
        for name, values in heard.items()
    }


def _shaped(wet, sources, y, x, bank):
    """As features.shaped, of signals and their long spectra: (N · B, SHAPING, bands)."""

    def repeated(spectra):
        return spectra.repeat_interleave(len(y) // len(x), -3)

    of_source, of_recording = (
        _frames_first(copies, features.LONG_FFT, features.LONG_HOP)
        for copies in (shaping.forward(sources), shaping.backward(wet))
    )
    rows = []
    for signals in ((repeated(x), *repeated(of_source), y), (y, *of_recording, repeated(x))):
        spectra = torch.stack(signals)
        sums = torch.einsum("ibtk,jbtk->ijbk", spectra, spectra.conj())
        rows += [share @ bank for share in shaping.shares(sums)]
    return torch.log((torch.stack(rows, 1) + shaping.FLOOR) / shaping.TYPICAL)


def _frame_stats(audio):
    """As features.frame_stats: (B, WINDOW) -> (B, FRAME_STATS, FRAMES)."""
    size = features.N_FFT // 2
    frames = F.pad(audio, (size // 2, size // 2)).unfold(-1, size, features.HOP)
    power = frames.square().mean(-1)
    kurtosis = frames.square().square().mean(-1) / (power.square() + 1e-20)
    peak = frames.abs().amax(-1)
    near_peak = (frames.abs() > features.NEAR_PEAK * peak[..., None]).float().mean(-1)
    near_peak = near_peak * (power > features._POWER_FLOOR)
    crest_db = 20 * torch.log10((peak + 1e-9) / (power.sqrt() + 1e-9))
    decibels = features._decibels(power)
    return torch.stack([decibels, crest_db, 10 * torch.log(1 + kurtosis), 40 * near_peak], 1)


def _heights(frames, bins):
    """As amplitudes.heights: (…, samples) -> (…, bins), (…)."""
    heights = frames.abs()
    heights = heights / heights.amax(-1, keepdim=True).clamp_min(amplitudes.TINY)
    places = (heights * bins).long().clamp_max(bins - 1)
    counts = heights.new_zeros(*heights.shape[:-1], bins)
    counts.scatter_add_(-1, places, torch.ones_like(heights))
    near = heights[..., 1:] > amplitudes.NEAR_PEAK
    slopes = (frames.diff().abs() * near).sum(-1) / near.sum(-1).clamp_min(1)
    return counts / frames.shape[-1], slopes


def _amplitudes(audio):
    """As amplitudes.amplitudes: (B, WINDOW) -> (B, AMPLITUDES)."""
    size, groups = amplitudes.FRAME, amplitudes.GROUPS
    frames = audio[:, : audio.shape[-1] // size * size].unflatten(-1, (-1, size))

    def rms(x):
        return x.square().mean(-1) ** 0.5 + amplitudes.TINY

    level = rms(frames)
    shares, slopes = _heights(frames, amplitudes.BINS)
    columns = []
    for order in range(amplitudes.ORDERS):
        sizes = frames.diff(n=order).abs()
        scale = rms(sizes)[..., None]
        if order == 1:
            slopes = slopes[..., None] / scale
        places = amplitudes.quantile_places(sizes.shape[-1])
        columns.append(sizes.sort(-1).values[..., places] / scale)
    columns = torch.cat([*columns, shares, slopes], -1)
    heard = level >= amplitudes.SILENCE * level.amax(-1, keepdim=True)
    rank = torch.argsort(level, dim=-1, descending=True, stable=True).argsort(-1)
    group_of = torch.where(heard, rank * groups // heard.sum(-1, keepdim=True), groups)
    found = []
    for group in range(groups):
        chosen = (group_of == group).to(columns.dtype)
        count = chosen.sum(-1, keepdim=True)
        mean = (chosen[:, None] @ columns)[:, 0] / count.clamp_min(1)
        own = torch.log(mean + amplitudes.FLOOR)
        found.append(torch.where(count > 0, own, found[-1] if found else own))
    whole, _ = _heights(audio, amplitudes.WHOLE_BINS)
    return torch.cat([*found, torch.log(whole + amplitudes.WHOLE_FLOOR)], -1)


def pack(heard: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As features.pack."""
    packed = {}
    for name, values in heard.items():
        if name in features.BYTES:
            zero, step = features.BYTES[name]
            packed[name] = ((values - zero) / step).round().clamp(-127, 127).to(torch.int8)
        else:
            packed[name] = values.half()
    return packed


def degrade(audio: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """A share of recordings (B, samples) with the degradations of training, each with its
    probability, but the latency."""

    def chance(p):
        return torch.rand(len(audio), generator=generator, device=audio.device) < p

    def uniform(low, high):
        return low + (high - low) * torch.rand(len(audio), generator=generator, device=audio.device)

    chosen = chance(share)
    there = {kind: chosen & chance(TRAINING_SHARES[kind]) for kind in ("rate", "band", "noise")}
    limits = uniform(*BAND_LIMIT_HZ)
    filtered = (there["rate"] | there["band"]).nonzero()[:, 0]
    result = audio.clone()
    if len(filtered):
        samples = audio.shape[-1]
        padded = 1 << samples.bit_length()
        spectra = torch.fft.rfft(audio[filtered], padded)
        hz, gains = _rate(padded, str(audio.device))
        spectra = torch.where(there["rate"][filtered, None], spectra * gains, spectra)
        limited = spectra * _low_pass(hz, limits[filtered, None])
        spectra = torch.where(there["band"][filtered, None], limited, spectra)
        result[filtered] = torch.fft.irfft(spectra, padded)[:, :samples]
    level = audio.square().mean(-1).sqrt() * 10 ** (-uniform(*NOISE_DB) / 20)
    noise = torch.randn(audio.shape, generator=generator, device=audio.device)
    return result + noise * (level * there["noise"])[:, None]


@cache
def _rate(padded: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Frequencies of a spectrum of that many samples, and what another rate leaves at each."""
    hz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE)
    gains = 10 ** (np.interp(hz, RATE_HZ, RATE_DB) / 20)
    return tuple(torch.from_numpy(x).to(device, torch.float32) for x in (hz, gains))


def _low_pass(hz, cutoff_hz):
    """Response of a digital Butterworth low-pass: bilinear transform, prewarped."""
    nyquist = SAMPLE_RATE / 2
    turned = torch.tan((torch.pi / 2 * hz / nyquist).clamp(max=torch.pi / 2 - 1e-4))
    s = 1j * turned / torch.tan(torch.pi / 2 * cutoff_hz / nyquist)
    response = torch.ones_like(s)
    for k in range(BUTTERWORTH // 2):
        damping = 2 * np.sin(np.pi * (2 * k + 1) / (2 * BUTTERWORTH))
        response = response / (s * s + damping * s + 1)
    return response
