"""Which of two orders a recording leans to, by what knobs do not explain.

While its knobs are a little off, a render differs from the recording mostly by what the knobs do,
in any order of the effects, so that the size of its errors hardly tells the orders apart. So what
small movements of the knobs do is taken out of what is compared: the recording less a render, and
another order at the same knobs less that render. How the rest of the one lies along the rest of the
other is a test of the order that does not mind small errors of the knobs (a score test with
nuisance parameters: Cox and Hinkley, "Theoretical Statistics", 1974, section 9.3).
"""

from __future__ import annotations

import numpy as np

SAME = 1e-6  # of the largest eigenvalue: directions below are those of others


def _taken_out(differences: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(n, D) less what lies in the span of ``directions`` (m, D)."""
    unit = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-9)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    apart = values > SAME * values[-1]
    basis = (vectors[:, apart] / np.sqrt(values[apart])).T @ unit
    return differences - differences @ basis.T @ basis


def toward(recording: np.ndarray, others: np.ndarray, nudged: np.ndarray) -> np.ndarray:
    """How a recording leans from a render to each of n others: (n,), −1…1.

    With e and b for recording and other, without what nudges of the knobs explain: the cosine
    between e − b / 2 and b. Above 0 where the recording is nearer to the other.

    Args:
        recording: any picture of it less that of the render, as all pictures here, (D,).
        others: of the same effects in other orders, at the same knobs, (n, D).
        nudged: of the same chain with one knob moved a little in each, (m, D).
    """
    e, *b = _taken_out(np.vstack([recording[None], others]), nudged)
    b = np.stack(b)
    e = e - b / 2
    return (e * b).sum(1) / (np.linalg.norm(e, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)
