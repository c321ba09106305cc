"""Studies of the network on one data set, at a small budget, several seeds each.

    unmix gen-data --chains --count 18000 --seed 3 --out data/study
    python examples/research/study.py inputs --data data/study --out runs/study
    python examples/research/study.py geometry --data data/study --out runs/study
    python examples/research/study.py loss --data data/study --out runs/study

``inputs``: what each input adds to the recording's log-mel. ``geometry``: the hyperbolic decoder
against a Euclidean one. ``loss``: the spectral term through the proxies against as many steps of
the likelihood alone. Prints a Markdown table: accuracy (by equivalence, in %) by length of the
chain, audible-knob error and real distance (median MSS) of the first answer, on held-out chains,
with 95 % intervals over the seeds (Student's t).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import t as student
from tqdm import tqdm

from unmix.evaluation.chains import answer, ask, by_length
from unmix.evaluation.held_out import held_out
from unmix.features.spec import GROUPS
from unmix.networks.model import ModelConfig
from unmix.training import network
from unmix.training.network import NetworkTraining
from unmix.weights import load_inverse

SMALL = {
    **{"widths": (64, 96, 128), "size": 192, "heads": 6, "hidden": 160, "timeline": 24},
    "score_widths": (64, 96),
}
INPUTS = {
    "log-mel": (),
    "+ log-mel of the source": ("source_mel",),
    "+ transfer function": ("source_mel", "transfer"),
    "+ level statistics": ("source_mel", "transfer", "stats"),
    "+ link (complex coherence over time)": ("source_mel", "transfer", "stats", "link"),
    "+ score (read along frequency)": ("source_mel", "transfer", "stats", "link", "score"),
    "+ amplitudes": ("source_mel", "transfer", "stats", "link", "score", "amplitudes"),
    "+ wave-shaped copies": GROUPS,
}
LOSSES = {"likelihood alone": 0, "with the spectral term": 1}  # share of the added steps
HELD_OUT_SEED = 50_000  # apart from training's own validation


def variants(what: str, steps: int, added: int) -> dict[str, dict]:
    """{name: options of NetworkTraining} of a study."""
    if what == "inputs":
        return {
            name: {"steps": steps, "config": ModelConfig(**SMALL, inputs=inputs)}
            for name, inputs in INPUTS.items()
        }
    small = ModelConfig(**SMALL)
    if what == "geometry":
        both = ("hyperbolic", "euclidean")
        return {name: {"steps": steps, "geometry": name, "config": small} for name in both}
    return {
        name: {
            "steps": steps + added * (1 - through),
            "hybrid_steps": added * through,
            "config": small,
        }
        for name, through in LOSSES.items()
    }


def figures(model, questions: list) -> list[float]:
    """Accuracy by length and of all in %, audible-knob error, real distance."""
    found = by_length([answer(model, question) for question in questions])
    parts = [*found["by_length"].values(), found["all"]]
    shares = [100 * part["equivalence"] for part in parts]
    error = found["all"]["audible_knob_error"]  # None where nothing was named rightly
    return [*shares, np.nan if error is None else error, found["all"]["mss"]]


def main(
    what: str, data: Path, out: Path, steps: int, added: int, seeds: int, count: int, batch: int
) -> None:
    rows, held_out_chains = {}, held_out(HELD_OUT_SEED, "probe")
    questions = [ask(held_out_chains, i) for i in tqdm(range(count), "questions", leave=False)]
    for number, (name, options) in enumerate(variants(what, steps, added).items()):
        for seed in range(seeds):
            run = out / f"{what}-{number}-{seed}"
            training = NetworkTraining(
                batch=batch, seed=seed, validation=min(100, count), **options
            )
            network.train(data, run, training)
            model = load_inverse(path=run / network.MODEL)
            rows.setdefault(name, []).append(figures(model, questions))
    print(f"{steps} steps of {batch}, seeds: {seeds}, {count} held-out chains\n")
    print(f"| {what} | 1 | 2 | 3 | 4 | 5 | all | audible-knob error | MSS |\n|{' --- |' * 9}")
    for name, values in rows.items():
        mean = np.mean(values, 0)
        cells = [f"{m:.1f}" for m in mean[:-2]] + [f"{m:.3f}" for m in mean[-2:]]
        if seeds > 1:
            wide = student.ppf(0.975, seeds - 1) * np.std(values, 0, ddof=1) / np.sqrt(seeds)
            wides = [f"{w:.1f}" for w in wide[:-2]] + [f"{w:.3f}" for w in wide[-2:]]
            cells = [f"{cell} ± {w}" for cell, w in zip(cells, wides, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("inputs", "geometry", "loss"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--added", type=int, default=60, help="steps of `loss` that differ")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--count", type=int, default=500)
    main(**vars(parser.parse_args()))
