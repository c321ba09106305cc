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
from unmix import effects
from unmix.effects import registry

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
