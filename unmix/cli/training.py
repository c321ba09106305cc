"""The commands that make data and train: gen-data, train-proxy, train, train-reranker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmix.cli.console import hush, remark, say
from unmix.cli.tools import Quiet, check_device

app = typer.Typer(rich_markup_mode=None)
InitialPoint = Annotated[
    Path | None,
    typer.Option(help="Begin from these weights, not from random ones.", metavar="FILE"),
]
Learn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="Train this module alone, by its name in the model; may be given again.",
    ),
]


@app.command("gen-data")
def gen_data(
    out: Annotated[Path, typer.Option(help="Folder of the data set.", metavar="DIR")],
    count: Annotated[int, typer.Option(min=1, help="Number of items.")],
    effect: Annotated[
        str | None, typer.Option(help="Pairs (dry, wet) of this effect.", metavar="NAME")
    ] = None,
    chains: Annotated[bool, typer.Option("--chains", help="Whole chains.")] = False,
    candidates: Annotated[
        bool,
        typer.Option("--candidates", help="What the network believes of whole chains, rendered."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides every item.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.  [default: one per core]")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=60, help="Length of a pair.  [default: 1.5]"),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(help="Folder of audio that part of the dry sound comes from.", metavar="DIR"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Chains on this source alone, e.g. probe or synthetic.  [default: on all]",
            metavar="KIND",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how much disk and time it takes.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make training data: pairs of one effect, whole chains, or candidates for them.

    Item i depends on the seed and i alone, whatever the number of workers. A broken run is
    finished by the same command; a larger --count adds to a finished one.

    \b
    Examples:
      unmix gen-data --effect ott --count 2000 --out data/ott --seed 1
      unmix gen-data --chains --count 100000 --out data/chains --dry-run
    """
    if (effect is not None) + chains + candidates != 1:
        raise typer.BadParameter("give one of --effect NAME, --chains and --candidates")
    if effect is None and seconds is not None:
        raise typer.BadParameter("--seconds belongs to --effect; chains have a fixed length")
    if candidates and sources is not None:
        raise typer.BadParameter("--sources does not belong to --candidates")
    if source is not None and effect is not None:
        raise typer.BadParameter("--source belongs to --chains and --candidates")
    hush(quiet)
    from unmix.data.chains import ChainOptions, ChainSampler
    from unmix.data.generate import estimate, generate
    from unmix.data.pairs import PairSampler

    folder = str(sources.resolve()) if sources else None
    shares = {source: 1.0} if source else None
    if candidates:
        from unmix.training.candidates import CandidateSampler

        sampler = CandidateSampler(seed, shares)
    elif chains:
        sampler = ChainSampler(seed, shares, ChainOptions(folder=folder))
    else:
        sampler = PairSampler(effect, seed, seconds or 1.5, folder=folder)
    if dry_run:
        estimate(sampler, count, out, workers, say)
    else:
        generate(sampler, count, out, workers, progress=not quiet, say=remark)


@app.command("train-proxy")
def train_proxy(
    effect: Annotated[str, typer.Option(help="The effect to stand in for.", metavar="NAME")],
    data: Annotated[Path, typer.Option(help="Its pairs, from gen-data.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="Run folder.", metavar="DIR")],
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Budget in steps.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pairs a step.")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the schedule.  [default: the proxy's own]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every step.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, …  [default: cuda where there is one]")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="A black-box TCN of the same size, to compare.")
    ] = False,
    wandb: Annotated[bool, typer.Option("--wandb", help="Log to Weights & Biases.")] = False,
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
    _tell_training(result, out, f"held-out ESR {result.best:.1f} dB")


@app.command()
def train(
    data: Annotated[
        list[Path],
        typer.Option(help="Chains, from gen-data --chains; may be repeated.", metavar="DIR"),
    ],
    out: Annotated[Path, typer.Option(help="Run folder.", metavar="DIR")],
    minutes: Annotated[float | None, typer.Option(help="Budget of the first stage.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The same in steps.")] = None,
    hybrid_steps: Annotated[
        int, typer.Option(min=0, help="Steps with the spectral term through the proxies.")
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Chains a step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Decides every step.")] = 0,
    geometry: Annotated[str, typer.Option(help="Decoder: hyperbolic or euclidean.")] = "hyperbolic",
    validation: Annotated[int, typer.Option(min=5, help="Held-out chains.")] = 300,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, …  [default: cuda where there is one]")
    ] = None,
    start: InitialPoint = None,
    masked: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the chains that are heard in part only.")
    ] = 0.0,
    hidden_shares: Annotated[
        tuple[float, float],
        typer.Option(
            min=0,
            max=1,
            help="Shares of the chains whose source is hidden: on the probe, on other sources.",
        ),
    ] = (0.03, 0.3),
    only: Annotated[
        str | None,
        typer.Option(help="Train one part alone: chain or knobs.  [default: both]"),
    ] = None,
    learn: Learn = None,
    resident: Annotated[
        bool,
        typer.Option(
            "--resident",
            help="Keep the data in the memory of the device, and take up what gen-data adds.",
        ),
    ] = False,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 500,
    wandb: Annotated[bool, typer.Option("--wandb", help="Log to Weights & Biases.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train the inverse model on chains. The same command resumes a broken run.

    First the likelihood of chain, switches and knobs; then, for --hybrid-steps, the sound of the
    answer through the frozen proxies counts too. The result is model.safetensors.

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
        steps,
        minutes,
        hybrid_steps,
        batch,
        learning_rate,
        seed,
        geometry,
        validation,
        device,
        wandb,
        start,
        masked=masked,
        hidden_shares=hidden_shares,
        only=only,
        learn=tuple(learn or ()),
        resident=resident,
        validate_every=validate_every,
    )
    result = run(data, out, training)
    _tell_training(result, out, f"held-out loss {result.best:.3f}")


@app.command("train-reranker")
def train_reranker(
    data: Annotated[
        list[Path],
        typer.Option(help="From gen-data --candidates; may be repeated.", metavar="DIR"),
    ],
    out: Annotated[Path, typer.Option(help="Run folder.", metavar="DIR")],
    steps: Annotated[int, typer.Option(min=1, help="Budget in steps.")] = 1200,
    batch: Annotated[int, typer.Option(min=1, help="Recordings a step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = 5e-4,
    weight_decay: Annotated[float, typer.Option(min=0, help="Of AdamW.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Decides every step.")] = 0,
    start: InitialPoint = None,
    learn: Learn = None,
    wandb: Annotated[bool, typer.Option("--wandb", help="Log to Weights & Biases.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train the second hearing on candidates. The same command resumes a broken run.

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
    _tell_training(result, out, f"held-out loss {result.best:.3f}")


def _tell_training(result, out: Path, figure: str) -> None:
    say(f"{out}: step {result.step:,}, {result.seconds / 60:.1f} min, best {figure}")
    if not result.finished:
        say("stopped; run the same command again to go on")
        raise typer.Exit(130)
