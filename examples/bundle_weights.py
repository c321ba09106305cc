"""Copy the results of training runs into the package, as the weights that ship with it.

    python examples/bundle_weights.py runs

``runs`` holds one folder per effect (from ``unmix train-proxy``) and ``inverse`` (from
``unmix train``); folders that are missing are left out.
"""

import sys
from pathlib import Path

from unmix import effects, weights
from unmix.training import inverse, state


def main(runs: Path):
    for name in effects.names():
        best = runs / name / state.BEST
        if best.exists():
            _, about = state.read(best)
            print(weights.save_proxy(weights.load_proxy(name, path=best), name, about))
    model = runs / "inverse" / inverse.MODEL
    if model.exists():
        _, about = state.read(model)
        print(weights.save_inverse(weights.load_inverse(path=model), about))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
