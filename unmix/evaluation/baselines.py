"""Two baselines that know the network's data set: most frequent chain, nearest neighbour."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.evaluation.scoring import coarse, score
from unmix.features.packing import unpack

NEIGHBOURS = 25  # nearest items that are looked through for TOP different chains


def baselines(training, asked: list[dict]) -> dict[str, list[dict]]:
    """Scores of two answers that need no network, for the items that were asked of the network.

    "most frequent": the most frequent chain of the training set, each knob at its mean there (its
    mean direction, if circular) and each switch at its commonest option. "nearest neighbour": chain
    and settings of the training item whose ``coarse`` features are nearest.
    """
    from unmix.data.reader import Reader

    questions = torch.from_numpy(np.stack([item["coarse"] for item in asked]))
    near = torch.full((len(asked), NEIGHBOURS), torch.inf), torch.zeros(len(asked), NEIGHBOURS)
    labels, first = [], 0
    reader = Reader(training)
    vocabulary = reader.manifest["config"]["effects"]
    for shard in reader.shards():
        vectors = coarse({k: unpack(k, torch.from_numpy(v)) for k, v in shard.items()})
        distances = torch.cdist(
            questions.double(), vectors.double(), compute_mode="use_mm_for_euclid_dist"
        ).float()  # order-swapped negatives differ by less than the rounding of single precision
        numbers = first + torch.arange(len(vectors)).expand(len(asked), -1)
        together = torch.cat([near[0], distances], 1), torch.cat([near[1], numbers], 1)
        best = together[0].topk(NEIGHBOURS, largest=False)
        near = best.values, together[1].gather(1, best.indices)
        labels.append({k: v for k, v in shard.items() if k == "order" or "." in k})
        first += len(vectors)
    labels = {key: np.concatenate([part[key] for part in labels]) for key in labels[0]}
    frequent, orders = _most_frequent(labels, vocabulary)
    rows = {"most frequent": [], "nearest neighbour": []}
    for item, numbers in zip(asked, near[1].long().tolist(), strict=True):
        rest = item["chain"], item["audible"], item["tie"]
        rows["most frequent"].append(score(frequent, orders, *rest))
        found = [_item_chain(labels, number, vocabulary) for number in numbers]
        ranked = list(dict.fromkeys(chain.names for chain in found))
        rows["nearest neighbour"].append(score(found[0], ranked, *rest))
    return rows


def _names(order, vocabulary) -> tuple[str, ...]:
    return tuple(vocabulary[i] for i in order if i >= 0)


def _item_chain(labels: dict, i: int, vocabulary) -> Chain:
    """The chain of one item of a data set (data.chains.labels)."""
    names = _names(labels["order"][i], vocabulary)
    rows = [(labels[f"knobs.{name}"][i], labels[f"switches.{name}"][i]) for name in names]
    return Chain(
        (name, effects.get(name).from_unit(*row)) for name, row in zip(names, rows, strict=True)
    )


def _most_frequent(labels: dict, vocabulary) -> tuple[Chain, list[tuple[str, ...]]]:
    """The most frequent chain with mean settings, and the orders of effects by frequency."""
    found = Counter(map(tuple, labels["order"].tolist())).most_common()
    steps = []
    for name in _names(found[0][0], vocabulary):
        effect = effects.get(name)
        rows = (labels["order"] == found[0][0]).all(1)
        knobs, switches = labels[f"knobs.{name}"][rows], labels[f"switches.{name}"][rows]
        turn = np.exp(2j * np.pi * knobs).mean(0)
        direction = np.angle(turn) / (2 * np.pi) % 1.0
        middle = np.where(effect.panel.circular, direction, knobs.mean(0))
        commonest = [np.bincount(column).argmax() for column in switches.T]
        steps.append((name, effect.from_unit(middle, commonest)))
    return Chain(steps), [_names(order, vocabulary) for order, _ in found]
