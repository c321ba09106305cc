"""Training one proxy alone, on pairs (dry, wet) of its effect with random settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from unmix import effects
from unmix.data import fingerprint
from unmix.dsp import losses
from unmix.effects.black_box import black_box, crop
from unmix.errors import UnmixError
from unmix.training.loop import FitConfig, FitResult, Task, fit

NAMES = ("dry", "wet", "knobs", "switches")
HELD_OUT_SHARE, HELD_OUT_RANGE = 0.1, (8, 200)
FLOOR = 1e-7  # an item at −70 dB has half the pull of one at the same error in a plain logarithm
FLOOR_DB = -100.0  # of held-out figures
VALIDATION_BATCH = 16
LEARNING_RATE = 3e-3


class Pairs(Protocol):
    """Where pairs come from: data.reader.Reader, or anything alike.

    ``manifest`` describes the data, ``count`` is the number of items, and ``load(names, indices)``
    returns {name: (len(indices), …) array} for dry (N, T), wet (N, T), knobs (N, K) in 0…1 and
    switches (N, S) option numbers.
    """

    manifest: dict
    count: int

    def load(self, names, indices) -> dict: ...


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the training items and of the held-out ones, drawn by ``seed``.

    Raises:
        UnmixError: too few items to hold any out.
    """
    held_out = int(np.clip(HELD_OUT_SHARE * count, *HELD_OUT_RANGE))
    if count < 2 * held_out:
        raise UnmixError(f"{count} pairs are too few to train on; make {2 * held_out} or more")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def batch_loss(proxy, batch: dict[str, torch.Tensor], mss_weight: float = 0.0, skip: int = 0):
    """Error-to-signal ratio in dB, plus the terms below.

    Half of it is the mean of the items' decibels, where every item counts alike, whatever its
    level and however well it is matched already; half is the decibels of the items' mean ratio,
    where the worst ones count. ``mss_weight`` (dB per unit) adds the multi-scale STFT loss; a proxy
    that has a method ``auxiliary_loss(dry, wet, knobs, switches)`` adds that. The first ``skip``
    samples go through the proxy, but are not compared.

    Returns:
        scalar loss, {"esr_db": the mean of the decibels}.
    """
    dry, wet, knobs, switches = (batch[name] for name in NAMES)
    estimate, wet = proxy(dry, knobs, switches).float()[:, skip:], wet[:, skip:]
    ratio = losses.esr(estimate, wet)
    esr_db = 10 * (ratio + FLOOR).log10().mean()
    loss = 0.5 * esr_db + 5 * (ratio.mean() + FLOOR).log10()
    if mss_weight:
        loss = loss + mss_weight * losses.mss(estimate, wet).mean()
    if hasattr(proxy, "auxiliary_loss"):
        loss = loss + proxy.auxiliary_loss(dry, wet, knobs, switches)
    return loss, {"esr_db": esr_db.item()}


def esr_db(proxy, pairs: Pairs, indices, device: str = "cpu") -> np.ndarray:
    """Error-to-signal ratio of the items ``indices`` in dB, not below FLOOR_DB: (len(indices),)."""
    errors = []
    for start in range(0, len(indices), VALIDATION_BATCH):
        batch = load_batch(pairs, indices[start : start + VALIDATION_BATCH], device)
        with torch.no_grad():
            estimate = proxy(batch["dry"], batch["knobs"], batch["switches"])
        found = zip(estimate.float(), batch["wet"], strict=True)
        errors += [losses.esr_db(one, wet, FLOOR_DB) for one, wet in found]
    return np.array(errors)


def load_batch(pairs: Pairs, indices, device: str) -> dict[str, torch.Tensor]:
    """Items ``indices`` of ``pairs`` as tensors on ``device``."""
    arrays = pairs.load(NAMES, indices)
    return {name: torch.as_tensor(arrays[name]).to(device) for name in NAMES}


@dataclass(frozen=True)
class ProxyTraining:
    """How a proxy is trained.

    Args:
        minutes, steps: the budget, at least one of them.
        batch: pairs a step.
        learning_rate: the peak; None takes that of the proxy's ``schedule`` (fields of FitConfig,
            where the class has such a dictionary), else LEARNING_RATE.
        mss_weight: as of ``batch_loss``.
        seed: of everything random.
        device: "cpu", "cuda", …; None takes CUDA when there is one.
        wandb: log to Weights & Biases.
        validate_every: steps between validations.
        baseline: train a black box of the same size instead (effects/black_box.py).
    """

    minutes: float | None = None
    steps: int | None = None
    batch: int = 16
    learning_rate: float | None = None
    mss_weight: float = 0.0
    seed: int = 0
    device: str | None = None
    wandb: bool = False
    validate_every: int = 250
    baseline: bool = False

    def fit_config(self, proxy, describe: dict) -> FitConfig:
        """For ``fit``: the proxy's own schedule, with this budget."""
        schedule = {"learning_rate": LEARNING_RATE} | getattr(proxy, "schedule", {})
        if self.learning_rate:
            schedule["learning_rate"] = self.learning_rate
        own = {key: getattr(self, key) for key in ("steps", "minutes", "validate_every", "seed")}
        return FitConfig(**own, describe=describe, **schedule)


def train_proxy(
    effect: str, pairs: Pairs, out, training: ProxyTraining = ProxyTraining()
) -> FitResult:
    """Train the proxy of ``effect`` on ``pairs``; the run folder ``out`` is as ``fit`` says.

    Args:
        effect: name of the effect that the pairs were rendered with.
        pairs: the data; a share of it (by ``seed``) is held out, and the checkpoint with the
            lowest mean error-to-signal ratio there is kept as ``best.safetensors``.

    Raises:
        UnmixError: unknown effect, a proxy without parameters, pairs of another effect or of other
            controls, too few pairs, and what ``fit`` raises.
    """
    _check_made_with(effect, pairs.manifest)
    device = training.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(training.seed)
    fx = effects.get(effect)
    proxy = black_box(fx) if training.baseline else fx.build_proxy()
    if not any(True for _ in proxy.parameters()):
        raise UnmixError(f"the proxy of {effect} computes everything: there is nothing to train")
    train, held_out = split(pairs.count, training.seed)

    def step(number: int, rng: np.random.Generator):
        picked = np.sort(rng.choice(train, min(training.batch, len(train)), replace=False))
        items = load_batch(pairs, picked, device)
        items, skip = crop(items, rng) if training.baseline else (items, 0)
        return batch_loss(proxy, items, training.mss_weight, skip)

    def validate() -> dict[str, float]:
        errors = esr_db(proxy, pairs, held_out, device)
        return {
            "esr_db": float(errors.mean()),
            "median": float(np.median(errors)),
            "percentile_95": float(np.percentile(errors, 95)),
        }

    def clips() -> dict[str, np.ndarray]:
        items = load_batch(pairs, held_out[:3], device)
        estimates = proxy(items["dry"], items["knobs"], items["switches"])
        sounds = {"dry": items["dry"], "wet": items["wet"], "proxy": estimates}
        return {f"{k}/{i}": v[i].cpu().numpy() for k, v in sounds.items() for i in range(len(v))}

    describe = {
        "effect": effect,
        "pairs": pairs.count,
        "data": pairs.manifest.get("fingerprint"),
        "batch": training.batch,
        "mss_weight": training.mss_weight,
        "baseline": training.baseline,
    }
    config = training.fit_config(proxy, describe)
    task = Task(step, validate, "esr_db", clips)
    return fit(proxy, task, out, config, device, training.wandb)


def _check_made_with(effect: str, manifest: dict) -> None:
    """UnmixError unless the pairs are of this effect, with the controls that it has now."""
    made_with = manifest.get("effect", effect)
    if made_with != effect:
        raise UnmixError(f"these pairs were made with {made_with}, not with {effect}")
    controls = manifest.get("config", {}).get("controls")
    if controls is not None and controls != fingerprint.controls([effect]):
        raise UnmixError(f"these pairs were made with other controls of {effect}; make them again")
