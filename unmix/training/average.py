"""Results of training runs put into the package, and means of weights.

Weights that began from the same ones can be averaged: such means often generalise better than any
of their parts (Wortsman et al., "Model soups", ICML 2022).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from unmix import effects, weights
from unmix.networks import checkpoint
from unmix.networks.model import PARTS
from unmix.training.network import MODEL


@torch.no_grad()
def average_into(model: nn.Module, others: list[tuple[dict, float]], modules) -> None:
    """Replace parameters of a model by their mean with those of others.

    Args:
        others: (tensors by name, share of the mean) of each; the rest of the mean is the model's.
            What one of them lacks is the mean of the others.
        modules: names of the model's top modules that are averaged.
    """
    for name, parameter in model.named_parameters():
        if name.split(".")[0] not in modules:
            continue
        have = [(tensors[name], share) for tensors, share in others if name in tensors]
        parameter.mul_(1 - sum(share for _, share in have))
        for tensor, share in have:
            parameter.add_(tensor.float(), alpha=share)


def _take_last(run: Path, model: nn.Module, about: dict) -> None:
    """Put the state that a run ended with into a model."""
    end = run / checkpoint.LAST
    tensors, progress = checkpoint.read_weights(end)
    checkpoint.load_weights(end, model, tensors)
    about["last_step"] = progress["step"]


def bundle_proxies(runs: Path) -> list[Path]:
    """Copy the proxies that have a run into the package; returns their files there."""
    written = []
    for name in effects.names():
        best = runs / name / checkpoint.BEST
        if best.exists():
            _, about = checkpoint.read(best)
            written.append(weights.save_proxy(weights.load_proxy(name, path=best), name, about))
    return written


def bundle_reranker(runs: Path, last: bool) -> list[Path]:
    """Copy the re-ranker, where it has a run, into the package; returns its file there."""
    best = runs / "reranker" / checkpoint.BEST
    if not best.exists():
        return []
    _, about = checkpoint.read(best)
    model = weights.load_reranker(weights.bundled_effects(), best)
    if last:
        _take_last(best.parent, model, about)
    return [weights.save_reranker(model, about)]


def bundle_inverse(
    runs: Path, last: bool, keep: float = 0.0, also: list[Path] = (), only: str | None = None
) -> list[Path]:
    """Copy the inverse model, where it has a run, into the package; returns its files there.

    Args:
        last: the state that the run ended with, not the one that was best on held-out chains.
        keep: share of the bundled weights in the mean.
        also: other runs' models; they and the run have equal shares of the rest.
        only: the key of PARTS that is averaged alone; the other part is the run's.
    """
    path = runs / "inverse" / MODEL
    if not path.exists():
        return []
    _, about = checkpoint.read(path)
    shares = {other: (1 - keep) / (1 + len(also)) for other in also}
    if keep:
        shares[weights.bundled(weights.INVERSE_FILE)] = keep
    model = weights.load_inverse(path=path)
    if last:
        _take_last(path.parent, model, about)
    averaged = PARTS[only] if only else sum(PARTS.values(), ())
    if shares:
        others = [(weights.read_inverse(other)[0], share) for other, share in shares.items()]
        average_into(model, others, averaged)
        about["mean_with"] = {weights.inverse_hash(other): share for other, share in shares.items()}
        about["mean_of"] = averaged
    return weights.save_inverse(model, about)


def main() -> None:
    """The command ``python examples/bundle_weights.py RUNS``."""
    parser = argparse.ArgumentParser(
        description="Put results of training runs into the package. RUNS holds one folder per "
        "effect (from unmix train-proxy), inverse (from unmix train) and reranker (from unmix "
        "train-reranker); folders that are missing are left out. All weights of a mean must have "
        "begun from the same ones."
    )
    add = parser.add_argument
    add("runs", type=Path)
    add("--keep", type=float, default=0.0, help="share of the bundled inverse model in the mean")
    add("--also", type=Path, nargs="*", default=[], help="other runs' models, for the mean")
    add("--last", action="store_true", help="the run's last state, not its best")
    add("--only", choices=PARTS, help="average this part of the model alone")
    said = parser.parse_args()
    written = bundle_proxies(said.runs) + bundle_reranker(said.runs, said.last)
    written += bundle_inverse(said.runs, said.last, said.keep, said.also, said.only)
    for path in written:
        print(path)
