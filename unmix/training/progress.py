"""What a person sees of a training run: progress bar, metrics file, plot, Weights & Biases."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from unmix.audio.io import SAMPLE_RATE
from unmix.errors import UnmixError
from unmix.runtime.files import write_atomic, write_text

METRICS, CURVES = "metrics.jsonl", "curves.png"


class Report:
    """Collects figures of a run; used as a context manager around the loop.

    Lines of metrics.jsonl that lie beyond the step which a run resumes from are dropped: those
    steps are taken again.
    """

    def __init__(self, run_dir: Path, config, step: int, seconds: float, wandb: bool):
        self.run_dir, self.config = run_dir, config
        self.lines = [line for line in read_metrics(run_dir / METRICS) if line["step"] <= step]
        write_text(run_dir / METRICS, "".join(json.dumps(line) + "\n" for line in self.lines))
        self.sums: dict[str, list[float]] = {}
        self.wandb = _start_wandb(run_dir, config) if wandb else None
        by_time = config.steps is None
        self.bar = tqdm(
            desc=run_dir.name,
            total=round(60 * config.minutes) if by_time else config.steps,
            initial=round(seconds) if by_time else step,
            unit="s" if by_time else "step",
            mininterval=0.2 if sys.stderr.isatty() else 10,
        )
        self.by_time = by_time

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.close()
        if self.wandb:
            self.wandb.finish()

    def step(self, step: int, seconds: float, figures: dict[str, float], rate: float) -> None:
        """Count a step; every ``log_every`` steps the means since the last line are written."""
        self.bar.update((round(seconds) if self.by_time else step) - self.bar.n)
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(float(value))
        if step % self.config.log_every == 0:
            means = {name: float(np.mean(values)) for name, values in self.sums.items()}
            self.sums = {}
            self._write({"step": step, "seconds": round(seconds, 1), "rate": rate, **means})
            self.bar.set_postfix_str(f"step {step}, loss {means['loss']:.4g}", refresh=False)
            if self.wandb:
                self.wandb.log({"rate": rate, **means}, step=step)

    def held_out(self, step: int, seconds: float, figures: dict, clips: dict) -> None:
        """Record held-out figures and draw the curves anew."""
        self._write({"step": step, "seconds": round(seconds, 1), "held_out": figures})
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if not self.bar.disable:  # --quiet
            self.bar.write(f"step {step}: held out: {text}", file=self.bar.fp)
        plot(self.run_dir / CURVES, self.lines)
        if self.wandb:
            import wandb

            features = {k: wandb.Audio(v, sample_rate=SAMPLE_RATE) for k, v in clips.items()}
            self.wandb.log({f"held_out/{k}": v for k, v in figures.items()} | features, step=step)

    def _write(self, line: dict) -> None:
        self.lines.append(line)
        with (self.run_dir / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Silence:
    """A report that nobody sees: of every process but the first."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def step(self, *_):
        pass


def _start_wandb(run_dir: Path, config):
    try:
        import wandb
    except ImportError:
        raise UnmixError("wandb is not installed: pip install 'unmix[wandb]'") from None
    return wandb.init(dir=run_dir, name=run_dir.name, config=vars(config), resume="allow")


def read_metrics(path: Path) -> list[dict]:
    """Lines of a metrics file; a last line that a crash cut short is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def plot(path: Path, lines: list[dict]) -> None:
    """Loss (left) and held-out figures (right) over steps, as PNG."""
    from matplotlib.figure import Figure

    losses = [line for line in lines if "loss" in line]
    held_out = [line for line in lines if "held_out" in line]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([x["step"] for x in losses], [x["loss"] for x in losses], lw=0.8)
    left.set(title="training loss", xlabel="step")
    for name in held_out[-1]["held_out"] if held_out else ():
        right.plot(
            [x["step"] for x in held_out], [x["held_out"][name] for x in held_out], ".-", label=name
        )
    right.set(title="held out", xlabel="step")
    if held_out:
        right.legend()
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=110))
