"""Several files in a row: Ctrl+C, errors, files."""

import os
import signal
from pathlib import Path

from unmix.analyze import Result
from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.report import answers


def result():
    return Result(Chain(), [(Chain(), 1.0, None)], None, {}, "none")


def test_ctrl_c_keeps_the_answer_and_begins_no_other_file(tmp_path):
    begun, said = [], []

    def work(file, progress, stop):
        begun.append(file.name)
        if file.name == "b":
            os.kill(os.getpid(), signal.SIGINT)
            assert stop()
        return result()

    before = signal.getsignal(signal.SIGINT)
    files = [Path(name) for name in "abcd"]
    entries, stopped = answers.run(files, work, True, tmp_path, said.append)
    assert stopped and begun == ["a", "b"]
    assert [entry["file"] for entry in entries] == ["a", "b"]
    assert (tmp_path / "b.chain.json").exists() and not (tmp_path / "c.chain.json").exists()
    text = "\n".join(map(str, said))
    assert "b: stopped early" in text and "2 of 4 files not begun" in text
    assert signal.getsignal(signal.SIGINT) is before


def test_a_broken_file_does_not_keep_the_others(tmp_path):
    said = []

    def work(file, progress, stop):
        assert not stop()
        if file.name == "a":
            raise UnmixError("a: torn\nin two")
        return result()

    entries, stopped = answers.run([Path("a"), Path("b")], work, False, None, said.append)
    assert not stopped and entries[0] == {"file": "a", "error": "torn in two"}
    assert said[0] == "error: a: torn in two" and "chain" in entries[1]
