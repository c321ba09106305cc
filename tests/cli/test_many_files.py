"""unmix analyze over a folder: a broken file, Ctrl+C, and going on, in real processes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from unmix.audio import io

COUNT = 50
# the command line with an analysis that only measures the level, and writes down what it hears
PROGRAM = """
import sys, time
from pathlib import Path
import unmix.analysis.analyze
import unmix.cli.app
from unmix import effects
from unmix.audio import io
from unmix.chain import Chain

def level(file, progress, stop, **options):
    sound, _ = io.read(file)
    with open(LOG, "a") as log:
        print(file, file=log)
    time.sleep(0.03)
    first = effects.get(effects.names()[0])
    knob = first.knobs[0]
    chain = Chain([(first.name, {knob.name: knob.from_unit(float(abs(sound).max()))})])
    distance = {"mss": 0.25, "esr_db": -12.0}
    return module.Result(
        chain, [(chain, 0.9, 0.25)], {"before": distance, "after": distance}, {}, "probe",
        answer=sound[0],
    )

LOG = sys.argv.pop(1)
module = sys.modules["unmix.analysis.analyze"]
module.analyze = level
unmix.cli.app.main()
"""


@pytest.fixture
def takes(tmp_path):
    """COUNT short recordings in two folders with the same names, and a text file among them."""
    for i in range(COUNT):
        path = tmp_path / "takes" / ("one", "two")[i % 2] / f"take{i // 2:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write(path, np.full(50, (i + 1) / 100), 44_100)
    (tmp_path / "takes/two/broken.wav").write_text("These are words, not sound.")
    return tmp_path


def start(folder, out, *more):
    words = [folder / "log", "analyze", folder / "takes", "-r", "--refine", 1, "--out", out]
    words += ["--no-report", *more]  # the analysis here has no sounds to show
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process) -> str:
    stdout, stderr = process.communicate(timeout=120)
    assert stdout == "" and "Traceback" not in stderr, stderr
    return stderr


def table(out) -> list[dict]:
    document = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert document["total"] == COUNT + 1
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["file"] for line in lines] == [row["file"] for row in document["files"]]
    return [{**row, "seconds": None} for row in document["files"]]


def test_ctrl_c_and_resume_end_with_the_table_of_an_undisturbed_run(takes):
    whole = start(takes, takes / "whole")
    said = finish(whole)
    assert whole.returncode == 1
    assert "1 failed:" in said and "broken.wav: not readable as audio" in said
    undisturbed = table(takes / "whole")
    assert [row["status"] for row in undisturbed].count("done") == COUNT
    assert len({row["results"] for row in undisturbed}) == COUNT + 1
    (takes / "log").unlink()

    broken = start(takes, takes / "out")
    end = time.monotonic() + 60
    while len(list((takes / "out").rglob("*.result.json"))) < 10:
        assert time.monotonic() < end and broken.poll() is None
        time.sleep(0.01)
    os.killpg(broken.pid, signal.SIGINT)
    said = finish(broken)
    assert broken.returncode == 130 and "files not begun" in said
    part = table(takes / "out")
    assert 10 <= len(part) < COUNT
    early = [row for row in part if row["status"] == "stopped early"]
    assert (
        len(early) <= 1 and part[: len(part) - len(early)] == undisturbed[: len(part) - len(early)]
    )

    resumed = start(takes, takes / "out", "--resume")
    finish(resumed)
    assert resumed.returncode == 1
    assert table(takes / "out") == undisturbed
    heard = (takes / "log").read_text().splitlines()
    assert len(heard) == COUNT + len(early)  # nothing else was analysed twice
