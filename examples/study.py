"""Two studies of the network on one data set, at a small budget, several seeds each.

    unmix gen-data --chains --count 20000 --seed 2 --out data/study
    python examples/study.py inputs --data data/study --out runs/study
    python examples/study.py geometry --data data/study --out runs/study

``inputs``: what each input adds to the recording's log-mel. ``geometry``: the hyperbolic decoder
against its Euclidean twin. Prints a Markdown table: accuracy (by equivalence, in %) by length of
the chain, and knob error, on held-out chains, with 95 % intervals over the seeds (Student's t).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from unmix.inverse.encoder import OPTIONAL
from unmix.inverse.model import ModelConfig
from unmix.training import inverse
from unmix.weights import load_inverse

SMALL = {"widths": (96, 128, 192), "size": 256, "heads": 8, "hidden": 192, "timeline": 32}
INPUTS = {
    "log-mel": (),
    "+ log-mel of the source": ("source_mel",),
    "+ transfer function": ("source_mel", "transfer"),
    "+ level statistics": ("source_mel", "transfer", "stats"),
    "+ link (complex coherence over time)": OPTIONAL,
}
VARIANTS = {
    "inputs": {name: {"config": {"inputs": inputs}} for name, inputs in INPUTS.items()},
    "geometry": {name: {"geometry": name} for name in ("hyperbolic", "euclidean")},
}
HELD_OUT_SEED = 50_000  # apart from training's own validation


def figures(model, held_out) -> list[float]:
    """Accuracy by length and knob error."""
    with torch.no_grad():
        batch = held_out.batch(np.arange(held_out.count), None, "cpu")
        found = inverse.chain_figures(model, batch)
    shares = [100 * found[f"accuracy_{n}"] for n in range(1, 6)]
    return [*shares, float(np.mean(shares)), found["knob_error"]]


def main(what: str, data: Path, out: Path, steps: int, seeds: int, count: int, batch: int) -> None:
    held_out = inverse.validation_data(HELD_OUT_SEED, count)
    rows = {}
    for number, (name, options) in enumerate(VARIANTS[what].items()):
        options = dict(options)
        config = ModelConfig(**SMALL | options.pop("config", {}))
        for seed in range(seeds):
            run = out / f"{what}-{number}-{seed}"
            inverse.train(
                data,
                run,
                steps,
                batch=batch,
                seed=seed,
                validation=min(100, count),
                config=config,
                **options,
            )
            model = load_inverse(path=run / inverse.MODEL)
            rows.setdefault(name, []).append(figures(model, held_out))
    print(f"{steps} steps of {batch}, seeds: {seeds}, {count} held-out chains\n")
    print(f"| {what} | 1 | 2 | 3 | 4 | 5 | all | knob error |\n|{' --- |' * 8}")
    for name, values in rows.items():
        mean = np.mean(values, 0)
        cells = [f"{m:.1f}" for m in mean[:-1]] + [f"{mean[-1]:.3f}"]
        if seeds > 1:
            wide = student.ppf(0.975, seeds - 1) * np.std(values, 0, ddof=1) / np.sqrt(seeds)
            wides = [f"{w:.1f}" for w in wide[:-1]] + [f"{wide[-1]:.3f}"]
            cells = [f"{cell} ± {w}" for cell, w in zip(cells, wides, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=VARIANTS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--count", type=int, default=1000)
    main(**vars(parser.parse_args()))
