"""Two processes that train one model, against one process that takes both their batches."""

import json
import os
import subprocess
import sys

import numpy as np
import torch

from unmix import weights
from unmix.training.loop import FitConfig, Task, fit

CONFIG = {"steps": 5, "validate_every": 2}
SCRIPT = """
import json, sys
from pathlib import Path
import torch
from tests.training.test_distributed import CONFIG, loss
from unmix.training import distributed
from unmix.training.loop import FitConfig, Task, fit

out, rank = Path(sys.argv[1]), distributed.rank()
torch.manual_seed(rank)  # rank 0's weights are the ones that count
model = torch.nn.Linear(3, 1)
for steps in (2, 5):  # stopped and resumed
    config = FitConfig(**CONFIG | {"steps": steps})
    mine = lambda step, rng: loss(model, rng)
    fit(model, Task(mine, lambda: {"score": 1.0}, "score"), out, config)
weights = [p.tolist() for p in model.parameters()]
(out / f"rank{rank}.json").write_text(json.dumps(weights))
"""


def loss(model, rng):
    x = torch.from_numpy(rng.standard_normal((4, 3))).float()
    return (model(x) - x.sum(1, keepdim=True)).square().mean(), {}


def torchrun(*arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def test_two_processes_take_the_mean_of_their_gradients(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = torchrun(script, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    two = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert two[0] == two[1]

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def both(step, rng):
        second = np.random.default_rng([0, step, 1])
        return (loss(model, rng)[0] + loss(model, second)[0]) / 2, {}

    for steps in (2, 5):
        config = FitConfig(**CONFIG | {"steps": steps})
        fit(model, Task(both, lambda: {"score": 1.0}, "score"), tmp_path / "one", config)
    for p, q in zip(model.parameters(), two[0], strict=True):
        assert torch.allclose(p.detach(), torch.tensor(q), atol=1e-6)


def test_torchrun_trains_the_inverse_model(tmp_path, unmix_cli):
    made = unmix_cli("gen-data", "--chains", "--count", 10, "--out", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    run = tmp_path / "run"
    train = ("-m", "--", "unmix", "train", "--data", tmp_path / "data", "--out", run, "--batch", 4)
    start = weights.bundled(weights.INVERSE_FILE)  # torchrun has options that begin alike
    more = ("--steps", 2, "--validation", 5, "--start", start, "--hidden-shares", 0.1, 0.5)
    done = torchrun(*train, *more)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (run / "model.safetensors").exists()
    assert json.loads((run / "config.json").read_text())["describe"]["hidden_shares"] == [0.1, 0.5]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "held_out" in line] == [2]
