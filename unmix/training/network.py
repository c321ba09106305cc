"""Training of the inverse model: likelihood first, then the hybrid loss through the proxies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.chain import MAX_LENGTH
from unmix.data.reader import read_manifest
from unmix.errors import UnmixError
from unmix.networks import checkpoint
from unmix.networks.decoder import CORES
from unmix.networks.model import PARTS, UNUSED, InverseModel, ModelConfig
from unmix.training import distributed
from unmix.training.datasets import HIDDEN_SHARES, ChainData, Dropout, validation_data
from unmix.training.hybrid import HYBRID, SpectralTerm, half_on_cpu
from unmix.training.loop import FitConfig, FitResult, Task, fit, learn_only
from unmix.weights import inverse_hash, read_inverse

MODEL = "model.safetensors"


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss; all but the chain's are sums over a chain's effects."""

    chain: float = 1.0
    switches: float = 0.5
    knobs: float = 0.15
    guess: float = 1.0
    spectral: float = 0.5

    def likelihood(self, parts: dict):
        """Of the mixtures and the chain alone, without the point estimate."""
        return self.symbolic({k: v for k, v in parts.items() if k != "guess"})

    def symbolic(self, parts: dict):
        """Of all that is compared with labels, of the parts that are there."""
        return sum(getattr(self, name) * value for name, value in parts.items())


def chain_metrics(model, batch: dict, beams: int = 10) -> dict[str, float]:
    """Accuracy of a model's first answers on a batch with true labels, while it trains.

    Chains are spelled in canonical form on both sides, so that accuracy is by equivalence class.

    Returns:
        accuracy_N for each length N in the batch, top5, knob_error given the true chain.
    """
    inputs = model.network_inputs(batch)
    z = model.encoder(inputs).float()
    orders = [tuple(x for x in row if x >= 0) for row in batch["order"].tolist()]
    found = [[order for order, _ in model.decoder.beam_search(row, beams)] for row in z]
    right = np.array([best[0] == order for best, order in zip(found, orders, strict=True)])
    lengths = np.array([len(order) for order in orders])
    metrics = {
        f"accuracy_{n}": float(right[lengths == n].mean())
        for n in range(MAX_LENGTH + 1)
        if (lengths == n).any()
    }
    pairs = zip(found, orders, strict=True)
    metrics["top5"] = float(np.mean([order in best[:5] for best, order in pairs]))
    metrics["knob_error"] = knob_error(model.knob_losses(inputs, batch)[1], batch)
    return metrics


def knob_error(mixtures: dict, batch: dict) -> float:
    """Mean |û − u| (circular for angles) of the medians of InverseModel.knob_losses' mixtures."""
    errors = []
    for name, (rows, mixture) in mixtures.items():
        true = batch[f"knobs.{name}"][rows]
        panel = effects.get(name).panel
        errors.append(panel.distance(mixture.median().cpu().numpy(), true.cpu().numpy()).ravel())
    return float(np.concatenate(errors).mean())


def held_out_metrics(model: InverseModel, data: ChainData, device: str, weights: Weights) -> dict:
    """Losses and ``chain_metrics`` of a model on all of a set; "score" says which state is best."""
    batch = data.batch(np.arange(data.count), device)
    parts = {name: float(value) for name, value in model.losses(batch).items()}
    return {"score": weights.likelihood(parts), **parts, **chain_metrics(model, batch)}


@dataclass(frozen=True)
class NetworkTraining:
    """How the inverse model is trained.

    Args:
        steps, minutes: budget of the first stage, at least one of them.
        hybrid_steps: of the second stage.
        batch: items a step.
        learning_rate: the peak in the first stage; a tenth of it in the second.
        seed: of everything random.
        geometry: a key of decoder.CORES.
        validation: held-out chains, drawn from a stream of their own.
        device: "cpu", "cuda", …; None takes CUDA when there is one.
        wandb: log to Weights & Biases.
        start: weights to begin from, instead of random ones; a part of the model that this file
            does not have, or has in another size, begins at random.
        config: sizes and inputs of the model; its effects are those of the data.
        masked, hidden_shares: as of datasets.Dropout.
        only: a key of model.PARTS, "chain" or "knobs": the other part stays as it is.
        learn: names of modules, as "encoder.levels" or "decoder": all others stay as they are.
        resident: keep the data in the memory of the device. Sets that are not finished yet will do
            then, from their first shard on: what comes is taken up.
        validate_every: steps between validations in the first stage.

    Raises:
        UnmixError: no such decoder or part.
    """

    steps: int | None = None
    minutes: float | None = None
    hybrid_steps: int = 0
    batch: int = 128
    learning_rate: float = 1e-3
    seed: int = 0
    geometry: str = "hyperbolic"
    validation: int = 300
    device: str | None = None
    wandb: bool = False
    start: str | Path | None = None
    config: ModelConfig | None = None
    masked: float = 0.0
    hidden_shares: tuple[float, float] = HIDDEN_SHARES
    only: str | None = None
    learn: tuple[str, ...] = ()
    resident: bool = False
    validate_every: int = 500

    def __post_init__(self):
        if self.geometry not in CORES:
            raise UnmixError(f"no decoder {self.geometry!r}; the decoders are {', '.join(CORES)}")
        if self.only is not None and self.only not in PARTS:
            raise UnmixError(f"no part {self.only!r}; the parts are {', '.join(PARTS)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the model that learn."""
        return tuple(PARTS) if self.only is None else (self.only,)

    @property
    def unused(self) -> set[str]:
        """Features that these parts do not take in."""
        return set.intersection(*(UNUSED[part] for part in self.parts))

    def model(self, names: tuple[str, ...]) -> InverseModel:
        """The model as training begins with it, its other parts frozen.

        Args:
            names: the effects of the data.
        """
        config = self.config or ModelConfig()
        model = InverseModel(replace(config, geometry=self.geometry, effects=names))
        if self.start is not None:
            checkpoint.begin_from(self.start, model, read_inverse(self.start)[0])
        learn_only(model, [name for part in self.parts for name in PARTS[part]])
        if self.learn:
            learn_only(model, self.learn)
        return model

    def describe(self, folders, configs: list[dict], model: InverseModel) -> dict:
        """What identifies a run: data, model and what is done to them."""
        described = {
            "data": configs,
            "items": sum(read_manifest(folder)["count"] for folder in folders),
            "batch": self.batch,
            "masked": self.masked,
            "hidden_shares": list(self.hidden_shares),
            "only": self.only,
            "learn": list(self.learn),
            "model": model.config.to_dict(),
        }
        return described | ({} if self.start is None else {"start": inverse_hash(self.start)})

    def fit_config(self, describe: dict, hybrid: bool = False) -> FitConfig:
        """For ``fit``: budget and schedule of one of the stages."""
        shared = {"weight_decay": 0.02, "clip": 5.0, "seed": self.seed, "describe": describe}
        if hybrid:
            rate = self.learning_rate / 10
            return FitConfig(self.hybrid_steps, None, rate, validate_every=100, **shared)
        every = self.validate_every
        return FitConfig(
            self.steps, self.minutes, self.learning_rate, validate_every=every, **shared
        )


def train(data, out, training: NetworkTraining) -> FitResult:
    """Train the whole model; the same call resumes a broken run.

    First the likelihood of chain, switches and knobs (teacher forcing throughout). Then, for
    ``hybrid_steps``, the spectral term through the frozen proxies joins in.

    Args:
        data: folder of a chains data set, or several. out: run folder; ``model.safetensors`` in it
            is the result: the state of the last stage with the lowest held-out likelihood loss.

    Started by ``torchrun`` several processes train one model (distributed.py), each with batches
    of its own.

    Raises:
        UnmixError: no such data set, a run folder of another run, diverged loss.
    """
    device = training.device or distributed.default_device()
    folders, out = data if isinstance(data, list | tuple) else [data], Path(out)
    chains, configs = ChainData.open(
        *folders,
        dropout=Dropout(training.masked, training.hidden_shares),
        resident=device if training.resident else None,
        without=training.unused,
    )
    torch.manual_seed(training.seed)
    model = training.model(tuple(configs[0]["effects"]))
    describe = training.describe(folders, configs, model)
    likelihood = _Likelihood(model, chains, training, device)
    held_out = cache(lambda: validation_data(training.seed, training.validation, model.effects))

    def validate():
        return held_out_metrics(model, held_out(), device, likelihood.weights)

    spectral = SpectralTerm(configs, device=device) if training.hybrid_steps else None
    task = Task(likelihood, validate, "score")
    result = fit(model, task, out, training.fit_config(describe), device, training.wandb)
    best = out
    if result.finished and spectral is not None:
        tensors, _ = checkpoint.read(out / checkpoint.BEST, device)
        checkpoint.load_weights(out / checkpoint.BEST, model, tensors)
        task = replace(task, step=_Hybrid(likelihood, spectral))
        best, config = out / HYBRID, training.fit_config(describe, hybrid=True)
        result = fit(model, task, best, config, device, training.wandb)
    if result.finished and distributed.rank() == 0:
        tensors, about = checkpoint.read(best / checkpoint.BEST, device)
        checkpoint.load_weights(best / checkpoint.BEST, model, tensors)
        about = {"config": model.config.to_dict(), **about, "data": configs}
        about["seed"] = training.seed
        if training.only is not None:
            about["only"] = training.only
        checkpoint.save_weights(out / MODEL, model, about)
    return result


@dataclass(frozen=True)
class _Likelihood:
    """The first stage's loss of a random batch."""

    model: InverseModel
    chains: ChainData
    training: NetworkTraining
    device: str
    weights: Weights = Weights()

    def __call__(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict]:
        for each in self.chains.sets if self.training.resident else ():
            each.grow()
        rows = self.chains.draw(rng, self.training.batch)
        batch = self.chains.batch(rows, self.device, self.training.unused)
        items = self.chains.source_dropout(batch)
        with half_on_cpu(self.device):
            losses = self.model.losses(items, self.training.parts)
        loss = self.weights.symbolic(losses)
        return loss, {name: float(value.detach()) for name, value in losses.items()}


@dataclass(frozen=True)
class _Hybrid:
    """The second stage's loss: the likelihood's, and the spectral term of one random family."""

    likelihood: _Likelihood
    spectral: SpectralTerm

    def __call__(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict]:
        loss, metrics = self.likelihood(step, rng)
        model, chains = self.likelihood.model, self.likelihood.chains
        sound = self.spectral(model, chains, int(rng.integers(chains.count)), rng)
        loss = loss + self.likelihood.weights.spectral * sound
        return loss, {**metrics, "spectral": float(sound.detach())}
