"""Figures that are reported: chain accuracies, edit distance, knob errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmix import effects
from unmix.dataset import MAX_LENGTH


def edit_distance(a: Sequence, b: Sequence) -> int:
    """Levenshtein distance: insertions, deletions and replacements that turn a into b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def ratio_db(ratio) -> np.ndarray:
    """10·log10 of a ratio (an ESR), not below −120 dB."""
    return 10 * np.log10(np.maximum(ratio, 1e-12))


def chain_figures(model, batch: dict, beams: int = 10) -> dict[str, float]:
    """Accuracy of a model's first answers on a batch with true labels, while it trains.

    Chains are spelled in canonical form on both sides, so that accuracy is by equivalence class.

    Returns:
        accuracy_N for each length N in the batch, top5, knob_error (mean
        |û − u| of the centres given the true chain; circular for angles).
    """
    z = model.encoder(batch).float()
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
    _, _, mixtures = model.knob_losses(z, batch)
    errors = []
    for name, (rows, mixture) in mixtures.items():
        true = batch[f"knobs.{name}"][rows]
        panel = effects.get(name).panel
        errors.append(panel.distance(mixture.centre().cpu().numpy(), true.cpu().numpy()).ravel())
    figures["knob_error"] = float(np.concatenate(errors).mean())
    return figures
