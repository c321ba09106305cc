"""The command line: parse, call, print. JSON goes to stdout, everything else to stderr.

Exit codes: 0 all done, 1 some input failed, 2 wrong usage, 130 stopped by Ctrl+C. Whatever is
slow to import is imported inside the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from unmix import cli_evaluate, cli_export, cli_training
from unmix.errors import UnmixError
from unmix.report import say


class _Group(TyperGroup):
    """Turns the project's exception into one line and an exit code."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UnmixError as error:
            say(f"error: {' '.join(str(error).split())}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hears a recording of processed sound and names the chain of effects, with every knob.",
)

app.add_typer(cli_export.app)
app.add_typer(cli_training.app)
app.add_typer(cli_evaluate.app, name="evaluate")


def main() -> None:
    """Entry of the console script."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"unmix {version('unmix')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


# --- recordings ----------------------------------------------------------------------------------


_Source = Annotated[
    str,
    typer.Option(
        help="auto (the probe if it is found, else none), probe, noise, chirp, impulse, "
        "a dry audio file, or none (blind).",
        metavar="KIND|FILE",
    ),
]
_Gain = Annotated[
    str, typer.Option(help="What recording added, in dB; auto if unknown.", metavar="dB|auto")
]
_Out = Annotated[
    Path | None,
    typer.Option(help="Folder for NAME.chain.json, .answer.wav and .result.json.", metavar="DIR"),
]
_Json = Annotated[bool, typer.Option("--json", help="The results as JSON on stdout.")]
_Seed = Annotated[int, typer.Option(min=0, help="Of the random starting points.")]
_Time = Annotated[
    float | None,
    typer.Option("--time", help="Time for refine, alone or as a second bound.", metavar="SECONDS"),
]
_Polish = Annotated[
    int, typer.Option(min=0, help="Steps on the real effects at the end of refine.")
]
_Device = Annotated[str, typer.Option(help="Where the proxies run: cpu, cuda, …")]


_Export = Annotated[
    list[str] | None,
    typer.Option("--export", help=f"Also write into --out: {cli_export.CHOICE}.", metavar="FORMAT"),
]


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="Recordings.", metavar="TAKE.wav …")],
    source: _Source = "auto",
    refine: Annotated[int, typer.Option(min=0, help="Steps of refine; 0 for none.")] = 0,
    time: _Time = None,
    polish: _Polish = 10,
    top: Annotated[int, typer.Option(min=1, max=50, help="Candidates to show.")] = 5,
    gain: _Gain = "0",
    json: _Json = False,
    out: _Out = None,
    export: _Export = None,
    seed: _Seed = 0,
    device: _Device = "cpu",
) -> None:
    """Name the chain of effects in recordings, with every knob.

    \b
    Examples:
      unmix analyze take.wav --refine 200
      unmix analyze wet.wav --source dry.wav --time 60 --out answers
      unmix analyze take.wav --refine 200 --out answers --export reaper --export text

    Ctrl+C ends refine with the best answer so far; a second one ends everything.
    """
    _check_time(time)
    from unmix.analyze import analyze as work

    def one(file, progress, stop):
        return work(
            file,
            source=source,
            refine=refine,
            top=top,
            gain=gain,
            seed=seed,
            device=device,
            progress=progress,
            seconds=time,
            stop=stop,
            polish=polish,
        )

    _answer(files, one, bool(refine or time), json, out, export or ())


@app.command("refine")
def refine_command(
    chain: Annotated[Path, typer.Argument(help="Chain to start from.", metavar="CHAIN.json")],
    file: Annotated[Path, typer.Argument(help="Recording.", metavar="TAKE.wav")],
    source: _Source = "auto",
    steps: Annotated[int, typer.Option("--steps", "--refine", min=1, help="Steps.")] = 200,
    time: _Time = None,
    polish: _Polish = 10,
    gain: _Gain = "0",
    json: _Json = False,
    out: _Out = None,
    seed: _Seed = 0,
    device: _Device = "cpu",
) -> None:
    """Move the knobs of a chain until its render comes nearest to a recording.

    \b
    Example:
      unmix refine guess.chain.json take.wav --source dry.wav --steps 200
    """
    _check_time(time)
    from unmix.analyze import refine_chain
    from unmix.chain import Chain

    start = Chain.from_file(chain)

    def one(file, progress, stop):
        return refine_chain(
            start,
            file,
            source=source,
            steps=steps,
            gain=gain,
            seed=seed,
            device=device,
            progress=progress,
            seconds=time,
            stop=stop,
            polish=polish,
        )

    _answer([file], one, True, json, out)


def _check_time(seconds: float | None) -> None:
    if seconds is not None and not seconds > 0:
        raise typer.BadParameter("--time must be above 0")


def _answer(
    files: list[Path], work, refines: bool, json: bool, out: Path | None, export=()
) -> None:
    export = cli_export.checked(export)
    if export and not out:
        raise typer.BadParameter("--export needs --out, the folder to write into")
    stems = [file.stem for file in files]
    if out and len(set(stems)) < len(stems):
        raise typer.BadParameter("two of the files would write the same names into --out")
    from unmix.report import answers

    if out:
        answers.check_folder(out)
    entries, stopped = answers.run(files, work, refines, out, say, export)
    if json:
        typer.echo(answers.as_json(entries), nl=False)
    if stopped:
        raise typer.Exit(130)
    if any("error" in entry for entry in entries):
        raise typer.Exit(1)


@app.command()
def render(
    chain: Annotated[Path, typer.Argument(help="Chain file.", metavar="CHAIN.json")],
    source: Annotated[Path, typer.Argument(help="Audio to process.", metavar="IN.wav")],
    out: Annotated[Path, typer.Argument(help="Result: .wav or .flac.", metavar="OUT.wav")],
) -> None:
    """Run audio through a chain of real effects.

    Any sample rate from 8 to 192 kHz and any number of channels; both are kept. WAV files are
    written as 32-bit float and hold peaks above full scale.

    \b
    Example:
      unmix render answer.json dry.wav wet.wav
    """
    from unmix import audio
    from unmix.chain import Chain

    steps = Chain.from_file(chain)
    dry, rate = audio.read(source)
    wet = steps.render(dry, rate)
    audio.write(out, wet, rate)
    names = " > ".join(steps.names) or "empty chain"
    say(f"{out}: {names}; {wet.shape[1] / rate:.2f} s, channels: {len(wet)}, {rate} Hz")
    if out.suffix.lower() == ".flac" and abs(wet).max() > 1:
        say("warning: peaks above full scale are clipped in a FLAC file; write .wav to keep them")


@app.command()
def probe(
    out: Annotated[Path, typer.Argument(help="File to write.", metavar="OUT.wav")],
    kind: Annotated[str, typer.Option(help="probe, noise, chirp or impulse.")] = "probe",
) -> None:
    """Write the probe: the sound to send through the effects that are to be named.

    \b
    Examples:
      unmix probe probe.wav
      unmix probe chirp.wav --kind chirp
    """
    from unmix import audio, sources

    signal = sources.fixed(kind)
    audio.write(out, signal, audio.SAMPLE_RATE, subtype="PCM_24")
    version = sources.PROBE_VERSION if kind == "probe" else kind
    say(f"{out}: {version}, {signal.size / audio.SAMPLE_RATE:g} s, 44.1 kHz, mono, 24 bit")
    say(
        "Send it through the effects at this level, record the whole of it and what rings on, then:"
    )
    say(f"  unmix analyze recording.wav --source {kind}")


@app.command()
def effects(
    name: Annotated[str | None, typer.Argument(help="One effect; all if left out.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """Show the effects with their knobs, ranges and switches.

    \b
    Examples:
      unmix effects
      unmix effects ott --json
    """
    from unmix import effects as registry
    from unmix.report import controls

    chosen = [registry.get(n) for n in ([name] if name else registry.names())]
    if json:
        typer.echo(controls.as_json(chosen))
    else:
        say(controls.as_text(chosen))


@app.command()
def env(
    json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """Show versions, devices and bundled weights: put this into a bug report.

    \b
    Example:
      unmix env
    """
    import json as jsonlib

    from unmix.report import environment

    found = environment.collect()
    if json:
        typer.echo(jsonlib.dumps(found, indent=2, ensure_ascii=False))
    else:
        say(environment.as_text(found))
