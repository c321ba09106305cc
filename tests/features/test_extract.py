"""Features against signals whose spectra are known."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import torch

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.dsp import stft
from unmix.features import maps, packing, spectra
from unmix.features.extract import extract
from unmix.features.spec import FEATURES

NOISE = torch.from_numpy(signals.fixed("noise"))[None]


def test_gain_changes_the_level_and_nothing_else():
    quiet = extract(NOISE * 0.25, NOISE)
    loud = extract(NOISE, NOISE)
    assert np.isclose(float(loud["level"] - quiet["level"]), 20 * np.log10(4), atol=0.01)
    for name in ("mel", "stats", "transfer", "source_mel", "link", "score", "score_link"):
        assert torch.allclose(quiet[name], loud[name], atol=0.05), name


def test_transfer_reads_a_known_filter():
    """y[n] = (x[n] + x[n−1]) / 2 has |H| = cos(ω/2) and a linear phase of −ω/2."""
    delayed = torch.nn.functional.pad(NOISE, (1, 0))[:, :-1]
    h = extract((NOISE + delayed) / 2, NOISE)["transfer"][0]
    h[0] += stft.level_db((NOISE + delayed) / 2) - stft.level_db(NOISE)
    edges = np.geomspace(18, 20_500, spectra.BANDS + 2)[1:-1]
    omega = 2 * np.pi * edges / SAMPLE_RATE
    above = edges > 200  # lower bands are one bin wide
    expected_db = 20 * np.log10(np.cos(omega / 2))
    assert np.abs(h[0].numpy() - expected_db)[above & (edges < 15_000)].max() < 0.3
    assert float(h[1].min()) > 0.99  # linear: coherent everywhere
    assert np.abs(h[3].numpy() - np.sin(-omega / 2))[above].max() < 0.05


def test_coherence_falls_with_noise():
    other = torch.from_numpy(np.random.default_rng(0).standard_normal(spectra.WINDOW)).float()
    h = extract(other[None], NOISE)["transfer"][0]
    assert float(h[1].mean()) < 0.1


def test_link_tells_a_filter_behind_a_wave_shaper_from_one_before():
    """Distortion of noise is white: a high cut behind the shaper lowers it and the noise alike, one
    before it leaves the noise alone too little to be seen under it."""

    def cut(x):
        for _ in range(4):
            x = (torch.nn.functional.pad(x, (1, 0))[:, :-1] + x) / 2
        return x

    def high_band(wet):
        real, imaginary = extract(wet, NOISE)["link"][0].chunk(2)
        return float((real**2 + imaginary**2).sqrt()[70:78, 20:150].mean())

    behind, before = cut((40 * NOISE).clamp(-1, 1)), (40 * cut(NOISE)).clamp(-1, 1)
    assert high_band(NOISE) > 0.999
    assert high_band(behind) > high_band(before) + 0.2
    inverted = extract(-NOISE, NOISE)["link"][0, :, 20:150]
    assert float((inverted[: spectra.MELS] + 1).abs().max()) < 0.01


def test_mel_places_a_tone():
    t = torch.arange(spectra.WINDOW) / SAMPLE_RATE
    peaks = [
        int(maps.log_mel(torch.sin(2 * np.pi * hz * t)[None])[0, :, 100].argmax())
        for hz in (100, 1_000, 10_000)
    ]
    assert peaks[0] < peaks[1] < peaks[2]


def test_score_sees_a_gain_that_falls_half_way_and_tells_bass_notes_apart():
    step = torch.ones(spectra.WINDOW)
    step[spectra.WINDOW // 2 :] = 0.1
    heard = extract(NOISE * step, NOISE)
    follow = (heard["score"] - heard["source_score"])[0].mean(-1)  # dB over time
    assert abs(float(follow[5:40].mean() - follow[48:82].mean()) - 20) < 0.1
    assert float(heard["score_link"][0, 0, 5:40].min()) > 0.999
    t = torch.arange(spectra.WINDOW) / SAMPLE_RATE
    places = [
        int(extract(torch.sin(2 * np.pi * hz * t)[None], None)["score"][0, 40].argmax())
        for hz in (100, 200, 210, 400)
    ]
    assert places[1] < places[2]
    assert places[1] - places[0] == places[3] - places[1]  # an octave is as wide everywhere


def test_some_features_alone_are_the_same():
    for source in (NOISE, None):
        whole = extract(NOISE / 2, source)
        part = extract(NOISE / 2, source, ("score", "stats", "transfer"))
        levels = {"level", "source_level", "known"}
        assert part.keys() == levels | {"score", "stats", "transfer"}
        assert all(torch.equal(values, whole[name]) for name, values in part.items())


def test_packed_features_come_back():
    heard = extract(NOISE * 0.25, NOISE)
    packed = packing.pack({name: values.numpy() for name, values in heard.items()})
    bytes_of = {feature.name: feature.stored for feature in FEATURES if feature.stored}
    for name, byte in bytes_of.items():
        back = packing.unpack(name, torch.from_numpy(packed[name]))
        outside = (heard[name] < -103).float()  # beyond the range of a byte
        assert float(((back - heard[name]).abs() * (1 - outside)).max()) <= 0.51 * byte.step, name


def test_spectra_are_those_of_torch():
    audio = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    for n_fft, hop in ((2048, 512), (512, 256)):
        window = torch.hann_window(n_fft)
        expected = torch.stft(
            audio,
            n_fft,
            hop,
            window=window / window.sum(),
            return_complex=True,
            pad_mode="constant",
        )
        assert torch.allclose(stft.short_spectra(audio, n_fft, hop), expected, atol=1e-6)


def test_clipping_shows_in_the_frame_statistics():
    noise = torch.randn(1, spectra.WINDOW, generator=torch.Generator().manual_seed(0))
    clean, clipped = (
        maps.frame_stats(x)[0, :, 50:300].mean(-1) for x in (noise, (3 * noise).clamp(-1, 1))
    )
    assert clean[1] > clipped[1] + 6  # crest factor in dB
    assert clipped[3] > clean[3] + 10  # samples near the peak


def test_what_rings_on_below_any_file_is_silence():
    """Filters may hold one tiny number for ever; near its own peak it is no clipping."""
    shares = [
        float(maps.frame_stats(torch.full((1, spectra.WINDOW), size))[0, 3, 100])
        for size in (1e-40, 1e-8, 1e-5)
    ]
    assert shares == [0, 0, 40]


def test_two_threads_make_pictures_of_two_signals_at_once():
    both = Barrier(2, timeout=20)

    class Signal:
        @spectra.once
        def waits(self):
            both.wait()
            self.made = getattr(self, "made", 0) + 1
            return self.made

    signals = Signal(), Signal()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda signal: signal.waits, signals)) == [1, 1]
    assert [signal.waits for signal in signals] == [1, 1]  # kept


def test_silence_is_finite_and_unknown_source_is_zeros():
    heard = extract(torch.zeros(1, spectra.WINDOW), None)
    assert all(torch.isfinite(part).all() for part in heard.values())
    assert float(heard["known"]) == 0 and float(heard["source_mel"].abs().sum()) == 0
