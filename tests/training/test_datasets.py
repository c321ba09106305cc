"""Chains for training: read as written, drawn with their negatives, hidden in stated shares."""

import json

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.chain import MAX_LENGTH
from unmix.data.chains import FAMILY, ChainSampler
from unmix.data.generate import generate
from unmix.data.pairs import PairSampler
from unmix.data.reader import Reader
from unmix.data.shards import MANIFEST
from unmix.errors import UnmixError
from unmix.features import packing
from unmix.networks.decoder import LENGTH_SHARES
from unmix.training.datasets import HIDDEN_SHARES, ChainData, Dropout, Resident


def test_data_of_several_folders_come_back_as_written(data, more):
    chains, configs = ChainData.open(data, more)
    assert chains.count == 3 * FAMILY and [config["seed"] for config in configs] == [3, 4]
    first, second = Reader(data).load(), Reader(more).load()
    batch = chains.batch(np.array([0, 7, 2 * FAMILY + 5]), "cpu")
    for name in ("mel", "source_mel", "order"):
        rows = [first[name][0], first[name][7], second[name][5]]
        expected = packing.unpack(name, torch.from_numpy(np.stack(rows)))
        assert torch.equal(batch[name], expected), name
    places = [chains.place(item) for item in (0, 2 * FAMILY - 1, 2 * FAMILY, 3 * FAMILY - 1)]
    assert places == [(0, 0), (0, 2 * FAMILY - 1), (1, 0), (1, FAMILY - 1)]


def test_a_batch_holds_beginnings_and_their_order_swapped_negatives(data):
    chains, _ = ChainData.open(data)
    items = chains.draw(np.random.default_rng(0), 4000)
    assert len(items) == 4000 and (np.diff(items) >= 0).all()
    assert set(items) == set(range(2 * FAMILY))
    orders = Reader(data).load(["order"])["order"]
    beginnings = items[(items % FAMILY > 0) & (items % FAMILY < FAMILY // 2)]
    assert np.isin(beginnings + FAMILY // 2, items).all()
    assert {*orders[beginnings[0]]} == {*orders[beginnings[0] + FAMILY // 2]}
    assert len(chains.draw(np.random.default_rng(0), 7)) == 7
    lengths = (orders[items] >= 0).sum(1)
    shares = [np.mean(lengths == n) for n in range(1, MAX_LENGTH + 1)]
    assert shares == pytest.approx(LENGTH_SHARES, abs=0.02)


def test_resident_data_take_up_what_gen_data_adds(data, more, tmp_path, monkeypatch):
    """While the second shard is missing, the first one will do; then both are as on disk."""
    monkeypatch.setattr(Resident, "LOOK_S", 0.0)
    growing = tmp_path / "growing"
    sampler = ChainSampler(3, shares={"probe": 1.0})
    generate(sampler, 2 * FAMILY, growing, workers=1, shard_items=FAMILY, progress=False)
    whole = json.loads((growing / MANIFEST).read_text())
    begun = whole | {"complete": False, "shards": whole["shards"][:1]}
    (growing / MANIFEST).write_text(json.dumps(begun))
    with pytest.raises(UnmixError, match="unfinished"):
        ChainData.open(growing)
    chains, _ = ChainData.open(more, growing, resident="cpu", without={"mel"})
    assert chains.count == 2 * FAMILY
    (growing / MANIFEST).write_text(json.dumps(whole))
    for each in chains.sets:
        each.grow()
    assert chains.count == 3 * FAMILY
    items = np.array([1, FAMILY + 2, 3 * FAMILY - 1])
    batch = chains.batch(items, "cpu", {"mel"})
    expected = ChainData.open(more, data)[0].batch(items, "cpu", {"mel"})
    assert batch.keys() == expected.keys() and "mel" not in batch
    assert all(torch.equal(batch[name], expected[name]) for name in batch)


def after_dropout(chains):
    """Thousands of times the first item, as far as it says what is hidden."""
    torch.manual_seed(0)
    batch = chains.batch(np.zeros(1, int), "cpu")
    return chains.source_dropout({name: batch[name].expand(4000) for name in ("known", "on_probe")})


@pytest.mark.parametrize("shares", [HIDDEN_SHARES, (0.6, 0.0)])
def test_sources_and_levels_are_hidden_in_the_stated_shares(data, shares):
    chains, _ = ChainData.open(data, dropout=Dropout(hidden_shares=shares))
    batch = after_dropout(chains)
    assert abs(float(1 - batch["known"].mean()) - shares[0]) < 0.02
    assert abs(float(1 - batch["level_known"].mean()) - chains.dropout.level_unknown_share) < 0.03


def test_other_sources_are_hidden_in_a_share_of_their_own():
    chains = ChainData.first_of(ChainSampler(5, shares={"synthetic": 1.0}), 1)
    chains.dropout = Dropout(hidden_shares=(0.0, 0.6))
    batch = after_dropout(chains)
    assert abs(float(1 - batch["known"].mean()) - 0.6) < 0.02


def test_other_data_are_refused(tmp_path):
    pairs = tmp_path / "pairs"
    generate(PairSampler(effects.names()[0], 1, 0.1), 2, pairs, workers=1, progress=False)
    with pytest.raises(UnmixError, match="not chains"):
        ChainData.open(pairs)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("features", 4, "features"),
        ("controls", {}, "ranges of controls"),
        ("probe", "probe-0", "probe"),
        ("fixed_signals", {}, "test signals"),
    ],
)
def test_data_that_this_program_would_read_wrongly_are_refused(data, tmp_path, key, value, what):
    manifest = json.loads((data / MANIFEST).read_text())
    manifest["config"][key] = value
    for record in manifest["shards"]:
        (tmp_path / record["file"]).symlink_to(data / record["file"])
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UnmixError, match=f"made with other {what}; make it again"):
        ChainData.open(tmp_path)
