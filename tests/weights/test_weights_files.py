"""Weights in files: an inverse model with one file for each effect's head, or whole as in a run."""

import pytest
import torch
from networks import SMALL

from unmix import effects, weights
from unmix.errors import UnmixError
from unmix.networks import checkpoint
from unmix.networks.model import InverseModel


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = InverseModel(SMALL).half().float()
    return model, weights.save_inverse(model, {"seed": 3}, tmp_path)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_each_head_has_a_file_and_all_together_are_the_model(saved):
    model, paths = saved
    names = [f"{name}-head.safetensors" for name in effects.names()]
    assert [path.name for path in paths] == ["inverse.safetensors", *names]
    assert paths == weights.inverse_files(paths[0])
    keys, about = checkpoint.read_header(paths[1])
    assert all(key.startswith(f"heads.{effects.names()[0]}.") for key in keys)
    assert about["effects"] == list(effects.names()) and about["seed"] == 3
    assert {"format", "unmix", "probe"} <= about.keys()
    assert same(weights.load_inverse(path=paths[0]).state_dict(), model.state_dict())


def test_a_whole_file_is_the_same_model(saved, tmp_path):
    model, paths = saved
    path = tmp_path / "run" / "model.safetensors"
    checkpoint.save_weights(path, model, {"config": model.config.to_dict()})
    assert weights.inverse_files(path) == [path]
    assert same(weights.load_inverse(path=path).state_dict(), model.state_dict())
    assert weights.inverse_hash(path) != weights.inverse_hash(paths[0])


def test_a_new_head_changes_the_hash(saved, tmp_path):
    model, (first, *_) = saved
    before = weights.inverse_hash(first)
    with torch.no_grad():
        model.heads[effects.names()[-1]].join.bias.add_(1)
    weights.save_inverse(model, {"seed": 3}, tmp_path)
    assert weights.inverse_hash(first) != before


def test_a_missing_head_and_one_of_another_network_are_named(saved):
    _, (first, head, *_) = saved
    tensors, about = checkpoint.read(head)
    checkpoint.write(head, tensors, about | {"effects": ["eq"]})
    with pytest.raises(UnmixError, match=f"{head.name}: does not belong to"):
        weights.load_inverse(path=first)
    head.unlink()
    with pytest.raises(UnmixError, match=f"{head.name}: no such file"):
        weights.load_inverse(path=first)
