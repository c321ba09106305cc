"""Training of the inverse model: reads what gen-data writes, resumes, and hears the proxies."""

import json

import numpy as np
import pytest
import torch

from unmix import effects, features
from unmix.dataset import FAMILY, ChainSampler, PairSampler
from unmix.errors import UnmixError
from unmix.generate import generate
from unmix.inverse.model import PARTS, InverseModel, ModelConfig
from unmix.shards import MANIFEST, Reader
from unmix.training import inverse

SMALL = ModelConfig(
    **{"widths": (16, 16), "size": 32, "hidden": 32, "decoder_hidden": 16, "components": 2},
    **{"score_widths": (16, 16), "knob_score_widths": (16, 16), "sweep_widths": (8, 8, 8)},
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("chains") / "data"
    generate(ChainSampler(3, shares={"probe": 1.0}), 2 * FAMILY, out, workers=1, progress=False)
    return out


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(inverse, "ModelConfig", lambda **options: SMALL)


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    out = tmp_path_factory.mktemp("more") / "data"
    generate(ChainSampler(4, shares={"probe": 1.0}), FAMILY, out, workers=1, progress=False)
    return out


def test_data_of_several_folders_come_back_as_written(data, more):
    chains, configs = inverse.ChainData.open(data, more)
    assert chains.count == 3 * FAMILY and [config["seed"] for config in configs] == [3, 4]
    first, second = Reader(data).load(), Reader(more).load()
    batch = chains.batch(np.array([0, 7, 2 * FAMILY + 5]), None, "cpu")
    for name in ("mel", "source_mel", "order"):
        rows = [first[name][0], first[name][7], second[name][5]]
        expected = features.unpack(name, torch.from_numpy(np.stack(rows)))
        assert torch.equal(batch[name], expected), name
    places = [chains.place(item) for item in (0, 2 * FAMILY - 1, 2 * FAMILY, 3 * FAMILY - 1)]
    assert places == [(0, 0), (0, 2 * FAMILY - 1), (1, 0), (1, FAMILY - 1)]


def test_a_batch_holds_beginnings_and_their_twins(data):
    chains, _ = inverse.ChainData.open(data)
    items = chains.draw(np.random.default_rng(0), 4000)
    assert len(items) == 4000 and (np.diff(items) >= 0).all()
    assert set(items) == set(range(2 * FAMILY))
    orders = Reader(data).load(["order"])["order"]
    beginnings = items[(items % FAMILY > 0) & (items % FAMILY < FAMILY // 2)]
    assert np.isin(beginnings + FAMILY // 2, items).all()
    assert {*orders[beginnings[0]]} == {*orders[beginnings[0] + FAMILY // 2]}
    assert len(chains.draw(np.random.default_rng(0), 7)) == 7


def test_resident_data_take_up_what_gen_data_adds(data, more, tmp_path, monkeypatch):
    """While the second shard is missing, the first one will do; then both are as on disk."""
    monkeypatch.setattr(inverse.Resident, "LOOK_S", 0.0)
    growing = tmp_path / "growing"
    sampler = ChainSampler(3, shares={"probe": 1.0})
    generate(sampler, 2 * FAMILY, growing, workers=1, shard_items=FAMILY, progress=False)
    whole = json.loads((growing / MANIFEST).read_text())
    begun = whole | {"complete": False, "shards": whole["shards"][:1]}
    (growing / MANIFEST).write_text(json.dumps(begun))
    with pytest.raises(UnmixError, match="unfinished"):
        inverse.ChainData.open(growing)
    chains, _ = inverse.ChainData.open(more, growing, resident="cpu", without={"mel"})
    assert chains.count == 2 * FAMILY
    (growing / MANIFEST).write_text(json.dumps(whole))
    for each in chains.sets:
        each.grow()
    assert chains.count == 3 * FAMILY
    items = np.array([1, FAMILY + 2, 3 * FAMILY - 1])
    batch = chains.batch(items, None, "cpu", {"mel"})
    expected = inverse.ChainData.open(more, data)[0].batch(items, None, "cpu", {"mel"})
    assert batch.keys() == expected.keys() and "mel" not in batch
    assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_resident_data_need_one_shard(data, tmp_path):
    empty = json.loads((data / MANIFEST).read_text()) | {"complete": False, "shards": []}
    (tmp_path / MANIFEST).write_text(json.dumps(empty))
    with pytest.raises(UnmixError, match="no shard yet"):
        inverse.train(tmp_path, tmp_path / "run", steps=1, resident=True)


def test_training_on_resident_data_takes_the_same_steps(data, tmp_path):
    losses = []
    for resident in (False, True):
        out = tmp_path / str(resident)
        inverse.train(data, out, steps=2, batch=8, validation=5, resident=resident)
        lines = (out / "metrics.jsonl").read_text().splitlines()
        losses.append(json.loads(lines[-1])["held_out"]["chain"])
    assert losses[0] == losses[1]


def test_sources_and_levels_are_hidden_in_the_stated_shares(data):
    chains, _ = inverse.ChainData.open(data)
    batch = chains.batch(np.zeros(4000, int), np.random.default_rng(0), "cpu")
    on_probe, _ = chains.hidden_shares
    assert abs(float(1 - batch["known"].mean()) - on_probe) < 0.02
    assert abs(float(1 - batch["level_known"].mean()) - chains.level_unknown_share) < 0.03


def test_result_is_a_model_that_answers(data, tmp_path):
    from unmix.weights import load_inverse

    result = inverse.train(data, tmp_path, steps=1, batch=8, validation=5)
    assert result.finished and result.step == 1
    model = load_inverse(path=tmp_path / inverse.MODEL)
    assert model.config == SMALL
    assert not any(p.requires_grad for p in model.parameters())


def test_a_start_may_lack_a_part_of_the_model(data, tmp_path):
    """An older network goes on as it was: what it lacks is silent at first."""
    from unmix.training import state

    torch.manual_seed(0)
    model = InverseModel(SMALL).eval()
    old = {k: v for k, v in model.state_dict().items() if ".score." not in k}
    state._write(tmp_path / "old.safetensors", old, {})
    inverse.train(
        data,
        tmp_path / "run",
        steps=1,
        batch=8,
        validation=5,
        learning_rate=1e-12,
        start=tmp_path / "old.safetensors",
    )
    from unmix.weights import load_inverse

    batch = inverse.ChainData.open(data)[0].batch(np.arange(4), None, "cpu")
    after = load_inverse(path=tmp_path / "run" / inverse.MODEL)
    with torch.no_grad():
        pictures = model.look(batch)
        assert torch.allclose(after.encoder(pictures), model.encoder(pictures), atol=1e-4)


def test_one_part_alone_leaves_the_other_as_it_was(data, tmp_path):
    from unmix.training import state

    torch.manual_seed(1)
    begun = tmp_path / "begun.safetensors"
    state.save_weights(begun, InverseModel(SMALL), {})
    for only, names in PARTS.items():
        out = tmp_path / only
        inverse.train(data, out, steps=2, batch=8, validation=5, start=begun, only=only)
        before, (after, about) = state.read(begun)[0], state.read(out / inverse.MODEL)
        assert about["only"] == only
        moved = {
            name.split(".")[0] for name, value in before.items() if (after[name] != value).any()
        }
        assert moved == set(names)
    with pytest.raises(UnmixError, match="no part"):
        inverse.train(data, tmp_path / "none", steps=1, only="sound")


def test_spectral_term_gives_the_heads_a_gradient(data, more, monkeypatch):
    monkeypatch.setattr(
        "unmix.weights.load_proxy", lambda name, device: effects.get(name).build_proxy()
    )
    chains, configs = inverse.ChainData.open(data, more)
    torch.manual_seed(0)
    model = InverseModel(SMALL)
    term = inverse.SpectralTerm(configs, seconds=0.5)
    loss = term(model, chains, 2 * FAMILY + 3, np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) > 0
    gradients = [head.join.weight.grad for head in model.heads.values()]
    assert any(gradient is not None and gradient.any() for gradient in gradients)


def test_other_data_are_refused(tmp_path):
    pairs = tmp_path / "pairs"
    generate(PairSampler(effects.names()[0], 1, 0.1), 2, pairs, workers=1, progress=False)
    with pytest.raises(UnmixError, match="not chains"):
        inverse.ChainData.open(pairs)
