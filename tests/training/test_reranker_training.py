"""Candidates as data, and the reranker's training on them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unmix import weights
from unmix.data.chains import FAMILY
from unmix.data.generate import generate
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.inference.order_test import BASES, VIEWS
from unmix.inference.residuals import RESIDUALS
from unmix.networks import checkpoint
from unmix.training.candidates import CANDIDATES, CandidateSampler
from unmix.training.progress import METRICS, read_metrics
from unmix.training.reranker import RerankerTraining, train_reranker


class Told:
    """Candidates whose first errors are small where they are right, and to which the recording
    leans in the first view; the network has no idea."""

    def __init__(self, network="A", settled=(1.0, 0.5)):
        self.fingerprint = f"told by {network}, {settled}"
        self.config = {"kind": "candidates", "seed": 1, "network": network, "settled": settled}
        self.config["effects"] = list(EffectSet.of(None).names)

    def item(self, i: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(i)
        right = int(rng.integers(-1, CANDIDATES))
        errors = rng.normal(size=(CANDIDATES, RESIDUALS))
        order_scores = rng.uniform(-0.5, 0.5, (CANDIDATES, BASES, VIEWS))
        if right >= 0:
            errors[right, :20] -= 1
            order_scores[right, :, 0] += 0.4
        order = np.stack([rng.permutation(5) for _ in range(CANDIDATES)])
        return {
            "errors": errors.astype(np.float16),
            "leanings": order_scores.astype(np.float16),
            "candidate_order": order.astype(np.int8),
            "log_prob": np.full(CANDIDATES, -3, np.float32),
            "right": np.int8(right),
        }


def test_it_learns_which_errors_speak(tmp_path):
    generate(Told(), 600, tmp_path / "data", workers=1)
    train_reranker(tmp_path / "data", tmp_path / "run", RerankerTraining(200, learning_rate=3e-3))
    held_out = [row for row in read_metrics(tmp_path / "run" / METRICS) if "held_out" in row]
    last = held_out[-1]["held_out"]
    assert last["loss"] < np.log(CANDIDATES) - 0.5 and last["accuracy"] > 0.5
    model = weights.load_reranker(EffectSet.of(None), tmp_path / "run" / "best.safetensors")
    means = model.weights.bias[:20].mean(), model.weights.bias[20:].mean()
    assert means[0] < -0.05 < means[1]


def test_it_goes_on_from_weights(tmp_path):
    generate(Told(), 300, tmp_path / "data", workers=1)
    once = RerankerTraining(steps=100, learning_rate=3e-3)
    first = train_reranker(tmp_path / "data", tmp_path / "first", once)
    again = {"steps": 2, "learning_rate": 1e-6, "start": tmp_path / "first" / "best.safetensors"}
    second = train_reranker(tmp_path / "data", tmp_path / "second", RerankerTraining(**again))
    assert second.best == pytest.approx(first.best, abs=1e-3)


def test_a_part_that_is_new_learns_alone(tmp_path):
    generate(Told(), 300, tmp_path / "data", workers=1)
    once = RerankerTraining(steps=20, learning_rate=3e-3)
    train_reranker(tmp_path / "data", tmp_path / "first", once)
    before, about = checkpoint.read(tmp_path / "first" / "best.safetensors")
    older = {name: value for name, value in before.items() if not name.startswith("leaning.")}
    save_file(older, tmp_path / "older.safetensors", {checkpoint.HEADER: json.dumps(about)})
    how = {
        "steps": 60,
        "learning_rate": 1e-2,
        "start": tmp_path / "older.safetensors",
        "learn": ("leaning",),
    }
    train_reranker(tmp_path / "data", tmp_path / "second", RerankerTraining(**how))
    after, _ = checkpoint.read_weights(tmp_path / "second" / "last.safetensors")
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        "leaning.weight"
    }
    first, second = after["leaning.weight"].view(BASES, VIEWS).T
    assert (first > 0.1).all() and second.abs().sum() < first.sum()


def test_other_data_are_refused(tmp_path, data):
    with pytest.raises(UnmixError, match="holds chains, not candidates"):
        train_reranker(data, tmp_path / "run")
    generate(Told(), 20, tmp_path / "few", workers=1)
    generate(Told("B"), 20, tmp_path / "other", workers=1)
    generate(Told(settled=(1.0,)), 20, tmp_path / "otherwise", workers=1)
    for name, what in ("other", "networks"), ("otherwise", "bias corrections"):
        with pytest.raises(UnmixError, match=f"candidates of different {what}"):
            train_reranker([tmp_path / "few", tmp_path / name], tmp_path / "run")
    with pytest.raises(UnmixError, match="recordings are too few"):
        train_reranker(tmp_path / "few", tmp_path / "run")


def test_candidates_are_what_the_network_infers():
    sampler = CandidateSampler(7)
    items = sampler.family(0)
    assert len(items) == FAMILY
    for item, (chain, _) in zip(items, sampler.audio_family(0)[1], strict=True):
        assert item["errors"].shape == (CANDIDATES, RESIDUALS)
        assert item["leanings"].shape == (CANDIDATES, BASES, VIEWS)
        assert np.isfinite(item["errors"]).all() and np.isfinite(item["leanings"]).all()
        assert (np.diff(item["log_prob"]) <= 0).all()
        names = tuple(item["candidate_order"][item["right"]].tolist())
        if item["right"] >= 0:
            right = [sampler.config["effects"].index(name) for name in chain.canonical().names]
            assert names[: len(right)] == tuple(right) and set(names[len(right) :]) <= {-1}
    assert sum(item["right"] >= 0 for item in items) > 4
    assert sampler.fingerprint != CandidateSampler(8).fingerprint
