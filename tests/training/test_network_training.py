"""Training of the inverse model: reads what gen-data writes, resumes, and uses the proxies."""

import json

import numpy as np
import pytest
import torch
from networks import SMALL

from unmix import effects
from unmix.data.chains import FAMILY
from unmix.data.shards import MANIFEST
from unmix.errors import UnmixError
from unmix.networks.model import PARTS, InverseModel
from unmix.training import hybrid, network
from unmix.training.datasets import ChainData
from unmix.training.network import NetworkTraining


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(network, "ModelConfig", lambda **options: SMALL)


def test_resident_data_need_one_shard(data, tmp_path):
    empty = json.loads((data / MANIFEST).read_text()) | {"complete": False, "shards": []}
    (tmp_path / MANIFEST).write_text(json.dumps(empty))
    with pytest.raises(UnmixError, match="no shard yet"):
        network.train(tmp_path, tmp_path / "run", NetworkTraining(steps=1, resident=True))


def test_training_on_resident_data_takes_the_same_steps(data, tmp_path):
    losses = []
    for resident in (False, True):
        out = tmp_path / str(resident)
        training = NetworkTraining(steps=2, batch=8, validation=5, resident=resident)
        network.train(data, out, training)
        lines = (out / "metrics.jsonl").read_text().splitlines()
        losses.append(json.loads(lines[-1])["held_out"]["chain"])
    assert losses[0] == losses[1]


def test_result_is_a_model_that_answers(data, tmp_path):
    from unmix.weights import load_inverse

    result = network.train(data, tmp_path, NetworkTraining(steps=1, batch=8, validation=5))
    assert result.finished and result.step == 1
    model = load_inverse(path=tmp_path / network.MODEL)
    assert model.config == SMALL
    assert not any(p.requires_grad for p in model.parameters())


def test_a_start_may_lack_a_part_of_the_model(data, tmp_path):
    """An older network goes on as it was: what it lacks is silent at first."""
    from unmix.networks import checkpoint

    torch.manual_seed(0)
    model = InverseModel(SMALL).eval()
    old = {k: v for k, v in model.state_dict().items() if ".score." not in k}
    checkpoint.write(tmp_path / "old.safetensors", old, {})
    start = tmp_path / "old.safetensors"
    training = NetworkTraining(steps=1, batch=8, validation=5, learning_rate=1e-12, start=start)
    network.train(data, tmp_path / "run", training)
    from unmix.weights import load_inverse

    batch = ChainData.open(data)[0].batch(np.arange(4), "cpu")
    after = load_inverse(path=tmp_path / "run" / network.MODEL)
    with torch.no_grad():
        pictures = model.network_inputs(batch)
        assert torch.allclose(after.encoder(pictures), model.encoder(pictures), atol=1e-4)


def test_one_part_alone_leaves_the_other_as_it_was(data, tmp_path):
    from unmix.networks import checkpoint

    torch.manual_seed(1)
    begun = tmp_path / "begun.safetensors"
    checkpoint.save_weights(begun, InverseModel(SMALL), {})
    for only, names in PARTS.items():
        out = tmp_path / only
        training = NetworkTraining(steps=2, batch=8, validation=5, start=begun, only=only)
        network.train(data, out, training)
        before, (after, about) = checkpoint.read(begun)[0], checkpoint.read(out / network.MODEL)
        assert about["only"] == only
        moved = {
            name.split(".")[0] for name, value in before.items() if (after[name] != value).any()
        }
        assert moved == set(names)
    with pytest.raises(UnmixError, match="no part"):
        network.train(data, tmp_path / "none", NetworkTraining(steps=1, only="sound"))


def test_modules_learn_alone(data, tmp_path):
    from unmix.networks import checkpoint

    begun = tmp_path / "begun.safetensors"
    checkpoint.save_weights(begun, InverseModel(SMALL), {})
    learn = ("encoder.levels", "encoder.join.3", "decoder")
    settings = {"steps": 2, "batch": 8, "validation": 5, "start": begun, "only": "chain"}
    training = NetworkTraining(**settings, learn=(*learn, "encoder.join_relations"))
    network.train(data, tmp_path / "run", training)
    before, (after, _) = (
        checkpoint.read(begun)[0],
        checkpoint.read(tmp_path / "run" / network.MODEL),
    )
    moved = {name for name, value in before.items() if (after[name] != value).any()}
    assert {"encoder.join.3.weight", "encoder.join_relations.weight"} <= moved
    assert all(name.startswith((*learn, "encoder.join_relations")) for name in moved)
    with pytest.raises(UnmixError, match=r"no module 'encoder\.ears'.*encoder\.levels"):
        network.train(data, tmp_path / "none", NetworkTraining(**settings, learn=("encoder.ears",)))
    with pytest.raises(UnmixError, match=r"nothing to train in heads\.eq"):
        network.train(data, tmp_path / "none", NetworkTraining(**settings, learn=("heads.eq",)))


def test_spectral_term_gives_the_heads_a_gradient(data, more, monkeypatch):
    monkeypatch.setattr(
        "unmix.weights.load_proxy", lambda name, device: effects.get(name).build_proxy()
    )
    chains, configs = ChainData.open(data, more)
    torch.manual_seed(0)
    model = InverseModel(SMALL)
    term = hybrid.SpectralTerm(configs, seconds=0.5)
    loss = term(model, chains, 2 * FAMILY + 3, np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) > 0
    gradients = [head.join.weight.grad for head in model.heads.values()]
    assert any(gradient is not None and gradient.any() for gradient in gradients)
