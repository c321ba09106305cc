"""The commands beside the analysis: render, probe, effects, env."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unmix.cli.console import hush, remark, say
from unmix.errors import UnmixError

app = typer.Typer(rich_markup_mode=None)

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress, no remarks; results and errors only."),
]


def check_time(seconds: float | None) -> None:
    """Wrong usage, if it is no time."""
    if seconds is not None and not seconds > 0:
        raise typer.BadParameter("--time must be above 0")


def check_device(device: str | None) -> None:
    """A device that is not there is wrong usage."""
    from unmix.runtime import devices

    try:
        devices.check(device or "cpu")
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def render(
    chain: Annotated[Path, typer.Argument(help="Chain file.", metavar="CHAIN.json")],
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
    names = " > ".join(steps.names) or "empty chain"
    remark(f"{out}: {names}; {wet.shape[1] / rate:.2f} s, channels: {len(wet)}, {rate} Hz")
    if out.suffix.lower() == ".flac" and abs(wet).max() > 1:
        say("warning: peaks above full scale are clipped in a FLAC file; write .wav to keep them")


@app.command()
def probe(
    out: Annotated[Path, typer.Argument(help="File to write.", metavar="OUT.wav")],
    kind: Annotated[str, typer.Option(help="probe, noise, chirp or impulse.")] = "probe",
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
    remark(
        "Send it through the effects at this level, record the whole of it and what rings on, then:"
    )
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

    The picture has a plot for each knob and switch: a test sound through the real effect at
    several of its settings.

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
