import struct

import numpy as np
import pytest
import soundfile

from unmix.audio import io
from unmix.errors import UnmixError
from unmix.runtime import files


@pytest.fixture
def noise():
    return np.random.default_rng(1).uniform(-0.5, 0.5, (2, 5_000)).astype(np.float32)


def tone(rate, seconds=1.0, hz=997.0):
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def write_wav(path, channels, rate=44_100, subtype="FLOAT"):
    soundfile.write(path, channels.T, rate, subtype=subtype)
    return path


# reading


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_written_is_read_back(tmp_path, noise, suffix):
    path = tmp_path / f"take{suffix}"
    io.write(path, noise, 48_000)
    back, rate = io.read(path)
    assert rate == 48_000
    assert back.dtype == np.float32 and back.shape == noise.shape
    np.testing.assert_allclose(back, noise, atol=0 if suffix == ".wav" else 2**-23)


def test_a_wav_keeps_peaks_above_full_scale(tmp_path):
    io.write(tmp_path / "loud.wav", np.array([0.0, 2.5, -3.0]), 44_100)
    assert io.read(tmp_path / "loud.wav")[0].tolist() == [[0.0, 2.5, -3.0]]


def fails(path, words):
    with pytest.raises(UnmixError, match=words) as caught:
        io.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_empty_and_folder(tmp_path):
    fails(tmp_path / "nowhere.wav", "no such file")
    (tmp_path / "empty.wav").touch()
    fails(tmp_path / "empty.wav", "empty")
    fails(tmp_path, "is a folder")
    fails(tmp_path / ("x" * 300 + ".wav"), "name too long")


@pytest.mark.parametrize("name", ["notes.txt", "notes.wav", "notes.flac", "notes.mp3", "notes.raw"])
def test_text_is_not_audio(tmp_path, name):
    (tmp_path / name).write_text("dear diary\n" * 50)
    fails(tmp_path / name, "not readable as audio")


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_16"),
        (".wav", "FLOAT"),
        (".flac", "PCM_16"),
        (".aiff", "PCM_24"),
        (".ogg", "VORBIS"),
    ],
)
@pytest.mark.parametrize("keep", [0.5, 0.97, -1])
def test_truncated(tmp_path, noise, suffix, subtype, keep):
    path = write_wav(tmp_path / f"cut{suffix}", noise, subtype=subtype)
    io.read(path)  # the whole file is fine
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if keep > 0 else keep])
    fails(path, "truncated|lost sync")


def test_an_ogg_cut_between_two_pages(tmp_path, noise):
    path = write_wav(tmp_path / "cut.ogg", np.tile(noise, 20), subtype="VORBIS")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    fails(path, "truncated")


def test_a_wav_from_a_pipe_has_no_length_and_is_whole(tmp_path, noise):
    path = write_wav(tmp_path / "pipe.wav", noise, subtype="PCM_16")
    data = path.read_bytes()
    place = data.index(b"data") + 4
    for unknown in (0x7FFFF000, 0xFFFFFFFF):
        path.write_bytes(data[:place] + struct.pack("<I", unknown) + data[place + 4 :])
        assert io.read(path)[0].shape == noise.shape


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, noise, bad):
    noise[1, 17] = bad
    fails(write_wav(tmp_path / "bad.wav", noise), "NaN or infinite")


def test_no_samples_and_one_sample(tmp_path, noise):
    fails(write_wav(tmp_path / "none.wav", noise[:, :0]), "holds no samples")
    assert io.read(write_wav(tmp_path / "one.wav", noise[:, :1]))[0].shape == (2, 1)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_sample_rates_that_are_taken(tmp_path, noise, rate):
    assert io.read(write_wav(tmp_path / "a.wav", noise, rate))[1] == rate


@pytest.mark.parametrize("rate", [4_000, 7_999, 192_001, 384_000])
def test_sample_rates_that_are_not(tmp_path, noise, rate):
    fails(write_wav(tmp_path / "a.wav", noise, rate), f"{rate} Hz is outside")


def test_many_channels(tmp_path):
    channels = np.linspace(-1, 1, 32 * 50, dtype=np.float32).reshape(32, 50)
    np.testing.assert_array_equal(io.read(write_wav(tmp_path / "m.wav", channels))[0], channels)


# shapes


def test_one_shape_convention():
    assert io.as_channels(np.zeros(5)).shape == (1, 5)
    assert io.as_channels(np.zeros((3, 5))).dtype == np.float32
    for shape in [(), (1, 2, 3), (0, 5)]:
        with pytest.raises(UnmixError, match="audio must"):
            io.as_channels(np.zeros(shape))


# writing


def test_a_writer_that_fails_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text("old")

    def dies_half_way(error):
        def writer(temporary):
            with open(temporary, "w") as file:
                file.write("half of it")
            raise error

        return writer

    for error in (RuntimeError("bug"), KeyboardInterrupt(), MemoryError()):
        with pytest.raises(type(error)):
            files.write_atomic(path, dies_half_way(error))
    with pytest.raises(UnmixError, match="No space left"):
        files.write_atomic(path, dies_half_way(OSError(28, "No space left on device")))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["answer.json"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UnmixError, match="cannot write"):
        files.write_text(tmp_path / "file" / "answer.json", "{}")
    with pytest.raises(UnmixError, match="cannot write"):
        io.write("/proc/unmix/answer.wav", np.zeros(10), 44_100)


def test_folders_are_made_and_files_replaced(tmp_path):
    path = tmp_path / "new" / "deep" / "chain.json"
    for text in ("first", "zweite Fassung: 30 °"):
        files.write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert path.stat().st_mode & 0o777 == 0o644  # readable to others, unlike a temporary file


def test_the_longest_name_that_the_system_allows(tmp_path):
    path = tmp_path / ("x" * 251 + ".wav")
    io.write(path, np.zeros(10), 44_100)
    assert path.exists()
    with pytest.raises(UnmixError, match="name too long"):
        io.write(tmp_path / ("x" * 252 + ".wav"), np.zeros(10), 44_100)


def test_what_a_format_cannot_hold(tmp_path):
    with pytest.raises(UnmixError, match=r"\.wav or \.flac"):
        io.write(tmp_path / "a.mp3", np.zeros(10), 44_100)
    with pytest.raises(UnmixError, match="9 channels"):
        io.write(tmp_path / "a.flac", np.zeros((9, 10)), 44_100)
    assert list(tmp_path.iterdir()) == []


# resampling and level


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("way", ["up to 44.1 kHz", "from 44.1 kHz"])
def test_resampling_keeps_length_level_and_pitch(rate, way):
    a, b = (rate, 44_100) if way.startswith("up") else (44_100, rate)
    there = io.resample(np.stack([tone(a), -0.5 * tone(a)]), a, b)
    assert there.shape == (2, b) and there.dtype == np.float32
    middle = slice(b // 10, -b // 10)  # the ends ring, as any brick-wall filter does
    error = there[:, middle] - np.stack([tone(b), -0.5 * tone(b)])[:, middle]
    assert io.rms_db(error) < -100


def test_resampling_at_the_same_rate_changes_nothing():
    signal = tone(44_100, 0.1)
    np.testing.assert_array_equal(io.resample(signal, 44_100, 44_100), signal)


def test_level_in_db():
    assert io.rms_db(np.ones(10)) == pytest.approx(0)
    assert io.rms_db(tone(44_100)) == pytest.approx(-3.0103, abs=1e-3)  # a sine's RMS is 1/√2
    assert io.rms_db(0.1 * np.ones(10)) == pytest.approx(-20)
    assert io.rms_db(np.zeros(10)) == pytest.approx(-240)
