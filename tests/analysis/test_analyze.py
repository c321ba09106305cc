"""Analyze: what the user gives, what is found in it, and what is said about it."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import unmix
from unmix import effects
from unmix.audio import io, signals, synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import MAX_LENGTH, Chain
from unmix.cli.app import app
from unmix.cli.tables import answer
from unmix.errors import UnmixError
from unmix.evaluation.held_out import held_out
from unmix.features.spectra import WINDOW
from unmix.inference.intervals import posterior_intervals
from unmix.networks.model import InverseModel, ModelConfig
from unmix.recording import alignment, checks, windows
from unmix.recording.prepare import prepare
from unmix.runtime import files
from unmix.weights import load_reranker

FIRST, LAST = effects.names()[0], effects.names()[-1]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = ModelConfig((8, 8, 8), 16, 1, 16, 2, 8)
    return InverseModel(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def proxies():
    torch.manual_seed(0)
    return {n: effects.get(n).build_proxy().requires_grad_(False) for n in effects.names()}


@pytest.fixture(scope="module")
def wet():
    return Chain([(FIRST, {}), (LAST, {})]).render(signals.probe(), SAMPLE_RATE)


@pytest.fixture(scope="module")
def dry():
    return synthetic.synthetic(np.random.default_rng(4), 6 * SAMPLE_RATE)


@pytest.fixture
def command(monkeypatch, model, proxies, tmp_path):
    """The command line with an untrained network in a folder of its own."""
    both = model, load_reranker(model.effects)
    monkeypatch.setattr("unmix.weights.bundled_models", lambda: both)
    monkeypatch.setattr("unmix.weights.load_proxy", lambda name, device: proxies[name])
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def noise(seed, samples=WINDOW, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_public_names():
    assert unmix.effects.names() == effects.names()
    assert unmix.Chain is Chain
    assert unmix.probe().size == WINDOW
    assert unmix.__version__.count(".") == 2
    assert callable(unmix.analyze) and callable(unmix.load_proxy)
    with pytest.raises(AttributeError, match="nothing"):
        _ = unmix.nothing


@pytest.mark.parametrize("name", effects.names())
def test_the_probe_is_found_behind_every_effect(name):
    recording = effects.get(name).render(signals.probe(), SAMPLE_RATE, {})
    prepared = prepare(recording + noise(1, level=1e-4), SAMPLE_RATE)
    assert prepared.source == "probe"
    np.testing.assert_array_equal(prepared.pair.source, signals.probe())


@pytest.mark.parametrize("seed", range(3))
def test_the_probe_is_not_found_in_other_sounds(seed):
    other = synthetic.synthetic(np.random.default_rng(seed), WINDOW)
    prepared = prepare(other, SAMPLE_RATE)
    assert prepared.source == "none" and prepared.pair.source is None
    assert "not found" in prepared.pair.notes[0]


@pytest.mark.parametrize("source", ["probe", "synthetic"])
def test_most_random_chains_are_aligned_to_the_sample(source):
    sampler, late, right = held_out(1, source), 4_321, 0
    for i in range(10):
        dry, _, recording = sampler.example(i)
        right += alignment.match(np.pad(recording, (late, 0)), dry).lag == late
    assert right >= 8  # some reverbs have no direct sound


@pytest.mark.parametrize("late", [1, 441, 30_000])
def test_latency_is_found_and_taken_out(wet, late):
    recording = np.concatenate([noise(2, late, 1e-4), wet, noise(3, 5_000, 1e-4)])
    prepared = prepare(recording, SAMPLE_RATE)
    assert prepared.pair.latency == late
    np.testing.assert_array_equal(prepared.pair.recording, wet)
    assert any(f"{late} samples" in note for note in prepared.pair.notes)


def test_a_recording_that_starts_early_gets_silence_in_front(wet):
    prepared = prepare(wet[2_000:], SAMPLE_RATE)
    assert prepared.pair.latency == -2_000
    assert not prepared.pair.recording[:2_000].any()
    np.testing.assert_array_equal(prepared.pair.recording[2_000:], wet[2_000:])


def test_equal_length_counts_as_aligned(wet):
    late = np.concatenate([np.zeros(100, np.float32), wet[:-100]])
    assert prepare(late, SAMPLE_RATE).pair.latency == 0


def test_another_sample_rate_and_equal_channels_change_nothing(wet):
    recording = np.stack([io.resample(wet, SAMPLE_RATE, 96_000)] * 2)
    prepared = prepare(recording, 96_000)
    assert prepared.pair.latency == 0
    error = prepared.pair.recording - wet  # what lies next to the Nyquist frequency is lost
    assert np.square(error).sum() < 0.1 * np.square(wet).sum()
    assert "channels are the same" in prepared.pair.notes[0]


def test_a_missing_tail_is_said_and_left_out_of_the_comparison(wet):
    prepared = prepare(wet[: 3 * SAMPLE_RATE], SAMPLE_RATE, "probe")
    assert prepared.pair.valid == 3 * SAMPLE_RATE
    assert any("missing tail" in note for note in prepared.pair.notes)
    assert prepared.judge.distance(Chain([(FIRST, {}), (LAST, {})])) < 1e-3


def test_an_inverted_polarity_is_inverted_back(wet):
    prepared = prepare(-wet, SAMPLE_RATE)
    np.testing.assert_array_equal(prepared.pair.recording, wet)
    assert any("polarity" in note for note in prepared.pair.notes)
    assert not any("polarity" in note for note in prepare(wet, SAMPLE_RATE).pair.notes)


def test_channels_that_cancel_are_not_mixed(wet):
    mono, notes = checks.to_mono(np.stack([wet, -wet]))
    np.testing.assert_array_equal(mono, wet)
    assert "cancel" in notes[0]


def test_a_gain_is_taken_out(wet):
    prepared = prepare(0.5 * wet, SAMPLE_RATE, "probe", gain=-6.0206)
    np.testing.assert_allclose(prepared.pair.recording, wet, atol=1e-4)
    unknown = prepare(0.5 * wet, SAMPLE_RATE, "probe", gain="auto")
    assert unknown.gain_db is None
    assert unknown.judge.distance(Chain([(FIRST, {}), (LAST, {})])) < 1e-2


def test_the_same_place_of_a_long_file_is_cut_from_both(dry):
    source = np.concatenate([0.001 * dry, dry])
    chain = Chain([(FIRST, {})])  # memoryless, so that the cut does not matter
    recording = chain.render(source, SAMPLE_RATE)
    pair = alignment.align(recording, source)
    assert pair.start > 0 and pair.valid == WINDOW
    np.testing.assert_array_equal(pair.source, source[pair.start : pair.start + WINDOW])
    np.testing.assert_allclose(chain.render(pair.source, SAMPLE_RATE), pair.recording, atol=1e-5)


def test_windows_tell_much_and_do_not_overlap():
    rng = np.random.default_rng(0)
    dry = np.concatenate([noise(1, 10 * WINDOW, 1e-4)])
    for place in (3, 7):  # loud and changing there, hardly anything elsewhere
        steps = np.repeat(10 ** (rng.uniform(-40, 0, 20) / 20), WINDOW // 20)
        dry[place * WINDOW : (place + 1) * WINDOW] += noise(place, WINDOW, 0.3) * steps
    starts = windows.windows(dry, dry)
    assert sorted(round(start / WINDOW) for start in starts[:2]) == [3, 7]
    gaps = np.diff(sorted(starts))
    assert len(starts) == 1 + windows.CHECKS and gaps.min() >= WINDOW
    assert windows.windows(dry[:WINDOW], dry[:WINDOW]) == [0]


def test_a_long_recording_is_checked_where_it_was_not_searched():
    rng = np.random.default_rng(5)
    dry = np.concatenate([synthetic.synthetic(rng, WINDOW) for _ in range(4)])
    true = Chain([("phaser", {"rate": 0.37, "phase": 200.0}), ("reverb", {"room_size": 60.0})])
    result = _refined(true, dry)
    assert len(result.checks) >= 2
    assert max(check["mss"] for check in result.checks) < 0.05
    assert any("not searched" in note for note in result.notes)
    other = _refined(
        true,
        dry,
        wet=np.concatenate([true.render(dry, SAMPLE_RATE)[: 2 * WINDOW], dry[2 * WINDOW :]]),
    )
    assert max(check["mss"] for check in other.checks) > 0.2
    assert any("holds less well" in note for note in other.notes)


def _refined(true, dry, wet=None):
    """The true chain judged on a recording (no step is taken)."""
    import soundfile

    from unmix.analysis.analyze import refine_chain

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dry.wav"
        soundfile.write(file, dry, SAMPLE_RATE, subtype="FLOAT")
        wet = true.render(dry, SAMPLE_RATE) if wet is None else wet
        return refine_chain(true, wet, SAMPLE_RATE, str(file), steps=0)


def test_clipping_is_remarked():
    loud = np.clip(noise(4, WINDOW, 1.0), -1, 1)
    assert "clipped" in checks.check_recording(loud, SAMPLE_RATE)[0]


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (np.zeros(WINDOW), "silent"),
        (np.ones(1), "holds 1 sample"),
        (np.full(WINDOW, np.nan), "NaN"),
        (np.ones((2, 3, 4)), "must be"),
    ],
)
def test_nothing_to_analyse(recording, message):
    with pytest.raises(UnmixError, match=message):
        prepare(recording, SAMPLE_RATE)


def test_a_source_that_has_nothing_to_do_with_the_recording():
    with pytest.raises(UnmixError, match="nothing in common"):
        prepare(noise(5), SAMPLE_RATE, "noise")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"source": "prob"}, "no source"), ({"gain": "loud"}, "gain"), ({"source": "x.wav"}, "no su")],
)
def test_wrong_options(wet, options, message):
    with pytest.raises(UnmixError, match=message):
        prepare(wet, SAMPLE_RATE, **options)


def test_analyze_an_array(wet, model):
    result = unmix.analyze(wet, SAMPLE_RATE, model=model, top=3)
    assert result.source == "probe" and len(result.candidates) == 3
    chains, probabilities, distances = zip(*result.candidates, strict=True)
    assert result.chain == chains[0] and list(probabilities) == sorted(probabilities, reverse=True)
    assert result.distance["after"] == result.distance["before"]
    assert result.distance["after"]["mss"] == distances[0]
    np.testing.assert_array_equal(result.answer, result.chain.render(signals.probe(), SAMPLE_RATE))
    assert set(result.intervals) == set(result.chain.names)


def test_blind(wet, model):
    result = unmix.analyze(wet, SAMPLE_RATE, source="none", refine=5, model=model)
    assert result.distance is None and result.answer is None
    probabilities = [p for _, p, _ in result.candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    assert any("Refine was left out" in note for note in result.notes)


def test_the_same_seed_gives_the_same_answer(wet, model):
    a, b = (unmix.analyze(wet, SAMPLE_RATE, seed=7, model=model) for _ in range(2))
    assert a.to_dict() == b.to_dict()


@pytest.mark.parametrize("name", effects.names())
def test_intervals_hold_ninety_percent(name, model):
    head = model.heads[name]
    nothing = torch.full((1, MAX_LENGTH), -1)
    hidden, _ = head(torch.zeros(1, head.join.out_features), nothing)
    mixture = head.mixture(hidden, torch.zeros(1, len(head.options), dtype=torch.long))
    found = posterior_intervals(name, mixture, torch.Generator().manual_seed(0))
    draws = mixture.sample(2_000, torch.Generator().manual_seed(1))[:, 0]
    for knob, u in zip(effects.get(name).knobs, draws.unbind(1), strict=True):
        low, high = found[knob.name]
        values = knob.from_unit(u.double())
        inside = (values >= low) & (values <= high)
        if low > high:
            inside = (values >= low) | (values <= high)
        assert 0.85 < inside.double().mean() < 0.95


def test_the_table_fits_in_80_columns(wet, model):
    for source in ("probe", "none"):
        result = unmix.analyze(wet, SAMPLE_RATE, source=source, model=model)
        result.chain = Chain((name, {}) for name in effects.names())
        text = answer.as_text(result, "take.wav")
        assert max(map(len, text.splitlines())) <= 80
        for name in effects.names():
            assert name in text


def test_command_with_good_and_bad_files(command, wet, dry):
    io.write("a.wav", wet, SAMPLE_RATE)
    io.write("b.wav", np.zeros(WINDOW), SAMPLE_RATE)
    done = command("analyze", "b.wav", "a.wav", "gone.wav", "--json", "--out", "answers")
    assert done.exit_code == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert errors[0].startswith("error: b.wav: is silent") and len(errors) == 2
    assert errors[1] == "error: gone.wav: no such file"
    document = json.loads(done.stdout)
    assert [("error" in entry) for entry in document["files"]] == [True, False, True]
    chain = Chain.from_json(Path("answers/a.chain.json").read_text(encoding="utf-8"))
    assert [s["effect"] for s in document["files"][1]["chain"]] == list(chain.names)
    answer, rate = io.read("answers/a.answer.wav")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(answer[0], chain.render(signals.probe(), SAMPLE_RATE))
    page = Path("answers/a.report.html").read_text(encoding="utf-8")
    assert "<title>a – unmix</title>" in page and not list(Path("answers").glob("*.png"))


def test_report_and_pictures_are_made_when_asked_for(command, wet):
    io.write("a.wav", wet, SAMPLE_RATE)
    assert command("analyze", "a.wav", "--out", "o", "--no-report").exit_code == 0
    assert not Path("o/a.report.html").exists()
    assert command("analyze", "a.wav").exit_code == 0 and not list(Path().glob("a.*.*"))
    done = command("analyze", "a.wav", "--source", "none", "--report", "--plots")
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path().glob("a.*.*")} >= {"a.report.html", "a.spectrograms.png"}


def test_the_excerpt_holds_what_was_compared(wet, dry, model):
    late = np.concatenate([np.zeros(2 * SAMPLE_RATE, np.float32), wet, np.zeros(9_000, np.float32)])
    result = unmix.analyze(late, SAMPLE_RATE, source="probe", model=model)
    excerpt = result.excerpt
    assert excerpt.recording.shape == excerpt.source.shape == excerpt.answer.shape
    assert excerpt.start_s == 0 and excerpt.whole_s == pytest.approx(4, abs=0.3)
    error = np.square(excerpt.recording - excerpt.answer, dtype=np.float64).sum()
    share_db = 10 * np.log10(error / np.square(excerpt.recording, dtype=np.float64).sum())
    assert share_db == pytest.approx(result.distance["after"]["esr_db"], abs=0.01)
    blind = unmix.analyze(late, SAMPLE_RATE, source="none", model=model).excerpt
    assert blind.source is None and blind.answer is None
    assert blind.whole_s == pytest.approx(late.size / SAMPLE_RATE)


def test_command_with_a_dry_file_at_another_rate(command, dry):
    source = io.resample(dry, SAMPLE_RATE, 48_000)
    io.write("dry.wav", source, 48_000)
    io.write("wet.wav", Chain([(FIRST, {})]).render(source, 48_000), 48_000)
    done = command("analyze", "wet.wav", "--source", "dry.wav", "--out", "answers")
    assert done.exit_code == 0, done.output
    answer, rate = io.read("answers/wet.answer.wav")
    assert rate == 48_000 and answer.shape == (1, source.size)


def test_refine_command(command, wet):
    start = Chain([(FIRST, {}), (LAST, {"dry_wet": 60})])
    io.write("take.wav", wet, SAMPLE_RATE)
    files.write_text("start.json", start.to_json())
    done = command("refine", "start.json", "take.wav", "--steps", "3", "--json")
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(done.stdout)["files"]
    assert entry["distance"]["after"]["mss"] <= entry["distance"]["before"]["mss"]
    assert [s["effect"] for s in entry["chain"]] == [FIRST, LAST]


def test_steps_alone_have_a_time_too(command, wet, monkeypatch):
    start = Chain([(FIRST, {}), (LAST, {"dry_wet": 60})])
    io.write("take.wav", wet, SAMPLE_RATE)
    files.write_text("start.json", start.to_json())
    monkeypatch.setattr("unmix.cli.options.REFINE_S", 0.01)
    monkeypatch.setattr("unmix.cli.options.REFINE_S_PER_STEP", 0.001)
    words = "refine", "start.json", "take.wav", "--steps", "200"
    short = command(*words)
    assert short.exit_code == 0 and "Time was up" in " ".join(short.stderr.split())
    longer = command(*words, "--time", "600", "--json")
    assert "Time was up" not in longer.stdout and longer.exit_code == 0


def test_wrong_usage(command, wet):
    io.write("a.wav", wet, SAMPLE_RATE)
    assert command("analyze", "a.wav", "--refine", "-1").exit_code == 2
    for words, message in (
        (("--resume",), "--out"),
        (("--gain", "loud"), "number of dB"),
        (("--source", "prob"), "no source 'prob'"),
        (("--time", "0"), "--time must be above 0"),
        (("--device", "abacus"), "no device 'abacus'; use cpu"),
        (("--device", "cuda:77"), "finds cpu"),
    ):
        done = command("analyze", "a.wav", *words)
        said = " ".join(done.stderr.replace("│", " ").split())
        assert done.exit_code == 2 and message in said, said
    done = command("analyze", "a.wav", "a.wav", "--source", "gone.wav")
    assert (done.exit_code, done.stderr) == (1, "error: gone.wav: no such file\n")
    files.write_text("file", "in the way")
    blocked = command("analyze", "a.wav", "--out", "file/below")
    assert blocked.exit_code == 1
    assert "cannot write" in blocked.stderr
