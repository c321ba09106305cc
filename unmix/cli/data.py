"""The command that makes training data: gen-data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmix.cli.console import hush, remark, say
from unmix.cli.options import Command, Quiet

app = typer.Typer(rich_markup_mode=None)

KIND, COMPUTING = "What the items are", "Computing"
SOURCES = "probe|noise|chirp|impulse|synthetic"
Out = Annotated[Path, typer.Option(help="Folder of the data set.", metavar="DIR")]
Count = Annotated[int, typer.Option(min=1, help="Number of items.", metavar="N")]
OneEffect = Annotated[
    str | None,
    typer.Option(help="Pairs (dry, wet) of this effect.", metavar="NAME", rich_help_panel=KIND),
]
Chains = Annotated[bool, typer.Option("--chains", help="Whole chains.", rich_help_panel=KIND)]
Candidates = Annotated[
    bool,
    typer.Option(
        "--candidates",
        help="The network's candidate chains for each recording, with residual features.",
        rich_help_panel=KIND,
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, help="Decides every item.", metavar="N", rich_help_panel=KIND)
]
Seconds = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        max=60,
        help="Length of a pair.  [default: 1.5]",
        metavar="SECONDS",
        rich_help_panel=KIND,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of audio that part of the dry sound comes from.",
        metavar="DIR",
        rich_help_panel=KIND,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        help="Chains on this source alone.  [default: on all]",
        metavar=SOURCES,
        rich_help_panel=KIND,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes.  [default: one per core]",
        metavar="N",
        rich_help_panel=COMPUTING,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Only say how much disk and time it takes.", rich_help_panel=COMPUTING
    ),
]


@app.command("gen-data", cls=Command)
def gen_data(
    out: Out,
    count: Count,
    effect: OneEffect = None,
    chains: Chains = False,
    candidates: Candidates = False,
    seed: Seed = 0,
    seconds: Seconds = None,
    sources: Folder = None,
    source: Source = None,
    workers: Workers = None,
    dry_run: DryRun = False,
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
    from unmix.data.generate import estimate, generate

    sampler = _sampler(effect, candidates, seed, seconds, sources, source)
    if dry_run:
        estimate(sampler, count, out, workers, say)
    else:
        generate(sampler, count, out, workers, progress=not quiet, say=remark)


def _sampler(
    effect: str | None,
    candidates: bool,
    seed: int,
    seconds: float | None,
    sources: Path | None,
    source: str | None,
):
    """Of pairs of ``effect``, of candidates, or else of chains."""
    folder = str(sources.resolve()) if sources else None
    shares = {source: 1.0} if source else None
    if effect is not None:
        from unmix.data.pairs import PairSampler

        return PairSampler(effect, seed, seconds or 1.5, folder=folder)
    if candidates:
        from unmix.training.candidates import CandidateSampler

        return CandidateSampler(seed, shares)
    from unmix.data.chains import ChainOptions, ChainSampler

    return ChainSampler(seed, shares, ChainOptions(folder=folder))
