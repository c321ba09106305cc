"""Copy the results of training runs into the package, as the weights that ship with it.

    python examples/bundle_weights.py runs [--keep 0.35]

``runs`` holds one folder per effect (from ``unmix train-proxy``) and ``inverse`` (from
``unmix train``); folders that are missing are left out. With ``--keep`` the inverse model becomes
the mean of the new weights and of that share of the bundled ones, from which the run must have
begun: such means often generalise better than either (Wortsman et al., "Model soups", ICML 2022).
"""

import argparse
from pathlib import Path

from unmix import effects, weights
from unmix.shards import file_hash
from unmix.training import inverse, state


def main(runs: Path, keep: float):
    for name in effects.names():
        best = runs / name / state.BEST
        if best.exists():
            _, about = state.read(best)
            print(weights.save_proxy(weights.load_proxy(name, path=best), name, about))
    path = runs / "inverse" / inverse.MODEL
    if path.exists():
        _, about = state.read(path)
        model = weights.load_inverse(path=path)
        if keep:
            before = dict(weights.load_inverse().named_parameters())
            for name, parameter in model.named_parameters():
                parameter.lerp_(before[name], keep)
            about["mean_with"] = {file_hash(weights.bundled(weights.INVERSE_FILE)): keep}
        print(weights.save_inverse(model, about))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--keep", type=float, default=0.0, help="share of the bundled weights")
    main(**vars(parser.parse_args()))
