"""The one training loop: resumable, visible, stoppable at any moment.

A run lives in a folder:

- ``last.safetensors``: weights, optimizer state and (in the header, as JSON) step, seconds, best
  score and configuration. One file, published whole: a killed run never leaves half a state.
- ``best.safetensors``: the weights with the lowest held-out score. Both name the versions of the
  program and of the probe.
- ``metrics.jsonl``: one JSON object a line, {"step", "seconds", "loss", …} or
  {"step", "seconds", "held_out": {…}}.
- ``curves.png``: loss and held-out metrics over steps.

Every step draws its randomness from (seed, step) alone, so that a run that was broken and resumed
takes the same steps as one that was not; with several processes (distributed.py) from (seed,
step, rank).
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

from unmix.data.fingerprint import versions
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
class Task:
    """What is learned, and how it is measured.

    Attributes:
        step: (step's number, rng) -> (scalar loss, metrics to log). It draws its own batch, from
            ``rng`` (or torch's generator, seeded alike) only, and may look at the number to change
            the loss over time. Runs in training mode, under bf16 autocast on CUDA.
        validate: () -> held-out metrics; in evaluation mode, without gradients. It must not depend
            on anything random.
        score: which held-out metric decides the best checkpoint; lower is better.
        clips: () -> {name: mono clip at 44.1 kHz} for Weights & Biases.
    """

    step: Callable[[int, np.random.Generator], tuple[torch.Tensor, dict[str, float]]]
    validate: Callable[[], dict[str, float]]
    score: str
    clips: Callable[[], dict[str, np.ndarray]] | None = None


@dataclass(frozen=True)
class FitResult:
    """Where a call of ``fit`` ended."""

    step: int
    seconds: float
    best: float
    finished: bool  # False: interrupted; the same call goes on


def fit(
    module: nn.Module,
    task: Task,
    run_dir,
    config: FitConfig,
    device: str = "cpu",
    wandb: bool = False,
) -> FitResult:
    """Train ``module`` until the budget is used up; resume if ``run_dir`` holds a checkpoint.

    Args:
        module: its parameters that require a gradient are trained, and all of its state is kept.
        task: loss and validation.
        run_dir: the run's folder, made if missing.
        config: budget, schedule and seed.
        device: where the module is moved to.
        wandb: log curves (and the task's clips) to Weights & Biases, whose own environment
            variables choose project and offline mode.

    Returns:
        FitResult. After Ctrl-C (SIGINT) the state is saved and ``finished`` is False.

    Raises:
        UnmixError: the folder holds a different run, the loss is not finite, wandb is missing.
    """
    distributed.join(device)
    run = _Run(module.to(device).train(), task, Path(run_dir), config, device)
    run.resume()
    rank = distributed.rank()
    report = run.report(wandb) if rank == 0 else Silence()
    with interruptible() as interrupted, report:
        validated = run.step if run.step else -1
        while True:
            share, stop = distributed.agree(
                [config.progress(run.step, run.seconds()), interrupted.is_set()], device
            )
            if share >= 1 or stop:
                break
            metrics = run.take_step(config.rate(share), rank)
            report.step(run.step, run.seconds(), metrics, config.rate(share))
            if rank == 0 and run.step % config.validate_every == 0:
                validated = run.validate(report)
        if rank == 0 and stop:
            run.save()
        elif rank == 0 and validated != run.step:
            run.validate(report)
    distributed.wait()
    return FitResult(run.step, run.seconds(), run.best, not stop)


class _Run:
    """The state of a run: weights, optimizer, step, seconds and the best score so far."""

    def __init__(self, module: nn.Module, task: Task, folder: Path, config: FitConfig, device: str):
        self.module, self.task, self.folder = module, task, folder
        self.config, self.device = config, device
        self.settings = json.loads(json.dumps(asdict(config)))
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.learning_rate, weight_decay=config.weight_decay
        )
        self.step, self.before, self.best = 0, 0.0, math.inf
        self.started = time.monotonic()

    def resume(self) -> None:
        """Go on from the last checkpoint in the folder, if there is one; in every process."""
        last = self.folder / checkpoint.LAST
        if last.exists():
            progress = checkpoint.load(last, self.module, self.optimizer)
            _check_same_run(self.folder, progress["config"], self.settings)
            self.step, self.before, self.best = (
                progress[key] for key in ("step", "seconds", "best")
            )
        distributed.same_weights(self.module)
        distributed.wait()  # until every process has read where to go on

    def report(self, wandb: bool) -> Report:
        """What a person sees of the run; writes its settings into the folder."""
        report = Report(self.folder, self.config, self.step, self.before, wandb=wandb)
        text = json.dumps(self.settings, indent=2, ensure_ascii=False)
        write_text(self.folder / "config.json", text)
        self.started = time.monotonic()
        return report

    def seconds(self) -> float:
        """Of training and validation, over all sessions."""
        return self.before + time.monotonic() - self.started

    def take_step(self, rate: float, rank: int) -> dict[str, float]:
        """One optimiser step at a learning rate; the loss and the task's metrics."""
        seed = self.config.seed
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        stream = [seed, self.step, rank] if rank else [seed, self.step]
        torch.manual_seed(seed * 1_000_003 + self.step + rank * 1_000_000_007)
        with _autocast(self.device):
            loss, metrics = self.task.step(self.step, np.random.default_rng(stream))
        if not torch.isfinite(loss):
            raise UnmixError(
                f"the loss is {loss.item()} at step {self.step}; try a lower learning rate "
                f"(the last checkpoint in {self.folder} is sound)"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        distributed.mean_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.item(), **metrics}

    def validate(self, report: Report) -> int:
        """Measure, keep the weights if they are the best, save the state; returns the step."""
        self.module.eval()
        with torch.no_grad():
            metrics = self.task.validate()
            clips = self.task.clips() if report.wandb and self.task.clips else {}
        self.module.train()
        score, best = metrics[self.task.score], self.folder / checkpoint.BEST
        if score < self.best or not best.exists():
            about = {"step": self.step, "held_out": metrics, **versions()}
            checkpoint.save_weights(best, self.module, about)
        self.best = min(self.best, score)
        self.save()
        report.held_out(self.step, self.seconds(), metrics, clips)
        return self.step

    def save(self) -> None:
        """Write the checkpoint that a run goes on from."""
        progress = {"step": self.step, "seconds": self.seconds(), "best": self.best}
        progress |= {"config": self.settings, **versions()}
        checkpoint.save(self.folder / checkpoint.LAST, self.module, self.optimizer, progress)


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
