import hashlib

import numpy as np
import pytest
import soundfile

from unmix.audio import corpus, signals, synthetic
from unmix.errors import UnmixError

RATE = 44_100
PROBE_SHA256 = "c4f7e4dcd3e35b20873c9571c3ab0068a2cda8fede5a45ab7587b00696344bbc"


def rms_db(signal):
    return 10 * np.log10(np.mean(np.square(signal, dtype=np.float64)))


def test_probe_1_is_the_same_bits_everywhere():
    probe = signals.probe()
    assert signals.PROBE_VERSION == "probe-1"  # another signal needs another version
    assert probe.dtype == np.float32 and probe.size <= 4 * RATE
    assert hashlib.sha256(probe.astype("<f4").tobytes()).hexdigest() == PROBE_SHA256


def test_probe_noise_steps_have_their_levels():
    # uniform noise of peak P has an RMS of P / √3, 4.77 dB lower; 7,938 samples pin it to 0.2 dB
    step = round(0.18 * RATE)
    for i, peak_db in enumerate((-40, -12, -28, -3, -34, -18, -8)):
        part = signals.probe()[i * step : (i + 1) * step]
        assert rms_db(part) == pytest.approx(peak_db - 4.77, abs=0.2)
        assert 20 * np.log10(np.abs(part).max()) == pytest.approx(peak_db, abs=0.1)


def test_probe_ends_with_an_impulse_and_silence_for_tails():
    probe = signals.probe()
    last = int(np.flatnonzero(probe)[-1])
    assert probe[last] == np.float32(0.9)
    assert not probe[last - round(0.03 * RATE) : last].any()  # nothing rings into it
    assert (probe.size - 1 - last) / RATE > 0.95


def test_probe_reaches_every_octave_and_does_not_clip():
    probe = signals.probe().astype(np.float64)
    assert 0.95 < np.abs(probe).max() <= 1
    power = np.abs(np.fft.rfft(probe)) ** 2
    hz = np.fft.rfftfreq(probe.size, 1 / RATE)
    for low in 20 * 2.0 ** np.arange(10):
        octave = power[(hz >= low) & (hz < min(2 * low, RATE / 2))].sum() / power.sum()
        assert 10 * np.log10(octave) > -40, f"{low:.0f} Hz"


def test_changing_the_returned_probe_changes_nobody_elses():
    signals.probe()[:] = 0
    assert signals.probe().any()


def test_a_pluck_is_a_sum_of_decaying_sines():
    pluck = synthetic._pluck(np.random.default_rng(4), 30_000)
    rng = np.random.default_rng(4)
    f0 = 40 * 2 ** rng.uniform(0, 5)
    number = np.arange(1, max(2, min(24, int(16_000 / f0))))[:, None]
    decay_s = rng.uniform(0.1, 0.9) / (1 + rng.uniform(0, 0.5) * number)
    weight, phase = number ** -rng.uniform(0.6, 2), rng.uniform(0, 2 * np.pi, number.shape)
    t = np.arange(30_000) / RATE
    expected = weight * np.sin(2 * np.pi * f0 * number * t + phase) * np.exp(-t / decay_s)
    assert len(number) > 3 and pluck.shape == (30_000,)
    np.testing.assert_allclose(pluck, expected.sum(0), atol=1e-9)


def test_fixed_signals():
    assert not np.array_equal(signals.fixed("noise"), signals.fixed("probe"))
    impulse = signals.fixed("impulse")
    assert np.flatnonzero(impulse).tolist() == [0]
    noise = signals.fixed("noise")
    assert rms_db(noise) == pytest.approx(-9 - 4.77, abs=0.05)
    correlation = np.correlate(noise[:20_000], noise[:20_000], "full")[20_000:]
    assert np.abs(correlation).max() < 0.05 * np.square(noise[:20_000]).sum()  # white
    for kind in signals.FIXED_KINDS:
        signal = signals.fixed(kind)
        assert signal.dtype == np.float32 and signal.size <= 4 * RATE
        assert np.abs(signal).max() <= 1
    with pytest.raises(UnmixError, match=r"no source 'pink'.*probe, noise, chirp, impulse"):
        signals.fixed("pink")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_chirp_is_logarithmic_from_20_hz_to_20_khz(share):
    chirp = signals.fixed("chirp").astype(np.float64)
    expected = 20 * 1_000**share
    centre, width = round(share * chirp.size), 4_410
    part = chirp[centre - width // 2 : centre + width // 2]
    hz = np.count_nonzero(np.diff(np.signbit(part))) / 2 / (part.size / RATE)
    assert hz == pytest.approx(expected, rel=0.1 if share < 0.2 else 0.02)


# synthetic material


def test_synthetic_depends_on_the_seed_alone():
    first, again, other = (
        synthetic.synthetic(np.random.default_rng(seed), RATE) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


def test_synthetic_levels_and_variety():
    centroids = []
    for seed in range(60):
        signal = synthetic.synthetic(np.random.default_rng(seed), RATE // 2)
        assert signal.dtype == np.float32 and signal.shape == (RATE // 2,)
        assert np.isfinite(signal).all()
        assert -30.001 <= 20 * np.log10(np.abs(signal).max()) <= 0.001
        spectrum = np.abs(np.fft.rfft(signal))
        centroids.append((spectrum @ np.fft.rfftfreq(signal.size, 1 / RATE)) / spectrum.sum())
    low, high = np.percentile(centroids, [10, 90])
    assert high / low > 4  # both dark and bright: two octaves apart and more


@pytest.mark.parametrize("samples", [1, 2, 100])
def test_synthetic_of_almost_no_length(samples):
    for seed in range(20):
        signal = synthetic.synthetic(np.random.default_rng(seed), samples)
        assert signal.shape == (samples,) and np.isfinite(signal).all()


# folders


def write(path, samples, channels=1, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(samples) / rate
    signal = 0.25 * np.sin(2 * np.pi * 441 * t)
    soundfile.write(path, np.stack([signal] * channels, axis=1), rate)


def test_a_folder_that_is_none_or_holds_no_audio(tmp_path):
    with pytest.raises(UnmixError, match="no such folder"):
        corpus.Folder(tmp_path / "nowhere")
    (tmp_path / "readme.txt").write_text("no audio")
    (tmp_path / "folder.wav").mkdir()  # a folder with an audio file's name is not one
    with pytest.raises(UnmixError, match="no audio files"):
        corpus.Folder(tmp_path)


def test_a_short_file_is_followed_by_silence(tmp_path):
    write(tmp_path / "deep" / "short.wav", 1_000)
    excerpt = corpus.Folder(tmp_path).excerpt(np.random.default_rng(0), 5_000)
    assert excerpt.dtype == np.float32 and excerpt.shape == (5_000,)
    assert excerpt[:1_000].any() and not excerpt[1_000:].any()
    assert -30.001 <= 20 * np.log10(np.abs(excerpt).max()) <= 0.001


def test_excerpts_are_resampled_mixed_and_seeded(tmp_path):
    write(tmp_path / "a.flac", 96_000, channels=2, rate=48_000)
    folder = corpus.Folder(tmp_path)
    excerpt = folder.excerpt(np.random.default_rng(3), 22_050)
    spectrum = np.abs(np.fft.rfft(excerpt * np.hanning(excerpt.size)))
    assert np.argmax(spectrum) * RATE / 22_050 == pytest.approx(441, abs=2)  # the pitch stays
    np.testing.assert_array_equal(excerpt, folder.excerpt(np.random.default_rng(3), 22_050))
    assert not np.array_equal(excerpt, folder.excerpt(np.random.default_rng(4), 22_050))


def test_a_silent_file_stays_silent(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(2_000), RATE)
    assert not corpus.Folder(tmp_path).excerpt(np.random.default_rng(0), 1_000).any()


def test_a_bad_file_in_the_folder_is_named(tmp_path):
    (tmp_path / "broken.wav").write_text("no audio")
    with pytest.raises(UnmixError, match=r"broken\.wav"):
        corpus.Folder(tmp_path).excerpt(np.random.default_rng(0), 1_000)
