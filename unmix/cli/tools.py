"""The commands beside the analysis: render, export, probe, effects, env, schema."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unmix.cli.console import hush, remark, say
from unmix.cli.options import FORMATS, Quiet, check_formats
from unmix.export import ALL, EXPORTERS

app = typer.Typer(rich_markup_mode=None)

ChainFile = Annotated[Path, typer.Argument(help="Chain file.", metavar="CHAIN.json")]
EXPORT_HELP = """Write a chain for other programs.

\b
{}

\b
Examples:
  unmix export take.chain.json --format script --format text
  unmix export take.chain.json --out exports
""".format("\n".join(f"{name:<8}{one.description}" for name, one in EXPORTERS.items()))


@app.command()
def render(
    chain: ChainFile,
    source: Annotated[Path, typer.Argument(help="Audio to process.", metavar="IN.wav")],
    out: Annotated[Path, typer.Argument(help="Result: .wav or .flac.", metavar="OUT.wav")],
    quiet: Quiet = False,
) -> None:
    """Run audio through a chain of real effects.

    Any sample rate from 8 to 192 kHz and any number of channels; both are kept. WAV files are
    written as 32-bit float and hold peaks above full scale.

    \b
    Example:
      unmix render answer.json dry.wav wet.wav
    """
    hush(quiet)
    from unmix.audio import io
    from unmix.chain import Chain
    from unmix.cli import progress

    steps = Chain.from_file(chain)
    wet, rate = io.read(source)
    for step in progress.steps(steps.steps, "render"):
        wet = Chain([step]).render(wet, rate)
    io.write(out, wet, rate)
    remark(
        f"{out}: {steps.in_words()}; {wet.shape[1] / rate:.2f} s, channels: {len(wet)}, {rate} Hz"
    )
    if out.suffix.lower() == ".flac" and abs(wet).max() > 1:
        say("warning: peaks above full scale are clipped in a FLAC file; write .wav to keep them")


@app.command()
def probe(
    out: Annotated[Path, typer.Argument(help="File to write.", metavar="OUT.wav")],
    kind: Annotated[
        str, typer.Option(help="Which test sound.", metavar="probe|noise|chirp|impulse")
    ] = "probe",
    quiet: Quiet = False,
) -> None:
    """Write the probe, the sound to send through the effects.

    \b
    Examples:
      unmix probe probe.wav
      unmix probe chirp.wav --kind chirp
    """
    hush(quiet)
    from unmix.audio import io, signals

    signal = signals.fixed(kind)
    io.write(out, signal, io.SAMPLE_RATE, subtype="PCM_24")
    version = signals.PROBE_VERSION if kind == "probe" else kind
    remark(f"{out}: {version}, {signal.size / io.SAMPLE_RATE:g} s, 44.1 kHz, mono, 24 bit")
    remark("Send it through the effects at this level, record all of it and the tail, then:")
    remark(f"  unmix analyze recording.wav --source {kind}")


@app.command()
def effects(
    name: Annotated[str | None, typer.Argument(help="One effect; all if left out.")] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw what each control of one effect changes.", metavar="FILE.png"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Show the effects with their knobs, ranges and switches.

    --picture draws a plot for each knob and switch: a test sound through the real effect at several
    of its settings.

    \b
    Examples:
      unmix effects
      unmix effects ott --json
      unmix effects ott --picture ott.png
    """
    hush(quiet)
    from unmix import effects as registry
    from unmix.cli.tables import effects

    if picture and not name:
        raise typer.BadParameter("--picture draws one effect: name it")
    if picture and picture.suffix.lower() != ".png":
        raise typer.BadParameter(f"--picture {picture}: use a name that ends in .png")
    chosen = [registry.get(n) for n in ([name] if name else registry.names())]
    if json:
        typer.echo(effects.as_json(chosen))
    else:
        say(effects.as_text(chosen))
    if picture:
        from unmix.cli.progress import steps
        from unmix.report import control_plots, metric_plots

        bar = partial(steps, what=f"{name}: render")
        remark(f"wrote {metric_plots.save(control_plots.picture(chosen[0], bar), picture)}")
    elif name and not json:
        remark(f"\nA picture of what they change: unmix effects {name} --picture {name}.png")


@app.command()
def env(
    json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """Show versions, devices and weights, for a bug report.

    \b
    Example:
      unmix env
    """
    import json as jsonlib

    from unmix.cli.tables import environment

    found = environment.collect()
    if json:
        typer.echo(jsonlib.dumps(found, indent=2, ensure_ascii=False))
    else:
        say(environment.as_text(found))


@app.command(help=EXPORT_HELP)
def export(
    chain: ChainFile,
    wanted: Annotated[
        list[str] | None,
        typer.Option("--format", help=f"May be repeated.  [default: {ALL}]", metavar=FORMATS),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.", metavar="DIR")] = Path(),
) -> None:
    from unmix import export
    from unmix.chain import Chain

    formats = check_formats(wanted or [ALL])
    steps = Chain.from_file(chain)
    for path in export.write(steps, chain.stem.removesuffix(".chain"), out, formats):
        say(f"wrote {path}")


@app.command()
def schema(
    document: Annotated[str, typer.Argument(help="Of which files.", metavar="chain|result")],
) -> None:
    """Print the JSON Schema of chain files, or of results.

    \b
    Examples:
      unmix schema chain > chain.schema.json
      unmix schema result
    """
    import json

    from unmix.export import schema as schemas

    if document not in schemas.DOCUMENTS:
        raise typer.BadParameter(f"no document {document!r}; there are chain and result")
    text = json.dumps(schemas.DOCUMENTS[document](), indent=2, ensure_ascii=False)
    typer.echo(text)
