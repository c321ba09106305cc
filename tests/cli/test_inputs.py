"""What the user names becomes recordings, and each gets a place of its own for its results."""

from pathlib import Path

import pytest

from unmix.cli.inputs import find

FILES = (
    "a/x.wav",
    "a/deep/x.wav",
    "a/deep/Z.FLAC",
    "b/x.wav",
    "b/y.flac",
    "b/y.wav",
    "b/notes.txt",
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in (*FILES, "a/.hidden.wav", "a/.git/z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)


def names(*words, **options):
    found, _ = find(words, **options)
    assert not any(recording.fault for recording in found)
    return {str(recording.path): recording.name for recording in found}


def test_a_file_and_a_folder():
    assert names("a/x.wav") == {"a/x.wav": "x"}
    assert names("a") == {"a/x.wav": "x"}
    below = {"a/deep/Z.FLAC": "deep/Z", "a/deep/x.wav": "deep/x", "a/x.wav": "x"}
    assert names("a", recursive=True) == below


def test_globs_that_the_shell_left_alone():
    assert names("a/*.wav") == {"a/x.wav": "x"}
    assert names("a/**/*.wav") == {"a/deep/x.wav": "deep/x", "a/x.wav": "x"}
    assert list(names("?/*.flac", "a/x.wav")) == ["b/y.flac", "a/x.wav"]


def test_a_file_with_a_wild_name_is_that_file():
    Path("b/take[1].wav").touch()
    assert names("b/take[1].wav") == {"b/take[1].wav": "take[1]"}


def test_no_two_recordings_share_their_results():
    assert names("a/x.wav", "b/x.wav") == {"a/x.wav": "a/x", "b/x.wav": "b/x"}
    both = {"b/x.wav": "x", "b/y.flac": "y.flac", "b/y.wav": "y.wav"}
    assert names("b") == both
    Path("b/X.wav").touch()
    Path("c").mkdir()
    Path("c/y.WAV").touch()
    everything = names("a", "b", "c", recursive=True)
    assert everything["b/X.wav"] == "X.wav" and everything["c/y.WAV"] == "y"
    assert len(everything) == 8 and len(set(everything.values())) == 8


def test_named_twice_is_done_once():
    found, remarks = find(["a/x.wav", "a", "./a/../a/x.wav"])
    assert [str(recording.path) for recording in found] == ["a/x.wav"]
    assert remarks == ["Named more than once, done once: 2 files."]


def test_what_is_left_out_is_said():
    _, remarks = find(["b"])
    assert len(remarks) == 1 and remarks[0].startswith("Left out of folders: 1 file without")


def test_nothing_found_is_a_fault():
    faults = {str(r.path): r.fault for r in find(["empty", "no*.wav", "gone.wav"])[0]}
    assert "no audio files" in faults["empty"] and "--recursive" in faults["empty"]
    assert faults["no*.wav"] == "no file matches"
    assert faults["gone.wav"] == ""  # whoever reads it will say so


def test_results_are_not_taken_for_recordings():
    for name in ("a/x.result.json", "a/x.answer.wav", "a/out/x.answer.wav", "a/out/more/y.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert names("a") == {"a/x.wav": "x"}
    assert "a/out/more/y.wav" not in names("a", recursive=True, results=Path("a/out"))
