"""gen-data's engine: the same bytes however it was run, and a clear line when it cannot run."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import namedtuple
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from unmix.audio.signals import PROBE_VERSION
from unmix.data import fingerprint, plan, reader, shards
from unmix.data.generate import estimate, generate
from unmix.errors import UnmixError

COUNT, SHARD = 37, 8


class Sampler:
    """Single items of noise; ``delay`` seconds each."""

    def __init__(self, seed: int = 1, delay: float = 0.0, kind: str = "fake"):
        self.config = {"kind": kind, "seed": seed}
        self.delay = delay

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.config).encode()).hexdigest()

    def item(self, i: int) -> dict[str, np.ndarray]:
        time.sleep(self.delay)
        rng = np.random.default_rng([self.config["seed"], i])
        return {"wave": rng.random(50, np.float32), "number": np.array(i)}


class Families(Sampler):
    """Three items a family."""

    family_size = 3

    def family(self, j: int) -> list[dict[str, np.ndarray]]:
        return [{"family": np.array(j), "member": np.array(k)} for k in range(3)]


class Threads(Sampler):
    """What a worker sees of the thread settings."""

    def item(self, i):
        return {"threads": np.array(int(os.environ["OMP_NUM_THREADS"]))}


class Broken(Sampler):
    def item(self, i):
        if i == 11:
            raise UnmixError("take.wav: not readable as audio")
        return super().item(i)


class Dying(Sampler):
    def item(self, i):
        if i == 11:
            os._exit(9)
        return super().item(i)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def script(out, body: str = "") -> list[str]:
    """A process of its own that makes the slow data set; several seconds of work."""
    code = (
        "from test_generate import *\n"
        f"{body}\n"
        f"generate(Sampler(delay=0.1), COUNT, {str(out)!r}, workers=2, shard_items=SHARD)"
    )
    return [sys.executable, "-c", code]


def start(out, body: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        script(out, body), cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listing.stdout.splitlines()[1:])
    return [int(child) for child, parent in rows if int(parent) == pid]


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken") / "set"
    generate(Sampler(), COUNT, out, workers=1, shard_items=SHARD)
    return contents(out)


def test_items_are_the_samplers(tmp_path):
    lines = []
    manifest = generate(Sampler(), 12, tmp_path, workers=1, shard_items=5, say=lines.append)
    data = reader.Reader(tmp_path).load()
    np.testing.assert_array_equal(data["number"], np.arange(12))
    np.testing.assert_array_equal(data["wave"][7], Sampler().item(7)["wave"])
    assert [record["count"] for record in manifest["shards"]] == [5, 5, 2]
    assert (manifest["seed"], manifest["kind"], manifest["count"]) == (1, "fake", 12)
    assert lines[0].startswith("12 items to make: about ")


def test_three_workers_give_the_bytes_of_one(tmp_path, unbroken):
    generate(Sampler(), COUNT, tmp_path, workers=3, shard_items=SHARD)
    assert contents(tmp_path) == unbroken


def test_sigkill_and_resume_give_the_bytes_of_an_unbroken_run(tmp_path, unbroken):
    out = tmp_path / "set"
    process = start(out)
    wait_for(lambda: (out / shards.shard_name(1)).exists())
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not json.loads((out / shards.MANIFEST).read_text())["complete"]
    with pytest.raises(UnmixError, match="unfinished"):
        reader.Reader(out)
    wait_for(lambda: not any(running(pid) for pid in workers), 5)  # nobody is left behind

    (out / ".shard-00002-x1.safetensors").write_bytes(b"half a shard")  # as a kill may leave it
    first = (out / shards.shard_name(0)).stat().st_mtime_ns
    lines = []
    generate(Sampler(), COUNT, out, workers=1, say=lines.append)
    assert contents(out) == unbroken
    assert (out / shards.shard_name(0)).stat().st_mtime_ns == first, "a whole shard was made twice"
    assert "are there" in lines[0]


def test_ctrl_c_stops_cleanly_and_the_run_can_go_on(tmp_path, unbroken):
    out = tmp_path / "set"
    body = (
        "import functools\n"
        "generate = functools.partial(generate, say=lambda line: print(line, file=sys.stderr))"
    )
    process = start(out, body)
    wait_for(lambda: (out / shards.shard_name(0)).exists())
    for pid in [process.pid, *children(process.pid)]:  # as a terminal does: to the whole group
        os.kill(pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert "run the same command again to go on" in errors
    assert errors.count("Traceback") == 1  # the script's own KeyboardInterrupt, none of a worker
    generate(Sampler(), COUNT, out, workers=2)
    assert contents(out) == unbroken


def test_damaged_shard_is_made_again_and_whole_set_left_alone(tmp_path, unbroken):
    generate(Sampler(), COUNT, tmp_path, workers=1, shard_items=SHARD)
    lines = []
    generate(Sampler(), COUNT, tmp_path, workers=1, say=lines.append)
    assert lines == [f"{tmp_path}: complete, 37 items, every hash is right; nothing to do"]
    path = tmp_path / shards.shard_name(3)
    path.write_bytes(bytes(path.stat().st_size))
    generate(Sampler(), COUNT, tmp_path, workers=1)
    assert contents(tmp_path) == unbroken


def test_a_set_can_grow_but_not_shrink(tmp_path, unbroken):
    generate(Sampler(), 20, tmp_path, workers=1, shard_items=SHARD)
    generate(Sampler(), COUNT, tmp_path, workers=1)
    assert contents(tmp_path) == unbroken
    with pytest.raises(UnmixError, match="is a set of 37 items, more than 20"):
        generate(Sampler(), 20, tmp_path)


def test_shards_hold_whole_families(tmp_path):
    manifest = generate(Families(), 16, tmp_path, workers=2, shard_items=4)
    assert manifest["shard_items"] == 6
    data = reader.Reader(tmp_path).load()
    np.testing.assert_array_equal(data["family"] * 3 + data["member"], np.arange(16))


def test_workers_have_one_thread(tmp_path):
    before = os.environ.get("OMP_NUM_THREADS")
    generate(Threads(), 2, tmp_path, workers=1)
    assert reader.Reader(tmp_path).load()["threads"].tolist() == [1, 1]
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize(
    ("sampler", "shard_items", "message"),
    [
        (Sampler(seed=2), None, "holds data of seed 1, not 2; use another folder"),
        (Sampler(kind="other"), None, "holds data of kind 'fake', not 'other'"),
        (Sampler(), 4, "has shards of 8 items, not 4"),
    ],
)
def test_other_settings_in_the_same_folder(tmp_path, unbroken, sampler, shard_items, message):
    for name, data in unbroken.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UnmixError, match=message):
        generate(sampler, COUNT, tmp_path, shard_items=shard_items)
    assert contents(tmp_path) == unbroken


def test_another_version_that_makes_the_same_items_goes_on_with_them(tmp_path, monkeypatch):
    """What decides items is in the fingerprint; the version number alone decides nothing."""
    generate(Sampler(), 20, tmp_path, workers=1, shard_items=SHARD)
    first = (tmp_path / shards.shard_name(0)).stat().st_mtime_ns
    monkeypatch.setattr(fingerprint, "version", lambda package: "99.0")
    manifest = generate(Sampler(), COUNT, tmp_path, workers=1)
    assert (tmp_path / shards.shard_name(0)).stat().st_mtime_ns == first
    assert manifest["complete"] and manifest["unmix"] == "99.0"


def test_a_manifest_names_the_versions_of_program_and_probe(unbroken):
    manifest = json.loads(unbroken[shards.MANIFEST])
    assert manifest["unmix"] == version("unmix") and manifest["probe"] == PROBE_VERSION


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UnmixError, match="not a data set"):
        generate(Sampler(), 4, tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnmixError, match="file is not a folder"):
        generate(Sampler(), 4, tmp_path / "file" / "set")
    with pytest.raises(UnmixError, match="file is not a folder"):
        generate(Sampler(), 4, tmp_path / "file")


def test_second_run_into_the_same_folder(tmp_path):
    with shards.locked(tmp_path), pytest.raises(UnmixError, match="another run is writing here"):
        generate(Sampler(), 4, tmp_path, workers=1)


def test_dry_run_writes_nothing(tmp_path):
    lines = []
    out = tmp_path / "set"
    assert estimate(Sampler(), 10**6, out, workers=2, say=lines.append) is None
    assert lines[0].startswith("1,000,000 items to make: about 208 MB (")
    assert "with workers: 2" in lines[0]
    assert not out.exists()


def test_small_disk_is_found_out_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(plan, "disk_usage", lambda path: usage(10**6))
    with pytest.raises(UnmixError, match=r"needs about 208 MB, but only 1 MB are free"):
        generate(Sampler(), 10**6, tmp_path / "set", workers=1)
    assert not (tmp_path / "set").exists()


def test_disk_that_fills_up_leaves_whole_files_only(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))  # the manifest fits, no shard does
    try:
        with pytest.raises(
            UnmixError, match=r"cannot write .*shard-00000\.safetensors: File too large"
        ):
            generate(Sampler(), COUNT, tmp_path, workers=1, shard_items=SHARD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(contents(tmp_path)) == [shards.MANIFEST]


def test_fault_in_a_worker_is_told_and_whole_shards_are_kept(tmp_path):
    with pytest.raises(UnmixError, match=r"^take\.wav: not readable as audio$"):
        generate(Broken(delay=0.1), COUNT, tmp_path, workers=2, shard_items=5)
    assert [r["first"] for r in reader.read_manifest(tmp_path)["shards"]] == [0, 5]


def test_worker_that_dies_is_told(tmp_path):
    with pytest.raises(UnmixError, match="a worker process died"):
        generate(Dying(delay=0.1), COUNT, tmp_path, workers=1, shard_items=5)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (80, "80 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_time_text(seconds, text):
    assert plan._time_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (208e6, "208 MB"), (11.4e9, "11.4 GB"), (2e12, "2,000 GB")]
)
def test_bytes_text(count, text):
    assert plan._bytes_text(count) == text
