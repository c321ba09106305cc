"""Several files in a row: Ctrl+C, errors, files, what stands from an earlier run."""

import json
import os
import signal
from importlib.metadata import version
from pathlib import Path

import pytest

from unmix.analysis.result import Result
from unmix.audio.signals import PROBE_VERSION
from unmix.chain import Chain
from unmix.cli import batch, console, provenance
from unmix.cli.inputs import Recording
from unmix.errors import UnmixError

OPTIONS = {"refine": 5, "source": "none", "gain": "0"}


def result(**more):
    return Result(Chain(), [(Chain(), 1.0, None)], None, {}, "none", **more)


def recordings(names: str):
    return [Recording(Path(name), name) for name in names]


@pytest.fixture
def takes(tmp_path):
    """Three files a, b, c, the folder for their results, and a log of what is analysed."""
    for name in "abc":
        (tmp_path / name).write_text(f"sound {name}")
    found = [Recording(tmp_path / name, f"sub/{name}") for name in "abc"]
    begun = []

    def run(options=OPTIONS, **more):
        begun.clear()

        def work(file, progress, stop, **options):
            begun.append(file.name)
            return result()

        batch.run(found, work, options, tmp_path / "out", resume=True, **more)
        return "".join(begun)

    return tmp_path, run


def test_ctrl_c_keeps_the_answer_and_begins_no_other_file(tmp_path, capsys):
    begun = []

    def work(file, progress, stop, **options):
        begun.append(file.name)
        if file.name == "b":
            os.kill(os.getpid(), signal.SIGINT)
            assert stop()
        return result()

    before = signal.getsignal(signal.SIGINT)
    entries, stopped = batch.run(recordings("abcd"), work, OPTIONS, tmp_path)
    assert stopped and begun == ["a", "b"]
    assert [entry["made"]["stopped_early"] for entry in entries] == [False, True]
    assert (tmp_path / "b.chain.json").exists() and not (tmp_path / "c.chain.json").exists()
    text = capsys.readouterr().err
    assert "b: stopped early" in text and "2 of 4 files not begun" in text
    assert signal.getsignal(signal.SIGINT) is before


def test_a_broken_file_does_not_keep_the_others(capsys):
    def work(file, progress, stop, **options):
        assert not stop() and options == OPTIONS
        if file.name == "a":
            raise UnmixError("a: torn\nin two")
        return result()

    entries, stopped = batch.run(recordings("ab"), work, OPTIONS)
    assert not stopped and entries[0] == {"file": "a", "error": "torn in two"}
    assert "chain" in entries[1]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error: a: torn in two"
    assert said[-3:] == ["1 of 2 files done", "1 failed:", "  a: torn in two"]


def test_what_is_done_is_not_done_again(takes):
    folder, run = takes
    assert run() == "abc"
    assert run() == ""
    (folder / "b").write_text("another sound")
    assert run() == "b"
    assert run(OPTIONS | {"refine": 6}) == "abc"


def test_another_version_of_the_same_program_changes_nothing(takes, monkeypatch):
    _, run = takes
    assert run() == "abc"
    here = provenance.program()
    monkeypatch.setattr(provenance, "program", lambda: here | {"unmix": "99.0"})
    assert run() == ""


@pytest.mark.parametrize("part", ["code", "weights"])
def test_another_program_makes_every_result_again(takes, monkeypatch, part):
    _, run = takes
    assert run() == "abc"
    here = provenance.program()
    monkeypatch.setattr(provenance, "program", lambda: here | {part: "other"})
    assert run() == "abc"
    assert run() == ""


def test_the_digest_of_the_code_is_of_what_can_change_a_result(tmp_path):
    for name in ("search", "report"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text("x = 1")
    first = provenance.code_digest(tmp_path)
    (tmp_path / "report/module.py").write_text("x = 2")
    assert provenance.code_digest(tmp_path) == first
    (tmp_path / "search/module.py").write_text("x = 2")
    assert provenance.code_digest(tmp_path) != first


def test_results_and_their_table_say_by_which_versions_they_were_made(takes):
    folder, run = takes
    run(summarise=True)
    wanted = {"unmix": version("unmix"), "probe": PROBE_VERSION}
    made = json.loads((folder / "out/sub/a.result.json").read_text())["made"]
    table = json.loads((folder / "out/summary.json").read_text())
    for document in (made, table):
        assert wanted.items() <= document.items()


@pytest.mark.parametrize("file", ["b.chain.json", "b.result.json"])
@pytest.mark.parametrize("damage", [None, "{", "[]", '{"format": "unmix-result"}'])
def test_a_result_that_is_not_whole_is_made_again(takes, file, damage):
    folder, run = takes
    run()
    path = folder / "out/sub" / file
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    assert run() == "b"
    assert run() == ""


def test_a_dry_file_counts_by_its_content(takes):
    folder, run = takes
    dry = folder / "dry"
    dry.write_text("one")
    assert run(OPTIONS | {"source": str(dry)}) == "abc"
    assert run(OPTIONS | {"source": str(dry)}) == ""
    dry.write_text("two")
    assert run(OPTIONS | {"source": str(dry)}) == "abc"


def test_an_answer_that_was_stopped_early_is_no_result(tmp_path):
    (tmp_path / "a").write_text("sound")
    begun = []

    def work(file, progress, stop, **options):
        begun.append(file)
        if len(begun) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return result()

    for _ in range(3):
        found = [Recording(tmp_path / "a", "a")]
        (entry,), _ = batch.run(found, work, OPTIONS, tmp_path, resume=True)
    assert len(begun) == 2 and not entry["made"]["stopped_early"]


def test_quiet_says_errors_and_results_only(tmp_path, capsys):
    def work(file, progress, stop, **options):
        if file.name == "a":
            raise UnmixError("torn")
        return result(notes=["A remark."])

    console.hush(True)
    try:
        batch.run(recordings("ab"), work, OPTIONS, tmp_path, summarise=True)
        batch.run(recordings("b"), work, OPTIONS)
    finally:
        console.hush(False)
        os.environ.pop("TQDM_DISABLE")
    said = capsys.readouterr().err
    assert "error: a: torn" in said and "(no effect)" in said
    for word in ("remark", "wrote", "files done"):
        assert word not in said
