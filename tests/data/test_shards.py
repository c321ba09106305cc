"""Data sets on disk: what is written is what is read, and every kind of damage has its line."""

import json

import numpy as np
import pytest

from unmix.data import shards
from unmix.data.reader import Reader
from unmix.errors import UnmixError


class FakeSampler:
    def __init__(self):
        self.config = {"kind": "fake", "seed": 3}
        self.fingerprint = "f" * 64


def stacked(first: int, count: int) -> dict[str, np.ndarray]:
    numbers = np.arange(first, first + count)
    return {
        "wave": (numbers[:, None] + np.linspace(0, 1, 6)).astype(np.float32),
        "half": numbers.astype(np.float16),
        "none": np.zeros((count, 0), np.int64),
        "order": np.stack([numbers, -numbers], 1),
    }


@pytest.fixture
def folder(tmp_path):
    """A finished data set of 10 items in shards of 4, 4 and 2."""
    manifest = shards.new_manifest(FakeSampler(), 10, 4, shards.describe(stacked(0, 1)))
    for number, (first, count) in enumerate([(0, 4), (4, 4), (8, 2)]):
        items = stacked(first, count)
        record = shards.write_shard(tmp_path / "set", number, first, items, "f" * 64)
        manifest["shards"].append(record)
    manifest["complete"] = True
    shards.write_manifest(tmp_path / "set", manifest)
    return tmp_path / "set"


def edit(folder, **changes):
    path = folder / shards.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_load_gives_every_item_in_order(folder):
    reader = Reader(folder)
    assert reader.count == 10
    assert set(reader.names) == {"wave", "half", "none", "order"}
    for name, array in stacked(0, 10).items():
        loaded = reader.load()[name]
        assert loaded.dtype == array.dtype
        np.testing.assert_array_equal(loaded, array)
    assert set(reader.load(["half"])) == {"half"}


def test_chosen_items_come_in_the_order_asked_for(folder):
    reader = Reader(folder)
    chosen = [9, 0, 4, 3, 4]
    loaded = reader.load(["wave", "none", "order"], np.array(chosen))
    np.testing.assert_array_equal(loaded["order"][:, 0], chosen)
    np.testing.assert_array_equal(loaded["wave"], reader.load()["wave"][chosen])
    assert loaded["none"].shape == (5, 0)
    with pytest.raises(IndexError):
        reader.load(indices=[10])


def test_a_shard_that_is_cut_or_goes_while_it_is_read(folder):
    reader = Reader(folder)
    reader.load(indices=[3])
    path = folder / shards.shard_name(0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnmixError, match=r"shard-00000\.safetensors: is cut short; run the same"):
        reader.load(indices=[3])
    path.unlink()
    with pytest.raises(UnmixError, match=r"shard-00000\.safetensors: no such file"):
        reader.load(indices=[3])
    assert reader.load(indices=[4])["half"] == 4


def test_shards_come_one_by_one(folder):
    parts = list(Reader(folder).shards(["order"]))
    assert [len(part["order"]) for part in parts] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([p["order"] for p in parts])[:, 0], np.arange(10))


def test_the_same_items_give_the_same_bytes(folder, tmp_path):
    shards.write_shard(tmp_path / "again", 1, 4, stacked(4, 4), "f" * 64)
    name = shards.shard_name(1)
    assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_nothing_but_shards_and_manifest_is_left(folder):
    names = [shards.shard_name(k) for k in range(3)]
    assert sorted(p.name for p in folder.iterdir()) == sorted([shards.MANIFEST, *names])


def test_verify_finds_one_flipped_bit(folder):
    reader = Reader(folder)
    reader.verify()
    path = folder / shards.shard_name(2)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    Reader(folder)  # the size is right
    with pytest.raises(UnmixError, match=r"shard-00002\.safetensors: does not match its hash"):
        reader.verify()


def test_unknown_tensor(folder):
    with pytest.raises(UnmixError, match="no tensor 'wet'; there are half, none, order, wave"):
        Reader(folder).load(["wet"])


def test_missing_and_foreign_folders(tmp_path):
    with pytest.raises(UnmixError, match="no such folder"):
        Reader(tmp_path / "nowhere")
    with pytest.raises(UnmixError, match=r"no manifest\.json in it"):
        Reader(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UnmixError, match="is a file"):
        Reader(tmp_path / "file")
    (tmp_path / shards.MANIFEST).write_text('{"name": "an app"}')
    with pytest.raises(UnmixError, match="belongs to another program"):
        Reader(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"format": "unmix-data", "version": 1}'])
def test_damaged_manifest(folder, text):
    (folder / shards.MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(UnmixError, match=r"manifest\.json: damaged"):
        Reader(folder)


def test_manifest_that_points_elsewhere_is_damaged(folder):
    records = json.loads((folder / shards.MANIFEST).read_text())["shards"]
    records[0]["file"] = "../shard-00000.safetensors"
    edit(folder, shards=records)
    with pytest.raises(UnmixError, match="damaged"):
        Reader(folder)


def test_other_version_and_unfinished(folder):
    edit(folder, version=2)
    with pytest.raises(UnmixError, match="data format 2; this program reads 1"):
        Reader(folder)
    records = json.loads((folder / shards.MANIFEST).read_text())["shards"]
    edit(folder, version=1, complete=False, shards=records[:2])
    with pytest.raises(
        UnmixError, match="unfinished, 8 of 10 items; run the same gen-data command"
    ):
        Reader(folder)


def test_missing_cut_and_swapped_shards(folder):
    first, second = (folder / shards.shard_name(k) for k in (0, 1))
    data = first.read_bytes()
    first.unlink()
    with pytest.raises(UnmixError, match=r"shard-00000\.safetensors: is missing"):
        Reader(folder)
    first.write_bytes(data[:-1])
    with pytest.raises(UnmixError, match="bytes, not"):
        Reader(folder)
    first.write_bytes(bytes(len(data)))
    with pytest.raises(UnmixError, match=r"shard-00000\.safetensors: is damaged"):
        Reader(folder).load()
    first.write_bytes(second.read_bytes())
    with pytest.raises(UnmixError, match=r"shard-00000\.safetensors: belongs to another data set"):
        Reader(folder).load()


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnmixError, match="cannot write"):
        shards.write_shard(tmp_path / "file" / "set", 0, 0, stacked(0, 1), "f")
