"""Figures of the proxies: each measure is held against a module whose figure is known."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from unmix import effects, weights
from unmix.errors import UnmixError
from unmix.evaluation import gradients, proxies

NAMES = effects.names()


class Dry(nn.Module):
    """Gives back its input."""

    def forward(self, audio, knobs, switches):
        return audio + 0 * knobs.sum()


class Silent(nn.Module):
    def forward(self, audio, knobs, switches):
        return 0 * audio + 0 * knobs.sum()


class Uphill(nn.Module):
    """The bundled proxy, with the sign of every knob's gradient turned."""

    def __init__(self, name):
        super().__init__()
        self.proxy = weights.load_proxy(name)

    def forward(self, audio, knobs, switches):
        return self.proxy(audio, 2 * knobs.detach() - knobs, switches)


def measured(name, module, baseline=None, **options):
    evaluation = proxies.ProxiesEvaluation(**{"count": 3, "gradients": 0} | options)
    return proxies.proxies(evaluation, [name], lambda _: module, baseline)[name]


@pytest.mark.parametrize("name", NAMES)
def test_silence_has_an_error_of_0_db_and_no_direction(name):
    figures = measured(name, Silent(), gradients=2)
    assert figures["esr_db"] == pytest.approx({"mean": 0, "median": 0, "p95": 0}, abs=1e-3)
    assert figures["gradient"]["cosine"] == 0 and figures["gradient"]["right_sign"] == 0
    assert figures["parameters"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_bundled_proxies_beat_the_dry_sound_by_far(name):
    bundled = measured(name, weights.load_proxy(name), count=6)
    dry = measured(name, Dry(), count=6)
    assert bundled["esr_db"]["mean"] < min(-28, dry["esr_db"]["mean"] - 20)
    assert bundled["mss"] < dry["mss"] / 2
    errors = [case["esr_db"] for case in bundled["worst"]]
    assert errors == sorted(errors, reverse=True) and len(errors) == 3
    for case in bundled["worst"]:
        effects.get(name).panel.complete(case["settings"])
    assert all(math.isfinite(value) and value > 0 for value in bundled["speed"].values())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_point_the_same_way_as_the_real_effect(name):
    downhill = measured(name, weights.load_proxy(name), count=1, gradients=5)["gradient"]
    uphill = measured(name, Uphill(name), count=1, gradients=5)["gradient"]
    assert downhill["count"] == uphill["count"] == 5
    assert downhill["cosine"] > 0.85 and downhill["right_sign"] > 0.75
    assert uphill["cosine"] == pytest.approx(-downhill["cosine"], abs=0.02)


def test_starts_are_near_the_target_and_inside_the_range():
    for name in NAMES:
        panel = effects.get(name).panel
        check = gradients.GradientCheck(proxies.PairSampler(name, 5), None)
        for i in range(20):
            knobs = check.sampler.item(i)["knobs"]
            start = check._start(i, knobs)
            slack = gradients.DIFFERENCE + 1e-6
            assert (panel.distance(start, knobs) <= 0.2 + slack).all()
            assert (panel.distance(start, knobs) >= 0.02 - slack).all()
            assert ((start >= 0) & (start <= 1)).all()


def test_chains_of_proxies_follow_chains_of_real_effects():
    bundled = proxies.chains(proxies.ProxiesEvaluation(2))
    dry = proxies.chains(proxies.ProxiesEvaluation(2), load=lambda name: Dry())
    assert set(bundled) == set(dry) == {2, 3, 5}
    for length, row in bundled.items():
        assert row["esr_db"]["mean"] < -20 < -15 < dry[length]["esr_db"]["mean"]
        assert [len(case["chain"]) for case in row["worst"]] == [length] * 2


def test_the_same_figures_from_workers():
    name = NAMES[0]
    proxy = weights.load_proxy(name)
    alone, spread = (measured(name, proxy, gradients=2, workers=n) for n in (1, 2))
    # workers have one thread each: sums may come out in another order
    for key in ("esr_db", "gradient"):
        assert alone[key] == pytest.approx(spread[key], rel=1e-3)
    assert alone["mss"] == pytest.approx(spread["mss"], rel=1e-3)
    assert [case["item"] for case in alone["worst"]] == [case["item"] for case in spread["worst"]]
    assert [c["settings"] for c in alone["worst"]] == [c["settings"] for c in spread["worst"]]


def test_bad_arguments():
    with pytest.raises(UnmixError, match="no effect 'flanger'"):
        proxies.proxies(proxies.ProxiesEvaluation(1), ["flanger"])
    with pytest.raises(UnmixError, match="count must be 1 or more"):
        proxies.proxies(proxies.ProxiesEvaluation(0))


def test_command_with_a_baseline(unmix_cli, tmp_path):
    name = NAMES[0]
    data, runs = tmp_path / "data", tmp_path / "runs"
    made = unmix_cli("gen-data", "--effect", name, "--count", 24, "--seconds", 0.2, "--out", data)
    assert made.returncode == 0, made.stderr
    train = ["train-proxy", "--effect", name, "--data", data, "--steps", 2, "--batch", 4]
    result = unmix_cli(*train, "--out", runs / name, "--baseline", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    measure = ["evaluate", "proxies", "--effect", name, "--count", 2, "--gradients", 1]
    result = unmix_cli(*measure, "--baseline", runs, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)["effects"][name]
    assert figures["baseline"]["esr_db"]["mean"] > figures["esr_db"]["mean"]
    assert "black box" in result.stderr and "cosine" in result.stderr
    assert max(map(len, result.stderr.splitlines()[-20:])) <= 80
    result = unmix_cli(*measure, "--baseline", tmp_path / "nowhere")
    assert result.returncode == 1 and "nowhere" in result.stderr.splitlines()[-1]
    result = unmix_cli(*measure, "--sources", tmp_path / "nowhere")
    assert result.returncode == 1 and "no such folder" in result.stderr


def test_black_box_is_as_large_as_the_proxy_and_hears_every_control():
    from unmix.effects.black_box import SIZE, black_box

    torch.manual_seed(0)
    for name in NAMES:
        fx = effects.get(name)
        module = black_box(fx).eval()
        sizes = [sum(p.numel() for p in m.parameters()) for m in (module, fx.build_proxy())]
        assert 0.7 < sizes[0] / (sizes[1] or SIZE) < 1.4
        for film in module.network.films:  # they start as the identity, deaf to the condition
            nn.init.normal_(film.weight)
        audio = torch.rand(1, 2_000) - 0.5
        knobs = torch.full((1, len(fx.knobs)), 0.3)
        switches = torch.zeros(1, len(fx.switches), dtype=torch.long)
        with torch.no_grad():
            first = module(audio, knobs, switches)
            assert first.shape == audio.shape
            for k, circular in enumerate(fx.panel.circular):
                moved = knobs.clone()
                moved[0, k] += 0.4
                assert (module(audio, moved, switches) - first).abs().max() > 1e-3
                if circular:
                    moved[0, k] += 0.6
                    torch.testing.assert_close(module(audio, moved, switches), first)
            for s in range(len(fx.switches)):
                moved = switches.clone()
                moved[0, s] = 1
                assert (module(audio, knobs, moved) - first).abs().max() > 1e-3


def test_a_crop_of_the_black_box_sounds_as_the_whole():
    from unmix.effects import black_box

    torch.manual_seed(0)
    fx = effects.get(NAMES[0])
    module = black_box.black_box(fx).eval()
    rng = np.random.default_rng(1)
    batch = {"dry": torch.rand(2, 20_000) - 0.5, "wet": torch.arange(20_000.0).repeat(2, 1)}
    knobs, switches = torch.rand(2, len(fx.knobs)), torch.zeros(2, len(fx.switches)).long()
    with torch.no_grad():
        whole = module(batch["dry"], knobs, switches)
        for _ in range(4):
            cut, skip = black_box.crop(batch, rng)
            heard = module(cut["dry"], knobs, switches)[:, skip:]
            place = cut["wet"][0, skip:].long()
            assert len(place) == black_box.CROP
            torch.testing.assert_close(heard, whole[:, place], atol=1e-5, rtol=1e-4)
