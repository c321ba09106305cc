"""examples/gpu: what it renders and hears is what the program does; without a GPU, by a C++
compiler."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import SMALL

from unmix import effects, features, sources
from unmix.audio import SAMPLE_RATE
from unmix.chain import Chain, canonical_order
from unmix.dataset import FAMILY, MAX_LENGTH, ChainSampler
from unmix.inverse.model import InverseModel
from unmix.training.chain_data import ChainData
from unmix.training.inverse import Weights

FOLDER = Path(__file__).parent.parent / "examples" / "gpu"
COMPILED = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
SAMPLES = 16_384


@pytest.fixture(scope="module", autouse=True)
def on_path():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def esr_db(estimate, target) -> float:
    return 10 * np.log10(np.square(estimate - target).sum() / np.square(target).sum() + 1e-20)


@COMPILED
@pytest.mark.parametrize("name", effects.names())
def test_sounds_come_out_as_of_the_device(name):
    import render

    rng, effect, count = np.random.default_rng(2), effects.get(name), 12
    dry = np.stack([sources.synthetic(rng, SAMPLES) for _ in range(count)])
    audio = torch.zeros(2 * count, SAMPLES)
    audio[:count] = torch.from_numpy(dry)
    settings = [effect.sample(rng) for _ in range(count)]
    knobs, switches = (np.stack(x) for x in zip(*map(effect.to_unit, settings), strict=True))
    job = np.arange(count), count + np.arange(count), knobs, switches
    render.Renderer(audio).run({name: job})
    for wet, x, own in zip(audio[count:].numpy(), dry, settings, strict=True):
        assert esr_db(wet, effect.render(x, SAMPLE_RATE, own)) < -60
    assert np.array_equal(audio[:count].numpy(), dry)


def test_recordings_are_heard_as_by_the_program():
    import hearing

    families = [ChainSampler(7).audio_family(j) for j in range(2)]
    dry = torch.from_numpy(np.stack([source for source, _ in families]))
    wet = torch.from_numpy(np.stack([[wet for _, wet in pairs] for _, pairs in families]))
    heard = hearing.pack(hearing.hear(wet, dry))
    for n in range(len(families)):
        expected = features.extract(wet[n], dry[n : n + 1])
        packed = features.pack({name: values.numpy() for name, values in expected.items()})
        assert packed.keys() == heard.keys()
        for name, values in packed.items():
            off = np.abs(heard[name][n].float().numpy() - values.astype(np.float32))
            scale = 1 if name in features.BYTES else 0.02  # bytes may be rounded the other way
            assert off.max() <= scale and off.mean() < 0.01 * scale, name


def test_degraded_recordings_are_limited_in_band_and_keep_their_level():
    import hearing

    noise = torch.randn(60, SAMPLES, generator=torch.Generator().manual_seed(1))
    degraded = hearing.degrade(noise, 0.5, torch.Generator().manual_seed(2))
    untouched = (degraded == noise).all(-1)
    assert 0.3 < float(untouched.float().mean()) < 0.8
    top = torch.fft.rfft(degraded)[:, int(SAMPLES * 21_500 / SAMPLE_RATE) :].abs().mean(-1)
    whole = torch.fft.rfft(noise)[:, int(SAMPLES * 21_500 / SAMPLE_RATE) :].abs().mean(-1)
    limited = top < 0.3 * whole
    assert bool(limited.any()) and not bool(limited[untouched].any())
    assert float((features.level_db(degraded) - features.level_db(noise)).abs().max()) < 3


@COMPILED
def test_families_are_chains_their_beginnings_and_twins():
    from families import Families

    count, rng = 8, np.random.default_rng(4)
    made = Families(count, "cpu", seed=1)
    for n in range(count):
        dry = sources.probe() if n % 2 else sources.synthetic(rng, features.WINDOW)
        made.stages[0][n] = torch.from_numpy(dry)
    families, orders = made.grow()
    assert len(families) >= count // 2 and orders.shape == (len(families), FAMILY, MAX_LENGTH)
    names, swapped = effects.names(), 0
    for family, order in zip(families, orders, strict=True):
        spelled = [[names[i] for i in row if i >= 0] for row in order]
        for item, chain in enumerate(spelled):
            assert tuple(chain) == canonical_order(chain)
            if item == 0 and not chain:
                continue  # a share of beginnings is empty
            twin = item >= MAX_LENGTH
            assert len(chain) == item + 1 - twin * (MAX_LENGTH - 1)
            assert sorted(chain) == sorted(spelled[MAX_LENGTH - 1][: len(chain)])
            swapped += twin and chain != spelled[len(chain) - 1]
            settings = ((made.knobs[name], made.switches[name]) for name in chain)
            settings = [(knobs[family, item], o[family, item]) for knobs, o in settings]
            steps = [
                (name, effects.get(name).from_unit(*own))
                for name, own in zip(chain, settings, strict=True)
            ]
            expected = Chain(steps).render(made.stages[0][family].numpy(), SAMPLE_RATE)
            assert esr_db(made.stages[item + 1][family].numpy(), expected) < -50
    assert swapped >= 3 * len(families)


def test_the_loss_is_that_of_the_model():
    import train

    items = ChainData.first_of(ChainSampler(8), FAMILY)
    batch = items.batch(np.arange(FAMILY), "cpu")
    model = InverseModel(replace(SMALL, dropout=0.0))
    stream = SimpleNamespace(items=lambda indices: {k: v[indices] for k, v in batch.items()})
    chains = ChainData(items.sets, hidden_shares=(0.0, 0.0), level_unknown_share=0.0)
    for parts in (("chain",), ("knobs",), ("chain", "knobs")):
        loss = train.Loss(model, chains, stream, parts)(torch.arange(FAMILY))
        expected = Weights().symbolic(model.losses(batch, parts))
        assert abs(float(loss.detach() - expected.detach())) < 1e-4


@COMPILED
def test_a_step_is_taken_and_the_weights_are_there(tmp_path):
    options = {"--steps": 1, "--batch": 4, "--families": 2, "--sources": 2, "--workers": 1}
    options |= {"--validation": 1, "--device": "cpu", "--out": tmp_path / "run", "--only": "chain"}
    done = subprocess.run(
        [sys.executable, FOLDER / "train.py", *(str(x) for pair in options.items() for x in pair)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "done: 1 steps, 4 items of " in done.stdout
    from unmix import weights

    before = dict(weights.load_inverse().named_parameters())
    after = dict(
        weights.load_inverse(path=tmp_path / "run" / "model.safetensors").named_parameters()
    )
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"encoder", "decoder"}
