"""The `unmix evaluate` commands: metrics on held-out material, as tables or JSON."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from unmix.cli.console import hush, remark
from unmix.cli.options import Quiet, check_time

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Measure proxies, chains or refine on held-out material.

    \b
    Examples:
      unmix evaluate proxies --count 100
      unmix evaluate refine --help
    """,
)

Count = Annotated[int, typer.Option(min=1, help="Number of items.", metavar="N")]
Seed = Annotated[int, typer.Option(min=0, help="Decides every item.", metavar="N")]
Source = Annotated[
    Literal["probe", "noise", "chirp", "impulse", "synthetic"],
    typer.Option(help="What goes into the effects."),
]
Hidden = Annotated[
    bool, typer.Option("--hidden-source", help="The network is not told the source.")
]
Degrade = Annotated[
    Literal["gain", "latency", "rate", "band", "noise", "mixed"] | None,
    typer.Option(
        help="Make every recording worse in this way; mixed: in several at random, as in training."
    ),
]
Length = Annotated[int | None, typer.Option(min=1, max=5, help="One length of chain only.")]
Folder = Annotated[
    Path | None, typer.Option(help="Folder of audio for half of --source synthetic.", metavar="DIR")
]
DrySounds = Annotated[
    str, typer.Option(help="Dry sounds: synthetic, or a folder of audio.", metavar="synthetic|DIR")
]
Gradients = Annotated[
    int | None,
    typer.Option(
        min=0, help="Items of the gradient check.  [default: as many as --count]", metavar="N"
    ),
]
Proxies = Annotated[
    Path | None,
    typer.Option(help="Folder of NAME-proxy.safetensors.  [default: bundled]", metavar="DIR"),
]
Model = Annotated[
    Path | None,
    typer.Option(help="model.safetensors of a run.  [default: bundled]", metavar="FILE"),
]
Once = Annotated[
    bool, typer.Option("--once", help="No re-ranking: the first answers of the network alone.")
]
Training = Annotated[
    Path | None,
    typer.Option(
        help="Chains data set that the network learnt from, which baselines answer from.",
        metavar="DIR",
    ),
]
Rivals = Annotated[
    bool, typer.Option("--rivals", help="CMA-ES and the proxies alone, in the same time each.")
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        help="Runs of train-proxy --baseline: a folder with one NAME/ per effect.", metavar="DIR"
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes of one thread each, if above 1.")]
Json = Annotated[bool, typer.Option("--json", help="Metrics as JSON on stdout.")]
Out = Annotated[
    Path | None, typer.Option(help="Write metrics (JSON) and plots (PNG) here.", metavar="DIR")
]


def _finish(metrics: dict, tables, json: bool, out: Path | None = None, plot=None) -> None:
    """Tables on stderr, JSON on stdout; NAME.json and the plot NAME.png in ``out``, where NAME is
    that of the function ``plot``."""
    from unmix.cli.tables.metrics import show

    show(tables(metrics))
    text = jsonlib.dumps(metrics, indent=2, ensure_ascii=False)
    if json:
        typer.echo(text)
    if out:
        from unmix.report.metric_plots import save
        from unmix.runtime.files import write_text

        out.mkdir(parents=True, exist_ok=True)
        write_text(out / f"{plot.__name__}.json", text + "\n")
        picture = save(plot(metrics), out / f"{plot.__name__}.png")
        remark(f"wrote {picture.with_suffix('.json')} and {picture}")


def _proxy_loader(folder: Path | None):
    from unmix.weights import load_proxy, proxy_file

    return lambda name: load_proxy(name, path=folder / proxy_file(name) if folder else None)


def _baseline_loader(folder: Path):
    from unmix import effects
    from unmix.effects.black_box import black_box
    from unmix.networks import checkpoint
    from unmix.weights import load_into

    return lambda name: load_into(black_box(effects.get(name)), folder / name / checkpoint.BEST)[0]


def _model(path: Path | None):
    from unmix.weights import load_inverse

    return load_inverse(path=path)


def _reranker(once: bool):
    from unmix.weights import bundled_models

    return None if once else bundled_models()[1]


def _digests(path: Path) -> dict:
    """{name: SHA-256} of a file, or of the files of a folder."""
    from unmix.cli.provenance import digests

    return digests(sorted(path.glob("*.safetensors")) if path.is_dir() else [path], path.parent)


@app.command()
def proxies(
    effect: Annotated[
        list[str] | None,
        typer.Option(
            help="One effect, may be repeated.  [default: all of them and their chains]",
            metavar="NAME",
        ),
    ] = None,
    count: Count = 500,
    seed: Seed = 1,
    sources: DrySounds = "synthetic",
    gradients: Gradients = None,
    weights: Proxies = None,
    baseline: Baseline = None,
    workers: Workers = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Error of each proxy against its real effect, its gradients, its speed; chains of proxies.

    \b
    Examples:
      unmix evaluate proxies --workers 2
      unmix evaluate proxies --effect ott --sources ~/samples --count 100
    """
    hush(quiet)
    from unmix.cli.tables import metrics
    from unmix.evaluation import proxies

    folder = None if sources == "synthetic" else Path(sources)
    evaluation = proxies.ProxiesEvaluation(count, seed, folder, gradients, workers=workers)
    load, other = _proxy_loader(weights), _baseline_loader(baseline) if baseline else None
    table = {"count": count, "seed": seed, "sources": sources}
    table["effects"] = proxies.proxies(evaluation, effect, load, other)
    if not effect:
        table["chains"] = proxies.chains(evaluation, load)
    _finish(table, metrics.proxies, json)


@app.command()
def chains(
    count: Count = 250,
    seed: Seed = 1,
    source: Source = "probe",
    hidden_source: Hidden = False,
    degrade: Degrade = None,
    length: Length = None,
    sources: Folder = None,
    weights: Model = None,
    once: Once = False,
    training: Training = None,
    workers: Workers = 1,
    out: Out = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """First answers (beam search, no refine): chains, knobs and switches by length.

    Where the source is known, of the network alone and after re-ranking.

    \b
    Examples:
      unmix evaluate chains --count 250
      unmix evaluate chains --source synthetic --length 2
      unmix evaluate chains --degrade noise --out metrics
    """
    hush(quiet)
    from unmix.cli.tables import metrics
    from unmix.evaluation import chains
    from unmix.report import metric_plots

    evaluation = chains.ChainsEvaluation(
        count,
        seed,
        source,
        hidden_source,
        degrade,
        length,
        sources,
        workers=workers,
        training=training,
    )
    table = chains.chains(evaluation, _model(weights), _reranker(once))
    _finish(table, metrics.chains, json, out, metric_plots.chains)


@app.command()
def refine(
    count: Count = 100,
    seed: Seed = 1,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each search.", metavar="N")] = 200,
    time: Annotated[
        float | None,
        typer.Option("--time", help="Bound on each search.  [default: none]", metavar="SECONDS"),
    ] = None,
    source: Source = "probe",
    length: Length = None,
    weights: Proxies = None,
    model: Model = None,
    once: Once = False,
    rivals: Rivals = False,
    workers: Workers = 1,
    out: Out = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What refine makes of the first answers, by the real effects.

    With --out the same command goes on after Ctrl+C; a larger --count adds to what is there.

    \b
    Examples:
      unmix evaluate refine --count 100 --steps 200
      unmix evaluate refine --count 20 --rivals --out metrics
    """
    hush(quiet)
    from unmix.cli import provenance
    from unmix.cli.tables import metrics
    from unmix.evaluation import held_out, refine
    from unmix.report import metric_plots

    check_time(time)
    options = {"seed": seed, "steps": steps, "source": source, "length": length}
    about = {
        "options": options | ({"time": time} if time else {}) | ({"once": once} if once else {}),
        "rivals": rivals,
        "files": {str(path): _digests(path) for path in (weights, model) if path},
        **{key: provenance.program()[key] for key in ("code", "weights")},
    }
    if out:
        out.mkdir(parents=True, exist_ok=True)
    evaluation = refine.RefineEvaluation(
        count, seed, steps, time, source, length=length, rivals=rivals, workers=workers
    )
    items = held_out.Items(out / "refine.items.json" if out else None, about)
    load = _proxy_loader(weights)
    table = refine.refine(evaluation, _model(model), load, _reranker(once), items)
    _finish(table, metrics.refine, json, out, metric_plots.refine)
