"""The console script as users meet it: exit codes, what goes where, and bad input."""

import fcntl
import hashlib
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
import soundfile
import torch

from unmix import effects, weights
from unmix.audio import io, signals
from unmix.chain import Chain
from unmix.data import shards
from unmix.data.reader import Reader


@pytest.fixture
def chain_file(tmp_path):
    path = tmp_path / "chain.json"
    name = effects.names()[0]
    path.write_text(Chain([(name, {})]).to_json())
    return path


@pytest.fixture
def below_a_file(tmp_path):
    """A path that nobody can write, not even root."""
    (tmp_path / "regular").write_text("")
    return tmp_path / "regular" / "sub"


def fails(result, *parts: str) -> None:
    """Exit 1, nothing on stdout, and one line on stderr with ``parts`` in it."""
    assert (result.returncode, result.stdout) == (1, ""), result
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def misused(result, part: str) -> None:
    """Exit 2, nothing on stdout, and a hint on stderr."""
    assert (result.returncode, result.stdout) == (2, ""), result
    assert part in result.stderr and "Usage: unmix" in result.stderr


# --- the program itself --------------------------------------------------------------------------


def test_help_and_effects_answer_at_once(command):
    """Processor time: on a busy machine the clock says more about the others. Beside that of the
    libraries they cannot do without, taken in turn: machines differ, at times from themselves, and
    so do versions."""

    def seconds(*arguments) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    program = "import numba, rich.table, typer\ndef main(name: str = ''): pass\ntyper.run(main)"
    ratios = []
    for _ in range(3):
        needed = seconds(sys.executable, "-c", program)
        ratios.append([seconds(command, words) / needed for words in ("--help", "effects")])
    answers, lists = zip(*ratios, strict=True)
    assert min(answers) < 1 and min(lists) < 2


def test_effects_are_listed_without_torch():
    """torch takes longer to import than everything else together."""
    program = "import sys; from unmix.cli.app import app; app(standalone_mode=False); "
    program += "print('torch' in sys.modules, 'effects' in vars(sys.modules['unmix']))"
    done = subprocess.run(
        [sys.executable, "-c", program, "effects"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False True\n", done.stderr


def test_version(unmix_cli):
    result = unmix_cli("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("unmix 0.")


def test_every_command_has_help_with_an_example(unmix_cli):
    listed = unmix_cli("--help").stdout.partition("Commands:")[2].split("\n  ")
    commands = [line.split()[0] for line in listed if line.strip() and not line.startswith(" ")]
    assert len(commands) == 13
    more = [f"evaluate {name}" for name in ("proxies", "chains", "refine")]
    for command in (*commands, *more):
        result = unmix_cli(*command.split(), "--help")
        assert result.returncode == 0
        assert f"  unmix {command}" in result.stdout.partition("Example")[2], command


def test_wrong_usage(unmix_cli):
    misused(unmix_cli("remix"), "No such command")
    misused(unmix_cli("render", "chain.json"), "Missing argument")
    misused(unmix_cli("probe", "a.wav", "--loud"), "No such option")


def on_a_terminal(command, *arguments, **variables) -> str:
    """What a terminal of 80 columns gets to see."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [command, *arguments],
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm"} | variables,
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65_536):
            seen += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    process.wait()
    return seen.decode()


def test_colours_on_a_terminal_only(command, unmix_cli):
    assert "\x1b[31merror: no effect" in on_a_terminal(command, "effects", "flanger")
    plain = on_a_terminal(command, "effects", "flanger", NO_COLOR="1")
    assert plain.startswith("error: no effect")
    assert unmix_cli("effects", "flanger").stderr.startswith("error: no effect")


# --- effects -------------------------------------------------------------------------------------


def test_effects_table_fits_80_columns(unmix_cli):
    result = unmix_cli("effects")
    assert (result.returncode, result.stdout) == (0, "")
    assert max(map(len, result.stderr.splitlines())) <= 80
    for name in effects.names():
        assert f"{name}: " in result.stderr
        for control in effects.get(name).knobs + effects.get(name).switches:
            assert control.name in result.stderr


def test_effects_json_is_the_whole_panel(unmix_cli):
    name = effects.names()[-1]
    result = unmix_cli("effects", name, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    (document,) = json.loads(result.stdout)
    assert document["name"] == name
    for told, knob in zip(document["knobs"], effects.get(name).knobs, strict=True):
        assert (told["name"], told["low"], told["high"]) == (knob.name, knob.low, knob.high)
        assert (told["unit"], told["scale"], told["default"]) == (
            knob.unit,
            knob.scale,
            knob.default,
        )


def test_effects_picture(unmix_cli, tmp_path):
    name = effects.names()[0]
    result = unmix_cli("effects", name, "--picture", tmp_path / "knobs.png", "--quiet")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert (tmp_path / "knobs.png").read_bytes().startswith(b"\x89PNG")
    assert "--picture" in unmix_cli("effects", name).stderr
    misused(unmix_cli("effects", "--picture", "a.png"), "name it")
    misused(unmix_cli("effects", name, "--picture", "a.jpg"), "ends in .png")


def test_unknown_effect_names_the_known_ones(unmix_cli):
    fails(unmix_cli("effects", "flanger"), "no effect 'flanger'", *effects.names())


# --- probe ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", signals.FIXED_KINDS)
def test_probe_is_written_without_loss(unmix_cli, tmp_path, kind):
    out = tmp_path / "out.wav"
    result = unmix_cli("probe", out, "--kind", kind)
    assert (result.returncode, result.stdout) == (0, "")
    assert "4 s" in result.stderr and f"--source {kind}" in result.stderr
    assert (signals.PROBE_VERSION in result.stderr) == (kind == "probe")
    assert soundfile.info(out).subtype == "PCM_24"
    written, rate = io.read(out)
    assert rate == 44_100
    np.testing.assert_array_equal(written, signals.fixed(kind)[None])


def test_probe_bad_kind_suffix_and_place(unmix_cli, tmp_path, below_a_file):
    fails(unmix_cli("probe", tmp_path / "a.wav", "--kind", "hum"), "no source 'hum'", "impulse")
    fails(unmix_cli("probe", tmp_path / "a.mp3"), "use a name that ends in .wav or .flac")
    fails(unmix_cli("probe", below_a_file / "a.wav"), "cannot write", "a.wav")
    assert [p.name for p in tmp_path.iterdir()] == ["regular"]


# --- render --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (192_000, 3)])
def test_render_keeps_rate_channels_and_length(unmix_cli, chain_file, tmp_path, rate, channels):
    dry = np.random.default_rng(1).uniform(-0.5, 0.5, (channels, 3_001)).astype(np.float32)
    io.write(tmp_path / "in.wav", dry, rate)
    result = unmix_cli("render", chain_file, tmp_path / "in.wav", tmp_path / "out.wav")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    wet, out_rate = io.read(tmp_path / "out.wav")
    assert out_rate == rate
    chain = Chain.from_json(chain_file.read_text())
    np.testing.assert_array_equal(wet, chain.render(dry, rate))


def test_render_warns_of_clipping_in_flac_only(unmix_cli, tmp_path, stereo_file):
    loud = tmp_path / "loud.wav"
    io.write(loud, 2 * np.ones(100), 44_100)
    empty = tmp_path / "empty.json"
    empty.write_text(Chain().to_json())
    assert "are clipped" in unmix_cli("render", empty, loud, tmp_path / "o.flac").stderr
    assert "clipped" not in unmix_cli("render", empty, loud, tmp_path / "o.wav").stderr
    assert io.read(tmp_path / "o.wav")[0].max() == 2
    assert "clipped" not in unmix_cli("render", empty, stereo_file, tmp_path / "o.flac").stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"cut", "truncated"),
        (b"These are words, not sound. " * 20, "not readable as audio"),
    ],
)
def test_render_bad_audio(unmix_cli, chain_file, stereo_file, tmp_path, content, message):
    path = tmp_path / "in.wav"
    if content == b"cut":
        content = stereo_file.read_bytes()[:-5_000]
    if content is not None:
        path.write_bytes(content)
    before = set(tmp_path.iterdir())
    fails(unmix_cli("render", chain_file, path, tmp_path / "out.wav"), str(path), message)
    assert set(tmp_path.iterdir()) == before


def chain_text(name, settings) -> bytes:
    step = {"effect": name, "settings": settings}
    return json.dumps({"format": "unmix-chain", "version": 1, "chain": [step]}).encode()


FIRST = effects.get(effects.names()[0])
KNOB = FIRST.knobs[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not a chain file"),
        (b"[1, 2]", "not a chain file"),
        (chain_text("flanger", {}), "no effect 'flanger'"),
        (chain_text(FIRST.name, {KNOB.name: KNOB.high + 1}), "its range is"),
    ],
)
def test_render_bad_chain(unmix_cli, stereo_file, tmp_path, content, message):
    path = tmp_path / "chain.json"
    if content is not None:
        path.write_bytes(content)
    fails(unmix_cli("render", path, stereo_file, tmp_path / "out.wav"), str(path), message)
    assert not (tmp_path / "out.wav").exists()


def test_render_into_an_unwritable_place(unmix_cli, chain_file, stereo_file, below_a_file):
    fails(unmix_cli("render", chain_file, stereo_file, below_a_file / "o.wav"), "cannot write")


# --- gen-data ------------------------------------------------------------------------------------


def test_gen_data_pairs_with_one_or_two_workers(unmix_cli, tmp_path):
    name = effects.names()[0]
    arguments = ["gen-data", "--effect", name, "--count", 7, "--seed", 3, "--seconds", 0.2]
    for workers in (1, 2):
        out = tmp_path / str(workers)
        result = unmix_cli(*arguments, "--out", out, "--workers", workers)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert "7 items to make: about " in result.stderr and "7/7" in result.stderr
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / w).iterdir()} for w in ("1", "2")
    )
    assert one == two
    reader = Reader(tmp_path / "1")
    assert (reader.manifest["kind"], reader.manifest["effect"]) == ("pairs", name)
    data = reader.load()
    settings = effects.get(name).from_unit(data["knobs"][4], data["switches"][4])
    wet = effects.get(name).render(data["dry"][4], 44_100, settings)
    np.testing.assert_allclose(data["wet"][4], wet, atol=1e-4)


def test_gen_data_chains(unmix_cli, tmp_path):
    out = tmp_path / "set"
    result = unmix_cli("gen-data", "--chains", "--count", 10, "--out", out, "--workers", 2)
    assert result.returncode == 0, result.stderr
    orders = Reader(out).load(["order"])["order"]
    assert (orders[4] >= 0).all() and orders.shape == (10, 5)
    np.testing.assert_array_equal(orders[3][:4], orders[4][:4])  # a family grows step by step


def test_gen_data_chains_on_one_source(unmix_cli, tmp_path):
    out = tmp_path / "set"
    ask = ["gen-data", "--chains", "--count", 9, "--out", out, "--source"]
    result = unmix_cli(*ask, "probe", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert (Reader(out).load(["on_probe"])["on_probe"] == 1).all()
    fails(unmix_cli(*ask, "song"), "no source 'song'; use probe, noise")


def test_candidates_and_the_second_hearing_that_learns_from_them(unmix_cli, tmp_path):
    ask = ["gen-data", "--candidates", "--source", "probe", "--workers", 2, "--out"]
    made = unmix_cli(*ask, tmp_path / "set", "--count", 72)
    assert made.returncode == 0, made.stderr
    train = ["train-reranker", "--data", tmp_path / "set", "--out", tmp_path / "run"]
    trained = unmix_cli(*train, "--steps", 5, "--quiet")
    assert trained.returncode == 0, trained.stderr
    assert "step 5" in trained.stderr and "best held-out loss" in trained.stderr
    assert (tmp_path / "run" / "best.safetensors").exists()
    chains = unmix_cli("gen-data", "--chains", "--count", 9, "--out", tmp_path / "chains")
    assert chains.returncode == 0, chains.stderr
    other = ["train-reranker", "--data", tmp_path / "chains", "--out", tmp_path / "other"]
    fails(unmix_cli(*other), "holds chains, not candidates")


def test_gen_data_dry_run_and_bad_input(unmix_cli, tmp_path, below_a_file):
    name, out = effects.names()[0], tmp_path / "set"
    ask = ["gen-data", "--count", 1000, "--effect"]
    result = unmix_cli(*ask, name, "--out", out, "--dry-run")
    assert (result.returncode, result.stdout) == (0, "")
    assert "1,000 items to make: about 529 MB" in result.stderr
    fails(unmix_cli(*ask, "flanger", "--out", out), "no effect 'flanger'")
    fails(unmix_cli(*ask, name, "--out", below_a_file), "cannot write")
    nowhere = tmp_path / "nowhere"
    fails(unmix_cli(*ask, name, "--out", out, "--sources", nowhere), "nowhere: no such folder")
    assert not out.exists()


def test_gen_data_wrong_usage(unmix_cli, tmp_path):
    ask = ["gen-data", "--count", 5, "--out", tmp_path / "set"]
    misused(unmix_cli(*ask), "give one of --effect NAME, --chains and --candidates")
    misused(unmix_cli(*ask, "--effect", "x", "--chains"), "give one of")
    misused(unmix_cli(*ask, "--chains", "--seconds", 2), "--seconds belongs to --effect")
    misused(unmix_cli(*ask, "--effect", "x", "--source", "probe"), "--source belongs to --chains")
    misused(unmix_cli(*ask, "--chains", "--candidates"), "give one of")
    misused(unmix_cli(*ask, "--candidates", "--seconds", 2), "--seconds belongs to --effect")
    misused(unmix_cli(*ask, "--candidates", "--sources", tmp_path), "--sources does not belong to")
    misused(unmix_cli("gen-data", "--chains", "--count", 0, "--out", "x"), "--count")


def test_ctrl_c_exits_with_130_and_leaves_whole_files(command, tmp_path):
    out = tmp_path / "set"
    process = subprocess.Popen(
        [command, "gen-data", "--chains", "--count", "2000", "--out", str(out), "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not (out / shards.MANIFEST).exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the worker as well
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "run the same command again to go on" in stderr and "Traceback" not in stderr
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


# --- train-proxy ---------------------------------------------------------------------------------


def test_train_proxy_a_few_steps(unmix_cli, tmp_path):
    name, data, out = effects.names()[0], tmp_path / "data", tmp_path / "run"
    made = unmix_cli("gen-data", "--effect", name, "--count", 24, "--seconds", 0.2, "--out", data)
    assert made.returncode == 0, made.stderr
    train = ["train-proxy", "--data", data, "--steps", 2, "--batch", 4, "--device", "cpu"]
    result = unmix_cli(*train, "--effect", name, "--out", out)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "step 2" in result.stderr and "held-out ESR" in result.stderr
    assert (out / "best.safetensors").exists()
    other = effects.names()[1]
    fails(unmix_cli(*train, "--effect", other, "--out", tmp_path / "b"), f"made with {name}")


def test_train_proxy_bad_input(unmix_cli, tmp_path):
    train = ["train-proxy", "--effect", effects.names()[0], "--out", tmp_path / "run"]
    fails(unmix_cli(*train, "--steps", 1, "--data", tmp_path / "nowhere"), "no such folder")
    misused(unmix_cli(*train, "--data", tmp_path), "give --minutes, --steps or both")
    assert not (tmp_path / "run").exists()


# --- env -----------------------------------------------------------------------------------------


def test_env_says_what_a_bug_report_needs(unmix_cli):
    result = unmix_cli("env", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["packages"]["torch"] == torch.__version__
    assert found["devices"][0]["device"] == "cpu" and found["devices"][0]["cores"] >= 1
    assert found["variables"]["OMP_NUM_THREADS"] == "1"
    for name, digest in found["weights"].items():
        assert hashlib.sha256(weights.bundled(name).read_bytes()).hexdigest() == digest
    assert len(found["weights"]) == 2 * len(effects.names()) + 2  # each proxy and head; two more
    result = unmix_cli("env")
    assert (result.returncode, result.stdout) == (0, "")
    assert torch.__version__ in result.stderr and digest[:16] in result.stderr
    assert max(map(len, result.stderr.splitlines())) <= 80


def test_shell_completion_is_offered(unmix_cli):
    assert "--install-completion" in unmix_cli("--help").stdout
