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
from unmix.training.datasets import HIDDEN_SHARES, ChainData, validation_data
from unmix.training.hybrid import HYBRID, SpectralTerm, _half_on_cpu
from unmix.training.loop import FitConfig, FitResult, fit, learn_only
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
        return self.symbolic({k: v for k, v in parts.items() if k != "guess"})

    def symbolic(self, parts: dict):
        """Of everything that is compared with labels, as far as ``parts`` has it."""
        return sum(getattr(self, name) * value for name, value in parts.items())


def chain_figures(model, batch: dict, beams: int = 10) -> dict[str, float]:
    """Accuracy of a model's first answers on a batch with true labels, while it trains.

    Chains are spelled in canonical form on both sides, so that accuracy is by equivalence class.

    Returns:
        accuracy_N for each length N in the batch, top5, knob_error given the true chain.
    """
    pictures = model.network_inputs(batch)
    z = model.encoder(pictures).float()
    orders = [tuple(x for x in row if x >= 0) for row in batch["order"].tolist()]
    found = [[order for order, _ in model.decoder.beam_search(row, beams)] for row in z]
    right = np.array([best[0] == order for best, order in zip(found, orders, strict=True)])
    lengths = np.array([len(order) for order in orders])
    figures = {
        f"accuracy_{n}": float(right[lengths == n].mean())
        for n in range(MAX_LENGTH + 1)
        if (lengths == n).any()
    }
    pairs = zip(found, orders, strict=True)
    figures["top5"] = float(np.mean([order in best[:5] for best, order in pairs]))
    figures["knob_error"] = knob_error(model.knob_losses(pictures, batch)[1], batch)
    return figures


def knob_error(mixtures: dict, batch: dict) -> float:
    """Mean |û − u| (circular for angles) of the medians of InverseModel.knob_losses' mixtures."""
    errors = []
    for name, (rows, mixture) in mixtures.items():
        true = batch[f"knobs.{name}"][rows]
        panel = effects.get(name).panel
        errors.append(panel.distance(mixture.median().cpu().numpy(), true.cpu().numpy()).ravel())
    return float(np.concatenate(errors).mean())


def held_out_figures(model: InverseModel, data: ChainData, device: str, weights: Weights) -> dict:
    """Losses and ``chain_figures`` of a model on all of a set; "score" says which state is best."""
    batch = data.batch(np.arange(data.count), device)
    parts = {name: float(value) for name, value in model.losses(batch).items()}
    return {"score": weights.likelihood(parts), **parts, **chain_figures(model, batch)}


def train(
    data,
    out,
    steps: int | None = None,
    minutes: float | None = None,
    hybrid_steps: int = 0,
    batch: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    geometry: str = "hyperbolic",
    validation: int = 300,
    device: str | None = None,
    wandb: bool = False,
    start=None,
    config: ModelConfig | None = None,
    masked: float = 0.0,
    hidden_shares: tuple[float, float] = HIDDEN_SHARES,
    only: str | None = None,
    learn: tuple[str, ...] = (),
    resident: bool = False,
    validate_every: int = 500,
) -> FitResult:
    """Train the whole model; the same call resumes a broken run.

    First the likelihood of chain, switches and knobs (teacher forcing throughout). Then, for
    ``hybrid_steps`` at a tenth of the learning rate, the spectral term through the frozen proxies
    joins in.

    Args:
        data: folder of a chains data set, or several. out: run folder; ``model.safetensors`` in it
            is the result: the state of the last stage with the lowest held-out likelihood loss.
        steps, minutes: budget of the first stage, at least one of them.
        batch: items a step.
        geometry: a key of decoder.CORES.
        validation: held-out chains, drawn from a stream of their own.
        device: "cpu", "cuda", …; None takes CUDA when there is one.
        start: weights to begin from, instead of random ones; a part of the model that this file
            does not have, or has in another size, begins at random.
        config: sizes and inputs of the model; its effects are those of the data.
        masked, hidden_shares: as of ChainData.
        only: a key of model.PARTS, "chain" or "knobs": the other part stays as it is.
        learn: names of modules, as "encoder.levels" or "decoder": all others stay as they are.
        resident: keep the data in the memory of the device. Sets that are not finished yet will do
            then, from their first shard on: what comes is taken up.
        validate_every: steps between validations in the first stage.

    Started by ``torchrun`` several processes train one model (parallel.py), ``batch`` items each.

    Raises:
        UnmixError: no such data set, a run folder of another run, diverged loss.
    """
    if geometry not in CORES:
        raise UnmixError(f"no decoder {geometry!r}; the decoders are {', '.join(CORES)}")
    if only is not None and only not in PARTS:
        raise UnmixError(f"no part {only!r}; the parts are {', '.join(PARTS)}")
    device = device or distributed.default_device()
    out, weights = Path(out), Weights()
    folders = data if isinstance(data, list | tuple) else [data]
    parts = tuple(PARTS) if only is None else (only,)
    unused = set.intersection(*(UNUSED[part] for part in parts))
    where = device if resident else None
    chains, configs = ChainData.open(
        *folders, masked=masked, hidden_shares=hidden_shares, resident=where, without=unused
    )
    torch.manual_seed(seed)
    vocabulary = tuple(configs[0]["effects"])
    config = replace(config or ModelConfig(), geometry=geometry, effects=vocabulary)
    model = InverseModel(config)
    describe = {
        "data": configs,
        "items": sum(read_manifest(folder)["count"] for folder in folders),
        "batch": batch,
        "masked": masked,
        "hidden_shares": list(hidden_shares),
        "only": only,
        "learn": list(learn),
        "model": model.config.to_dict(),
    }
    if start is not None:
        checkpoint.begin_from(start, model, read_inverse(start)[0])
        describe["start"] = inverse_hash(start)
    learn_only(model, [name for part in parts for name in PARTS[part]])
    if learn:
        learn_only(model, learn)

    def likelihood(rng) -> tuple[torch.Tensor, dict]:
        for each in chains.sets if resident else ():
            each.grow()
        items = chains.source_dropout(chains.batch(chains.draw(rng, batch), device, unused))
        with _half_on_cpu(device):
            losses = model.losses(items, parts)
        loss = weights.symbolic(losses)
        return loss, {name: float(value.detach()) for name, value in losses.items()}

    def step_likelihood(step, rng):
        return likelihood(rng)

    held_out = cache(lambda: validation_data(seed, validation, model.effects))

    def validate():
        return held_out_figures(model, held_out(), device, weights)

    spectral = SpectralTerm(configs, device=device) if hybrid_steps else None
    shared = {"weight_decay": 0.02, "clip": 5.0, "seed": seed, "describe": describe}
    how = {"score": "score", "device": device, "wandb": wandb}
    budget = FitConfig(steps, minutes, learning_rate, validate_every=validate_every, **shared)
    result = fit(model, step_likelihood, validate, out, budget, **how)
    best = out
    if result.finished and hybrid_steps:
        tensors, _ = checkpoint.read(out / checkpoint.BEST, device)
        checkpoint.load_weights(out / checkpoint.BEST, model, tensors)

        def step_hybrid(step, rng):
            loss, figures = likelihood(rng)
            features = spectral(model, chains, int(rng.integers(chains.count)), rng)
            return loss + weights.spectral * features, {
                **figures,
                "spectral": float(features.detach()),
            }

        budget = FitConfig(hybrid_steps, None, learning_rate / 10, validate_every=100, **shared)
        best = out / HYBRID
        result = fit(model, step_hybrid, validate, best, budget, **how)
    if result.finished and distributed.rank() == 0:
        tensors, about = checkpoint.read(best / checkpoint.BEST, device)
        checkpoint.load_weights(best / checkpoint.BEST, model, tensors)
        about = {"config": model.config.to_dict(), **about, "data": configs, "seed": seed}
        if only is not None:
            about["only"] = only
        checkpoint.save_weights(out / MODEL, model, about)
    return result
