"""examples/tremolo.py does what the README says: dropped into the package it is an effect."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import unmix.effects as package
from unmix import effects, export, weights
from unmix.analysis.analyze import analyze, refine_chain
from unmix.audio import signals
from unmix.chain import Chain
from unmix.effects import registry
from unmix.errors import UnmixError
from unmix.networks.model import InverseModel, ModelConfig

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "tremolo.py"


@pytest.fixture
def tremolo(tmp_path, monkeypatch):
    """The example as a member of the package, for one test."""
    before = effects.names()
    shutil.copy(EXAMPLE, tmp_path)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    registry._registry.cache_clear()
    importlib.invalidate_caches()
    yield effects.get("tremolo")
    monkeypatch.undo()
    del sys.modules["unmix.effects.tremolo"], package.tremolo
    registry._registry.cache_clear()
    assert effects.names() == before


def test_it_is_found_and_named(tremolo):
    assert effects.names()[-1] == "tremolo" == tremolo.name


def told(result) -> dict:
    """All numbers of an answer but how long it took."""
    document = result.to_dict()
    return {key: value for key, value in document.items() if key != "seconds"}


def test_no_answer_changes_with_it(request):
    """The bundled network keeps to the effects of its file, and so does the search."""
    recording = ROOT / "examples" / "probe-saturator.flac"
    before = told(analyze(recording, refine=3))
    request.getfixturevalue("tremolo")
    weights.bundled_models.cache_clear()
    assert told(analyze(recording, refine=3)) == before


def test_it_is_refined_in_a_given_chain_and_exported_without_a_proxy(tremolo, tmp_path):
    true, begun = (
        Chain([("eq", {"gain_3": gain}), ("tremolo", {"rate": 3.0, "depth": depth})])
        for gain, depth in ((6.0, 70.0), (5.0, 60.0))
    )
    recording = true.render(signals.probe(), 44_100)
    result = refine_chain(begun, recording, 44_100, "probe", steps=8)
    assert result.chain.names == ("eq", "tremolo")
    assert result.distance["after"]["mss"] < result.distance["before"]["mss"] / 2
    written = export.write(result.chain, "take", tmp_path, ["json", "script", "text"], result)
    assert all("tremolo" in path.read_text() for path in written)
    with pytest.raises(UnmixError, match="no REAPER device for tremolo"):
        export.write(result.chain, "take", tmp_path, ["reaper"])


def test_weights_for_an_effect_that_is_not_installed_are_refused(tmp_path):
    config = ModelConfig(effects=("eq", "flanger"))
    with pytest.raises(UnmixError, match="not installed: flanger; the installed effects are"):
        InverseModel(config)
    path = tmp_path / "model.safetensors"
    whole = {"heads.flanger.join.bias": torch.zeros(1)}
    weights.checkpoint.write(path, whole, {"config": config.to_dict()})
    with pytest.raises(UnmixError, match=r"model.*not installed: flanger"):
        weights.load_inverse(path=path)


def test_it_keeps_the_contract_of_every_effect(tmp_path):
    """The tests of all effects and proxies, in a process where the package holds the file."""
    (tmp_path / "more").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "more")
    plugin = f"import unmix.effects as e; e.__path__.append({str(tmp_path / 'more')!r})\n"
    (tmp_path / "with_more_effects.py").write_text(plugin)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    names = ("contract", "proxy_contract")
    contracts = [ROOT / "tests/effects" / f"test_{name}.py" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "with_more_effects", "-k", "tremolo", *contracts],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count(".") > 40


def test_its_level_goes_down_and_up_at_the_rate(tremolo):
    ones = np.ones(44_100, np.float32)
    wet = tremolo.render(ones, 44_100, {"rate": 5, "depth": 80, "phase": 270})
    assert wet.max() == pytest.approx(1, abs=1e-4) and wet.min() == pytest.approx(0.2, abs=1e-4)
    spectrum = np.abs(np.fft.rfft(wet - wet.mean()))
    assert spectrum.argmax() == 5
    hard = tremolo.render(ones, 44_100, {"rate": 5, "depth": 80, "hardness": 100})
    assert np.std(hard) > 1.3 * np.std(wet)  # a square has more power than a sine


def batch(effect, rng, items=8, samples=8_820):
    audio = rng.uniform(-0.5, 0.5, (items, samples)).astype(np.float32)
    settings = [effect.sample(rng) for _ in range(items)]
    wet = np.stack([effect.render(x, 44_100, s) for x, s in zip(audio, settings, strict=True)])
    knobs = np.stack([effect.to_unit(s)[0] for s in settings])
    switches = torch.zeros(items, 0, dtype=torch.long)
    return torch.from_numpy(audio), torch.from_numpy(knobs), switches, torch.from_numpy(wet)


def test_its_proxy_learns_the_real_effect_and_has_a_gradient_at_every_knob(tremolo):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    proxy = tremolo.build_proxy()
    optimizer = torch.optim.Adam(proxy.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=350)
    for _ in range(350):
        audio, knobs, switches, wet = batch(tremolo, rng, items=6, samples=1_500)
        error = (proxy(audio, knobs, switches) - wet).square().sum() / wet.square().sum()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
    audio, knobs, switches, wet = batch(tremolo, rng)
    knobs.requires_grad_()
    heard = proxy(audio, knobs, switches)
    esr_db = 10 * torch.log10((heard - wet).square().sum() / wet.square().sum())
    assert esr_db < -20
    heard.square().sum().backward()
    assert (knobs.grad.abs() > 0).all()
