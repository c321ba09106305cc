"""The bundled weights do what the model card says: small counts, loose bounds."""

import numpy as np
import pytest
import torch
from networks import features_of

from unmix import effects, weights
from unmix.data.chains import ChainOptions, ChainSampler
from unmix.errors import UnmixError
from unmix.evaluation import proxies

MAX_BYTES = 40_000_000
# mean ESR in dB over a few held-out pairs; the model card's figures are lower
BOUNDS_DB = {"saturator": -40, "eq": -45, "ott": -36, "phaser": -28, "reverb": -36}


@pytest.mark.parametrize("name", effects.names())
def test_proxy_stands_in_for_its_effect(name):
    figures = proxies.proxies(proxies.ProxiesEvaluation(20, 77, gradients=0, worst=0), [name])[name]
    assert figures["esr_db"]["mean"] < BOUNDS_DB.get(name, -20)
    assert figures["parameters"] < 300_000


def test_single_effects_on_the_probe_are_named_and_their_knobs_estimated():
    model = weights.load_inverse()
    sampler = ChainSampler(
        78, {"probe": 1.0}, ChainOptions(degraded=0.0, independent=True, length=1)
    )
    right, errors, phases = [], [], []
    for i in range(30):
        source, chain, recording = sampler.example(i)
        posterior = model.infer(features_of(source, recording))[0][0]
        right.append(posterior.names == chain.names)
        if not right[-1]:
            continue
        ((name, settings),) = chain.steps
        effect = effects.get(name)
        found = posterior.mixtures[name].median()[0].numpy()
        off = effect.panel.distance(found, effect.to_unit(settings)[0])
        errors.append(off.mean())
        if name == "phaser":
            phases.append(off[[knob.name for knob in effect.knobs].index("phase")])
    assert np.mean(right) >= 0.9
    assert np.mean(errors) < 0.12  # a guess in the middle is 0.25 away
    assert len(phases) > 2 and np.median(phases) < 0.1


def test_probabilities_of_the_answers_are_honest_on_a_dry_probe():
    model = weights.load_inverse()
    source = ChainSampler(1, {"probe": 1.0}, ChainOptions(independent=True)).example(0)[0]
    posterior = model.infer(features_of(source, source))[0][0]
    assert posterior.names == ()  # nothing was done to it


def test_all_weights_together_are_small():
    folder = weights.bundled("")
    assert sum(file.stat().st_size for file in folder.glob("*.safetensors")) < MAX_BYTES


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    weights.checkpoint.save_weights(path, torch.nn.Linear(2, 2), {})
    with pytest.raises(UnmixError, match="does not fit"):
        weights.load_proxy(effects.names()[0], path=path)
    path.write_bytes(b"no weights")
    with pytest.raises(UnmixError, match="not a checkpoint"):
        weights.load_proxy(effects.names()[0], path=path)
