"""Training of the re-ranker, on candidates that data sets hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unmix.data.reader import Reader
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.inference.reranker import Reranker
from unmix.networks.checkpoint import begin_from, read
from unmix.runtime.files import file_hash
from unmix.training.loop import FitConfig, FitResult, Task, fit, learn_only

# tensors of the data sets, under the names that their files have: residual features, order scores
NAMES = ("errors", "leanings", "candidate_order", "log_prob", "right")
HELD_OUT_SHARE = 0.05
LEAST = 50  # recordings to train on
# the same in all sets
MADE_BY = {"network": "networks", "settled": "bias corrections", "effects": "effects"}


def _load(folders) -> tuple[dict[str, torch.Tensor], torch.Tensor, list[dict]]:
    """The items of all sets whose true chain is among the candidates, which of them are held out
    (the last of each set), and the sets' configurations."""
    parts, held_out, configs = [], [], []
    for folder in folders:
        reader = Reader(folder)
        config = reader.manifest["config"]
        if config.get("kind") != "candidates":
            raise UnmixError(
                f"{folder}: holds {config.get('kind')}, not candidates; see gen-data --help"
            )
        part = reader.load(NAMES)
        said = part["right"] >= 0
        last = np.arange(reader.count) >= (1 - HELD_OUT_SHARE) * reader.count
        parts.append({name: values[said] for name, values in part.items()})
        held_out.append(last[said])
        configs.append(config)
    for key, what in MADE_BY.items():
        if any(config.get(key) != configs[0].get(key) for config in configs):
            raise UnmixError(f"these are candidates of different {what}; make the older set again")
    items = {name: np.concatenate([part[name] for part in parts]) for name in NAMES}
    items = {name: torch.from_numpy(values) for name, values in items.items()}
    return items, torch.from_numpy(np.concatenate(held_out)), configs


@dataclass(frozen=True)
class RerankerTraining:
    """How the re-ranker is trained.

    Args:
        steps: the budget. batch: recordings a step.
        learning_rate, weight_decay: of AdamW; the rate is the peak.
        seed: of everything random.
        start: weights of a Reranker to begin from; what the file does not have begins as in a new
            one. Mean and spread of the residual features are always those of the data.
        learn: names of modules, as "leaning": all others stay as they are.
        validate_every: steps between validations.
        wandb: log to Weights & Biases.
    """

    steps: int = 1200
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.5
    seed: int = 0
    start: str | Path | None = None
    learn: tuple[str, ...] = ()
    validate_every: int = 100
    wandb: bool = False


def train_reranker(data, out, training: RerankerTraining = RerankerTraining()) -> FitResult:
    """Train a Reranker; the run folder ``out`` is as ``fit`` says.

    Args:
        data: folder of candidates, from ``gen-data --candidates``, or several. The last twentieth
            of each is held out; the checkpoint with the lowest loss there is kept as
            ``best.safetensors``, and the network's own loss stands beside it. Recordings whose
            true chain is not among the candidates say nothing and are left out.

    Raises:
        UnmixError: no such data, too few of them, and what ``fit`` raises.
    """
    items, out_of_it, configs = _load(data if isinstance(data, list | tuple) else [data])
    train, held_out = (~out_of_it).nonzero()[:, 0], out_of_it.nonzero()[:, 0]
    if len(train) < LEAST or not len(held_out):
        raise UnmixError(f"{len(train)} recordings are too few to train on")
    torch.manual_seed(training.seed)
    vocabulary = EffectSet(tuple(configs[0]["effects"]))
    model = _model(vocabulary, items["errors"][train], training)

    def step(number: int, rng: np.random.Generator):
        rows = torch.from_numpy(rng.integers(len(train), size=training.batch))
        found, share = _loss(model, items, train[rows])
        return found, {"accuracy": float(share)}

    alone = items["log_prob"][held_out].log_softmax(1)
    alone = -float(alone.gather(1, items["right"][held_out].long()[:, None]).mean())

    def validate() -> dict[str, float]:
        found, share = _loss(model, items, held_out)
        return {"loss": float(found), "accuracy": float(share), "network_alone": alone}

    describe = {"data": configs, "items": len(out_of_it), "batch": training.batch}
    describe["learn"] = list(training.learn)
    if training.start is not None:
        describe["start"] = file_hash(training.start)
    config = FitConfig(
        training.steps,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        validate_every=training.validate_every,
        seed=training.seed,
        describe=describe,
    )
    return fit(model, Task(step, validate, "loss"), out, config, wandb=training.wandb)


def _model(vocabulary: EffectSet, errors: torch.Tensor, training: RerankerTraining) -> Reranker:
    """A Reranker as training begins with it, scaled to residual features (N, CANDIDATES, …)."""
    model = Reranker(vocabulary)
    if training.start is not None:
        begin_from(training.start, model, read(training.start)[0])
    errors = errors.float().flatten(0, 1)
    model.mean.copy_(errors.mean(0))
    model.spread.copy_(errors.std(0).clamp_min(0.05))
    if training.learn:
        learn_only(model, training.learn)
    return model


def _loss(model: Reranker, items: dict, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean −log p of the true chains, and the share of them that come first."""
    right = items["right"][rows].long()
    ranked = model(
        items["errors"][rows].float(),
        items["leanings"][rows].float(),
        items["candidate_order"][rows].long(),
        items["log_prob"][rows],
    )
    found = (ranked.argmax(1) == right).float().mean()
    return -ranked.gather(1, right[:, None]).mean(), found
