"""The commands that train: train-proxy, train, train-reranker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unmix.cli.console import hush, say
from unmix.cli.options import Command, Quiet, check_device

app = typer.Typer(rich_markup_mode=None)

DATA, BUDGET, MODEL, COMPUTING = "Data", "Budget", "What is trained", "Computing"
Out = Annotated[Path, typer.Option(help="Run folder.", metavar="DIR")]
Minutes = Annotated[
    float | None, typer.Option(help="Budget in minutes.", metavar="N", rich_help_panel=BUDGET)
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Budget in steps.", metavar="N", rich_help_panel=BUDGET)
]
Batch = Annotated[
    int, typer.Option(min=1, help="Items a step.", metavar="N", rich_help_panel=BUDGET)
]
LearningRate = Annotated[
    float, typer.Option(help="Peak of the schedule.", metavar="RATE", rich_help_panel=BUDGET)
]
OwnLearningRate = Annotated[
    float | None,
    typer.Option(
        help="Peak of the schedule.  [default: the proxy's own]",
        metavar="RATE",
        rich_help_panel=BUDGET,
    ),
]
WeightDecay = Annotated[
    float, typer.Option(min=0, help="Of AdamW.", metavar="RATE", rich_help_panel=BUDGET)
]
HybridSteps = Annotated[
    int,
    typer.Option(
        min=0,
        help="Steps of the second stage, with the spectral term through the proxies.",
        metavar="N",
        rich_help_panel=BUDGET,
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, help="Decides every step.", metavar="N", rich_help_panel=BUDGET)
]
Start = Annotated[
    Path | None,
    typer.Option(
        help="Begin from these weights, not from random ones.",
        metavar="FILE",
        rich_help_panel=MODEL,
    ),
]
Learn = Annotated[
    list[str] | None,
    typer.Option(
        help="Train this module alone, by its name in the model; may be repeated.",
        metavar="MODULE",
        rich_help_panel=MODEL,
    ),
]
Geometry = Annotated[
    Literal["hyperbolic", "euclidean"],
    typer.Option(help="Space of the decoder.", rich_help_panel=MODEL),
]
Only = Annotated[
    Literal["chain", "knobs"] | None,
    typer.Option(help="Train one part alone.  [default: both]", rich_help_panel=MODEL),
]
Masked = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Share of the chains whose features are masked in part (SpecAugment).",
        metavar="SHARE",
        rich_help_panel=DATA,
    ),
]
HiddenShares = Annotated[
    tuple[float, float],
    typer.Option(
        min=0,
        max=1,
        help="Shares of the chains whose source is hidden (source dropout): on the probe, on "
        "other sources.",
        metavar="SHARE SHARE",
        rich_help_panel=DATA,
    ),
]
Validation = Annotated[
    int, typer.Option(min=5, help="Held-out chains.", metavar="N", rich_help_panel=DATA)
]
ValidateEvery = Annotated[
    int,
    typer.Option(min=1, help="Steps between validations.", metavar="N", rich_help_panel=DATA),
]
Resident = Annotated[
    bool,
    typer.Option(
        "--resident",
        help="Keep the data in the memory of the device, and take up what gen-data adds.",
        rich_help_panel=COMPUTING,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="[default: cuda where there is one]",
        metavar="cpu|cuda|cuda:N|…",
        rich_help_panel=COMPUTING,
    ),
]
Wandb = Annotated[
    bool,
    typer.Option("--wandb", help="Log to Weights & Biases.", rich_help_panel=COMPUTING),
]


@app.command("train-proxy", cls=Command)
def train_proxy(
    effect: Annotated[str, typer.Option(help="The effect to stand in for.", metavar="NAME")],
    data: Annotated[Path, typer.Option(help="Its pairs, from gen-data.", metavar="DIR")],
    out: Out,
    minutes: Minutes = None,
    steps: Steps = None,
    batch: Batch = 16,
    learning_rate: OwnLearningRate = None,
    seed: Seed = 0,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="A black-box TCN of the same size, to compare.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    device: Device = None,
    wandb: Wandb = False,
    quiet: Quiet = False,
) -> None:
    """Train the proxy of one effect on its pairs. The same command resumes a broken run.

    The run folder gets best.safetensors, last.safetensors, metrics.jsonl and curves.png.

    \b
    Example:
      unmix train-proxy --effect ott --data data/ott --out runs/ott --minutes 20
    """
    if minutes is None and steps is None:
        raise typer.BadParameter("give --minutes, --steps or both")
    check_device(device)
    hush(quiet)
    from unmix.data.reader import Reader
    from unmix.training.proxy import ProxyTraining
    from unmix.training.proxy import train_proxy as run

    training = ProxyTraining(
        minutes=minutes,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        wandb=wandb,
        baseline=baseline,
    )
    result = run(effect, Reader(data), out, training)
    _tell(result, out, f"held-out ESR {result.best:.1f} dB")


@app.command(cls=Command)
def train(
    data: Annotated[
        list[Path],
        typer.Option(help="Chains, from gen-data --chains; may be repeated.", metavar="DIR"),
    ],
    out: Out,
    minutes: Minutes = None,
    steps: Steps = None,
    hybrid_steps: HybridSteps = 0,
    batch: Batch = 128,
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    geometry: Geometry = "hyperbolic",
    only: Only = None,
    learn: Learn = None,
    start: Start = None,
    masked: Masked = 0.0,
    hidden_shares: HiddenShares = (0.03, 0.3),
    validation: Validation = 300,
    validate_every: ValidateEvery = 500,
    resident: Resident = False,
    device: Device = None,
    wandb: Wandb = False,
    quiet: Quiet = False,
) -> None:
    """Train the inverse model on chains. The same command resumes a broken run.

    First by the likelihood of chain, switches and knobs, for --minutes or --steps; then, for
    --hybrid-steps, the sound of the answer through the frozen proxies counts too. The result is
    model.safetensors.

    \b
    Examples:
      unmix train --data data/chains --out runs/inverse --minutes 60 --hybrid-steps 200
      torchrun --nproc-per-node 2 -m -- unmix train --data data/chains --out runs/two --steps 9000
    """
    if minutes is None and steps is None:
        raise typer.BadParameter("give --minutes, --steps or both")
    check_device(device)
    hush(quiet)
    from unmix.training.network import NetworkTraining
    from unmix.training.network import train as run

    training = NetworkTraining(
        steps, minutes, hybrid_steps, batch, learning_rate, seed,
        geometry, validation, device, wandb, start,
        masked=masked, hidden_shares=hidden_shares, only=only, learn=tuple(learn or ()),
        resident=resident, validate_every=validate_every,
    )  # fmt: skip
    result = run(data, out, training)
    _tell(result, out, f"held-out loss {result.best:.3f}")


@app.command("train-reranker", cls=Command)
def train_reranker(
    data: Annotated[
        list[Path],
        typer.Option(help="From gen-data --candidates; may be repeated.", metavar="DIR"),
    ],
    out: Out,
    steps: Steps = 1200,
    batch: Batch = 64,
    learning_rate: LearningRate = 5e-4,
    weight_decay: WeightDecay = 0.5,
    seed: Seed = 0,
    start: Start = None,
    learn: Learn = None,
    wandb: Wandb = False,
    quiet: Quiet = False,
) -> None:
    """Train the re-ranking of candidates. The same command resumes a broken run.

    \b
    Example:
      unmix train-reranker --data data/candidates --out runs/reranker
    """
    hush(quiet)
    from unmix.training.reranker import RerankerTraining
    from unmix.training.reranker import train_reranker as run

    training = RerankerTraining(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        start=start,
        learn=tuple(learn or ()),
        wandb=wandb,
    )
    result = run(data, out, training)
    _tell(result, out, f"held-out loss {result.best:.3f}")


def _tell(result, out: Path, score: str) -> None:
    say(f"{out}: step {result.step:,}, {result.seconds / 60:.1f} min, best {score}")
    if not result.finished:
        say("stopped; run the same command again to go on")
        raise typer.Exit(130)
