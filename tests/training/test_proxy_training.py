"""The loop on a tiny model, and proxy training on pairs that lie in memory."""

import json
import math
import os
import signal
import threading
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unmix import effects, weights
from unmix.audio.signals import PROBE_VERSION
from unmix.data import fingerprint
from unmix.errors import UnmixError
from unmix.networks import checkpoint
from unmix.training import FitConfig, Task, fit
from unmix.training.progress import read_metrics
from unmix.training.proxy import ProxyTraining, batch_loss, esr_db, load_batch, split, train_proxy


class Pairs:
    """Pairs of an effect on noise."""

    def __init__(self, name, count=32, samples=4_000, seed=3):
        rng, fx = np.random.default_rng(seed), effects.get(name)
        self.count, self.manifest = count, {"effect": name, "fingerprint": f"{name}-{seed}"}
        dry = rng.uniform(-0.5, 0.5, (count, samples)).astype(np.float32)
        settings = [fx.sample(rng) for _ in range(count)]
        knobs, switches = zip(*(fx.to_unit(s) for s in settings), strict=True)
        wet = [fx.render(d, 44_100, s) for d, s in zip(dry, settings, strict=True)]
        self.arrays = {"dry": dry, "wet": wet, "knobs": knobs, "switches": switches}
        self.arrays = {name: np.stack(value) for name, value in self.arrays.items()}

    def load(self, names, indices):
        return {name: self.arrays[name][indices] for name in names}


def line_fit(run_dir, steps=40, on_step=None, **options):
    """Fit y = 3x - 1 with a linear layer; the result and the layer."""
    torch.manual_seed(0)
    layer = nn.Linear(1, 1)

    def step_fn(step, rng):
        if on_step:
            on_step(step)
        x = torch.from_numpy(rng.uniform(-1, 1, (16, 1)).astype(np.float32))
        noise = 0.01 * torch.randn(16, 1)
        loss = (layer(x) - (3 * x - 1) + noise).square().mean()
        return loss, {}

    def validate_fn():
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"error": float((layer(x) - (3 * x - 1)).square().mean())}

    defaults = {"learning_rate": 0.3, "validate_every": 10, "log_every": 5}
    config = FitConfig(steps=steps, **(defaults | options))
    return fit(layer, Task(step_fn, validate_fn, "error"), run_dir, config), layer


class Killed(Exception):
    pass


def killer(at):
    def on_step(step):
        if step == at:
            raise Killed

    return on_step


# the loop


def test_it_learns_and_leaves_the_files_of_a_run(tmp_path, capsys):
    result, _ = line_fit(tmp_path)
    assert result.finished and result.step == 40
    assert result.best < 0.1
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "last.safetensors", "best.safetensors", "metrics.jsonl", "curves.png", "config.json"
    }  # fmt: skip
    lines = read_metrics(tmp_path / "metrics.jsonl")
    held_out = [line["held_out"]["error"] for line in lines if "held_out" in line]
    assert len(held_out) == 4 and min(held_out) == result.best
    assert [line["step"] for line in lines if "loss" in line] == list(range(5, 41, 5))
    captured = capsys.readouterr()
    assert captured.out == "" and "step 40: held out" in captured.err


def test_best_is_the_lowest_and_not_the_last(tmp_path):
    """A rate that grows without end spoils the later steps."""
    line_fit(tmp_path, learning_rate=0.3, final_share=60.0)
    _, about = checkpoint.read(tmp_path / "best.safetensors")
    assert (about["unmix"], about["probe"]) == (version("unmix"), PROBE_VERSION)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    figures = {line["step"]: line["held_out"]["error"] for line in lines if "held_out" in line}
    assert about["step"] == min(figures, key=figures.get) < 40


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    line_fit(tmp_path / "whole")
    with pytest.raises(Killed):
        line_fit(tmp_path / "broken", on_step=killer(27))
    result, _ = line_fit(tmp_path / "broken")
    assert result.step == 40
    for name in ("last.safetensors", "best.safetensors"):
        one, other = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    steps = [line["step"] for line in read_metrics(tmp_path / "broken" / "metrics.jsonl")]
    assert steps == [line["step"] for line in read_metrics(tmp_path / "whole" / "metrics.jsonl")]


def test_a_finished_run_is_left_alone_and_a_larger_budget_continues_it(tmp_path):
    line_fit(tmp_path)
    again, _ = line_fit(tmp_path)
    assert again.finished and again.step == 40
    longer, _ = line_fit(tmp_path, steps=60)
    assert longer.step == 60


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    line_fit(tmp_path)
    with pytest.raises(UnmixError, match=r"other settings \(learning_rate\)"):
        line_fit(tmp_path, learning_rate=0.1)


def test_ctrl_c_saves_and_the_same_call_goes_on(tmp_path):
    def interrupt(step):
        if step == 13:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result, _ = line_fit(tmp_path, on_step=interrupt)
    assert not result.finished and result.step == 14
    assert signal.getsignal(signal.SIGINT) is before
    result, _ = line_fit(tmp_path)
    assert result.finished and result.step == 40


def test_it_runs_outside_the_main_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(line_fit(tmp_path, steps=5)[0]))
    thread.start()
    thread.join()
    assert results[0].finished


def test_a_loss_that_is_not_finite_is_an_error_and_not_a_checkpoint(tmp_path):
    with pytest.raises(UnmixError, match=r"the loss is (nan|inf) at step"):
        line_fit(tmp_path, learning_rate=1e25, steps=30)
    tensors, _ = (
        checkpoint.read(tmp_path / "best.safetensors") if list(tmp_path.glob("b*")) else ({}, 0)
    )
    assert all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    line_fit(tmp_path)
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7] if damage is None else damage)
    with pytest.raises(UnmixError, match=r"last.safetensors: not a checkpoint"):
        line_fit(tmp_path)


def test_a_metrics_line_cut_short_is_dropped(tmp_path):
    line_fit(tmp_path)
    path = tmp_path / "metrics.jsonl"
    whole = read_metrics(path)
    path.write_text(path.read_text()[:-9])
    assert read_metrics(path) == whole[:-1]


def test_schedule_and_budget():
    config = FitConfig(steps=100, minutes=1, learning_rate=1.0, warmup=0.1, final_share=0.01)
    assert config.progress(50, 0) == 0.5
    assert config.progress(50, 45) == 0.75  # whichever comes first
    assert config.progress(500, 0) == 1
    assert config.rate(0) == pytest.approx(0.01)
    assert config.rate(0.1) == pytest.approx(1)
    assert config.rate(0.55) == pytest.approx(0.505)
    assert config.rate(1) == pytest.approx(0.01)
    assert replace(config, geometric=True).rate(0.55) == pytest.approx(0.1)
    for budget in ({}, {"steps": 0}, {"minutes": -1}):
        with pytest.raises(UnmixError, match="budget"):
            FitConfig(**budget)


# proxies


def test_split_is_disjoint_complete_and_fixed_by_the_seed():
    train, held_out = split(500, seed=4)
    assert len(held_out) == 50
    assert sorted([*train, *held_out]) == list(range(500))
    np.testing.assert_array_equal(split(500, seed=4)[1], held_out)
    assert set(split(500, seed=5)[1]) != set(held_out)
    with pytest.raises(UnmixError, match="too few"):
        split(15, seed=0)


class Half(nn.Module):
    """Half of the true answer: an error-to-signal ratio of 1/4."""

    def __init__(self, wet):
        super().__init__()
        self.wet = wet

    def forward(self, audio, knobs, switches):
        return self.wet / 2


def test_the_loss_is_the_error_to_signal_ratio_in_decibels():
    batch = load_batch(Pairs("eq"), np.arange(4), "cpu")
    proxy = Half(batch["wet"])
    loss, figures = batch_loss(proxy, batch)
    assert loss.item() == pytest.approx(10 * math.log10(0.25), abs=1e-4)
    assert figures["esr_db"] == pytest.approx(loss.item())
    assert batch_loss(proxy, batch, mss_weight=1)[0] > loss
    proxy.auxiliary_loss = lambda dry, wet, knobs, switches: torch.tensor(7.0)
    assert batch_loss(proxy, batch)[0].item() == pytest.approx(loss.item() + 7)


@pytest.mark.parametrize("name", ["saturator", "reverb"])
def test_training_improves_a_proxy_and_its_weights_load(tmp_path, name):
    pairs = Pairs(name)
    training = ProxyTraining(steps=60, batch=8, device="cpu", validate_every=20)
    result = train_proxy(name, pairs, tmp_path, training)
    held_out = split(pairs.count, 0)[1]
    torch.manual_seed(0)
    untrained = esr_db(effects.get(name).build_proxy(), pairs, held_out).mean()
    assert result.best < untrained - 3
    proxy = weights.load_proxy(name, path=tmp_path / "best.safetensors")
    assert not proxy.training and not any(p.requires_grad for p in proxy.parameters())
    assert esr_db(proxy, pairs, held_out).mean() == pytest.approx(result.best, abs=1e-3)


def test_pairs_of_another_effect_are_refused(tmp_path):
    with pytest.raises(UnmixError, match="made with eq, not with reverb"):
        train_proxy("reverb", Pairs("eq"), tmp_path, ProxyTraining(steps=1))


def test_pairs_of_other_controls_are_refused(tmp_path):
    pairs = Pairs("eq")
    pairs.manifest["config"] = {"controls": fingerprint.controls(["eq"])}
    pairs.manifest["config"]["controls"]["eq"][0]["high"] += 1
    with pytest.raises(UnmixError, match="other controls of eq; make them again"):
        train_proxy("eq", pairs, tmp_path, ProxyTraining(steps=1))


def test_wandb_missing_is_said_plainly(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UnmixError, match="wandb is not installed"):
        train_proxy("reverb", Pairs("reverb"), tmp_path, ProxyTraining(steps=1, wandb=True))


# bundled weights


def test_weights_that_are_missing_or_of_another_effect(tmp_path):
    with pytest.raises(UnmixError, match="no weights for the proxy of eq"):
        weights.load_proxy("eq", path=tmp_path / "none.safetensors")
    path = weights.save_proxy(effects.get("reverb").build_proxy(), "reverb", {}, tmp_path)
    assert path.name == "reverb-proxy.safetensors"
    weights.load_proxy("reverb", path=path)
    with pytest.raises(UnmixError, match="does not fit this model"):
        weights.load_proxy("eq", path=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnmixError, match="not a checkpoint"):
        weights.load_proxy("reverb", path=path)


def test_the_header_of_a_weights_file_is_json(tmp_path):
    figures = {"held_out": {"esr_db": -50.0}, "seed": 3}
    path = weights.save_proxy(effects.get("eq").build_proxy(), "eq", figures, tmp_path)
    _, about = checkpoint.read(path)
    written_with = {"format": "unmix-weights", "unmix": version("unmix"), "probe": PROBE_VERSION}
    assert about == {"effect": "eq", **figures, **written_with} and json.dumps(about)
