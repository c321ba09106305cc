"""The one training loop: resumable, visible, stoppable at any moment.

A run lives in a folder:

- ``last.safetensors``: weights, optimizer state and (in the header, as JSON) step, seconds, best
  score and configuration. One file, published whole: a killed run never leaves half a state.
- ``best.safetensors``: the weights with the lowest held-out score.
- ``metrics.jsonl``: one JSON object a line, {"step", "seconds", "loss", …} or
  {"step", "seconds", "held_out": {…}}.
- ``curves.png``: loss and held-out figures over steps.

Every step draws its randomness from (seed, step) alone, so that a run that was broken and resumed
takes the same steps as one that was not; with several processes (parallel.py) from (seed, step,
rank).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from unmix.errors import UnmixError
from unmix.networks import checkpoint
from unmix.runtime.files import write_text
from unmix.runtime.interrupt import interruptible
from unmix.training import distributed
from unmix.training.progress import Report, Silence

BUDGET_KEYS = ("steps", "minutes")  # may grow when a run is continued


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast.

    Args:
        steps, minutes: the budget; the run ends at whichever comes first, one must be given.
            Minutes count training and validation, over all sessions of the run.
        learning_rate: the peak, reached after ``warmup`` (a share of the budget), from where a
            half cosine falls to ``final_share`` of it.
        geometric: the half cosine runs on the logarithm of the rate. For a loss in decibels on a
            problem with an exact solution: its gradient does not fade near the solution, so that
            only the falling rate lets the error fall, and both then fall alike.
        weight_decay: of AdamW.
        clip: largest norm of the whole gradient.
        validate_every: steps between validations. A checkpoint follows each one, the plot too.
        log_every: steps between lines in metrics.jsonl.
        seed: of everything random.
        describe: anything JSON that identifies the run (data, model); resuming checks it.
    """

    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 1e-3
    warmup: float = 0.02
    final_share: float = 0.01
    geometric: bool = False
    weight_decay: float = 0.0
    clip: float = 1.0
    validate_every: int = 500
    log_every: int = 20
    seed: int = 0
    describe: dict = field(default_factory=dict)

    def __post_init__(self):
        budgets = [b for b in (self.steps, self.minutes) if b is not None]
        if not budgets or min(budgets) <= 0:
            raise UnmixError("give the training a budget above 0: steps or minutes")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is used up, 0…1."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.minutes is not None:
            shares.append(seconds / (60 * self.minutes))
        return min(max(shares), 1.0)

    def rate(self, progress: float) -> float:
        """Learning rate at that share of the budget: linear warm-up, then half a cosine."""
        if progress < self.warmup:
            return self.learning_rate * (progress / self.warmup * 0.99 + 0.01)
        swing = 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        if self.geometric:
            return self.learning_rate * self.final_share ** (1 - swing)
        return self.learning_rate * (self.final_share + (1 - self.final_share) * swing)


def learn_only(model: nn.Module, names) -> None:
    """Freeze all but the modules of these names, of what is not frozen already."""
    modules = dict(model.named_modules())
    if unknown := [name for name in names if name not in modules]:
        known = ", ".join(name for name in modules if name and name.count(".") < 2)
        raise UnmixError(f"no module {unknown[0]!r} in the model; try one of {known}")
    learned = {id(p) for name in names for p in modules[name].parameters() if p.requires_grad}
    if not learned:
        raise UnmixError(f"nothing to train in {', '.join(names)}, which the part does not have")
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learned)


@dataclass(frozen=True)
class FitResult:
    """Where a call of ``fit`` ended."""

    step: int
    seconds: float
    best: float
    finished: bool  # False: interrupted; the same call goes on


def fit(
    module: nn.Module,
    step_fn: Callable[[int, np.random.Generator], tuple[torch.Tensor, dict[str, float]]],
    validate_fn: Callable[[], dict[str, float]],
    run_dir,
    config: FitConfig,
    *,
    score: str,
    device: str = "cpu",
    wandb: bool = False,
    audio_fn: Callable[[], dict[str, np.ndarray]] | None = None,
) -> FitResult:
    """Train ``module`` until the budget is used up; resume if ``run_dir`` holds a checkpoint.

    Args:
        module: its parameters that require a gradient are trained, and all of its state is kept.
        step_fn: (step, rng) -> (scalar loss, figures to log). It draws its own batch, from ``rng``
            (or torch's generator, seeded alike) only, and may look at ``step`` to change the
            loss over time. Runs in training mode, under bf16 autocast on CUDA.
        validate_fn: () -> held-out figures; in evaluation mode, without gradients. It must not
            depend on anything random.
        run_dir: the run's folder, made if missing.
        score: which held-out figure decides the best checkpoint; lower is better.
        device: where the module is moved to.
        wandb: log curves (and ``audio_fn``'s mono clips at 44.1 kHz) to Weights & Biases, whose own
            environment variables choose project and offline mode.

    Returns:
        FitResult. After Ctrl-C (SIGINT) the state is saved and ``finished`` is False.

    Raises:
        UnmixError: the folder holds a different run, the loss is not finite, wandb is missing.
    """
    run_dir = Path(run_dir)
    distributed.join(device)
    rank = distributed.rank()
    module.to(device).train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    settings = json.loads(json.dumps(asdict(config)))
    step, before, best = 0, 0.0, math.inf
    if (run_dir / checkpoint.LAST).exists():
        progress = checkpoint.load(run_dir / checkpoint.LAST, module, optimizer)
        _check_same_run(run_dir, progress["config"], settings)
        step, before, best = progress["step"], progress["seconds"], progress["best"]
    distributed.same_weights(module)
    distributed.wait()  # until every process has read where to go on
    if rank == 0:
        report = Report(run_dir, config, step, before, wandb=wandb)
        write_text(run_dir / "config.json", json.dumps(settings, indent=2, ensure_ascii=False))
    else:
        report = Silence()
    started = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - started

    def validate_and_save() -> float:
        module.eval()
        with torch.no_grad():
            figures = validate_fn()
            clips = audio_fn() if wandb and audio_fn else {}
        module.train()
        lowest = min(best, figures[score])
        if figures[score] < best or not (run_dir / checkpoint.BEST).exists():
            checkpoint.save_weights(
                run_dir / checkpoint.BEST, module, {"step": step, "held_out": figures}
            )
        save(lowest)
        report.held_out(step, seconds(), figures, clips)
        return lowest

    def save(lowest: float) -> None:
        progress = {"step": step, "seconds": seconds(), "best": lowest, "config": settings}
        checkpoint.save(run_dir / checkpoint.LAST, module, optimizer, progress)

    with interruptible() as interrupted, report:
        validated = step if step else -1
        while True:
            share, stop = distributed.agree(
                [config.progress(step, seconds()), interrupted.is_set()], device
            )
            if share >= 1 or stop:
                break
            for group in optimizer.param_groups:
                group["lr"] = config.rate(share)
            stream = [config.seed, step, rank] if rank else [config.seed, step]
            torch.manual_seed(config.seed * 1_000_003 + step + rank * 1_000_000_007)
            with _autocast(device):
                loss, figures = step_fn(step, np.random.default_rng(stream))
            if not torch.isfinite(loss):
                raise UnmixError(
                    f"the loss is {loss.item()} at step {step}; try a lower learning rate "
                    f"(the last checkpoint in {run_dir} is sound)"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            distributed.mean_gradients(parameters)
            nn.utils.clip_grad_norm_(parameters, config.clip)
            optimizer.step()
            step += 1
            report.step(step, seconds(), {"loss": loss.item(), **figures}, config.rate(share))
            if rank == 0 and step % config.validate_every == 0:
                best, validated = validate_and_save(), step
        if rank == 0 and stop:
            save(best)
        elif rank == 0 and validated != step:
            best = validate_and_save()
    distributed.wait()
    return FitResult(step, seconds(), best, not stop)


def _check_same_run(run_dir: Path, old: dict, new: dict) -> None:
    different = [k for k in new if k not in BUDGET_KEYS and k in old and old[k] != new[k]]
    if different:
        raise UnmixError(
            f"{run_dir} holds a run with other settings ({', '.join(different)}); "
            "repeat its command to continue it, or choose another folder"
        )


def _autocast(device: str):
    kind = torch.device(device).type
    half = kind == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(kind, torch.bfloat16, enabled=half)
