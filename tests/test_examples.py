"""The examples run as their documentation says."""

import os
import subprocess
import sys
from pathlib import Path

RESEARCH = Path(__file__).parent.parent / "examples" / "research"


def test_the_study_prints_a_table(tmp_path, unmix_cli):
    made = unmix_cli("gen-data", "--chains", "--count", 5, "--out", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    options = {"--data": tmp_path / "data", "--out": tmp_path, "--steps": 1, "--seeds": 2}
    arguments = [str(x) for pair in {**options, "--count": 5}.items() for x in pair]
    done = subprocess.run(
        [sys.executable, RESEARCH / "study.py", "geometry", *arguments, "--batch", "4"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = done.stdout.splitlines()
    assert rows[-2].startswith("| hyperbolic |") and rows[-1].startswith("| euclidean |")
    assert all(row.count("±") == 8 for row in rows[-2:])


def test_the_loss_of_the_bundled_weights_is_far_below_chance():
    done = subprocess.run(
        [sys.executable, RESEARCH / "chain_loss.py", "--count", "10"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    head, _, *lines = done.stdout.splitlines()
    assert head == "| weights | loss | probe | known | hidden |"
    rows = {name.strip(): cells for _, _, name, *cells, _ in (line.split("|") for line in lines)}
    assert list(rows) == ["chain", "knobs", "knob error"]
    probe, known, hidden = (float(x) for x in rows["chain"])
    assert 0 < probe < known < hidden < 5  # 5.16 by chance: 5 to 102 chains of each length
    probe, known, hidden = (float(x) for x in rows["knobs"])
    assert probe < known < hidden
    probe, known, hidden = (float(x) for x in rows["knob error"])
    assert 0 < probe < known < hidden < 0.25  # 0.25 by chance: the mean knob


def test_the_time_of_a_first_answer():
    done = subprocess.run(
        [sys.executable, RESEARCH / "first_answer.py", "--count", "1"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    _, _, *rows = done.stdout.splitlines()
    names, means = zip(*(row.split("|")[1:3] for row in rows), strict=True)
    assert [name.strip() for name in names] == [
        *(f"probe, {length}" for length in range(1, 6)),
        "probe-eq-ott.flac",
        "3 minutes, dry file",
    ]
    assert all(0 < float(mean) < 100 for mean in means)
