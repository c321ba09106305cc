"""The command line: parse, call, print. JSON goes to stdout, everything else to stderr.

Exit codes: 0 all done, 1 some input failed, 2 wrong usage, 130 stopped by Ctrl+C. Whatever is
slow to import is imported inside the commands.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from unmix.cli import evaluate, tools, training
from unmix.cli import export as export_command
from unmix.cli.console import hush, remark, say
from unmix.cli.tools import Quiet, check_device, check_time
from unmix.errors import UnmixError

# of refine, where the user gives steps and no time
LEAST_TIME_S, TIME_PER_STEP_S = 50, 0.25


class _Group(TyperGroup):
    """Turns the project's exception into one line and an exit code."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UnmixError as error:
            say(f"error: {' '.join(str(error).split())}", "red")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Hears a recording of processed sound and names the chain of effects, with every knob.

    \b
    Examples:
      unmix probe probe.wav      1. send this through your effects and record it
      unmix analyze take.wav     2. the chain; with --refine 200 nearer
      unmix effects              what is known, with every knob
    """,
)


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
_Report = Annotated[
    bool | None,
    typer.Option(
        help="NAME.report.html in --out, or here: chain, players, pictures. On with --out.",
        show_default=False,
    ),
]
_Plots = Annotated[bool, typer.Option("--plots", help="Its pictures as PNG: NAME.*.png.")]
_Json = Annotated[bool, typer.Option("--json", help="The results as JSON on stdout.")]
_Seed = Annotated[int, typer.Option(min=0, help="Of the random starting points.")]
_Time = Annotated[
    float | None,
    typer.Option(
        "--time",
        help="Time for refine, alone or as a second bound.  "
        f"[default with steps: {LEAST_TIME_S}, or {TIME_PER_STEP_S} a step if that is more]",
        metavar="SECONDS",
        show_default=False,
    ),
]
_Polish = Annotated[
    int, typer.Option(min=0, help="Steps on the real effects at the end of refine.")
]
_Device = Annotated[str, typer.Option(help="Where the proxies run: cpu, cuda, …")]


_Export = Annotated[
    list[str] | None,
    typer.Option(
        "--export", help=f"Also write into --out: {export_command.CHOICE}.", metavar="FORMAT"
    ),
]


@app.command()
def analyze(
    files: Annotated[
        list[str],
        typer.Argument(help="Recordings: files, folders, or globs in quotes.", metavar="TAKE …"),
    ],
    source: _Source = "auto",
    refine: Annotated[int, typer.Option(min=0, help="Steps of refine; 0 for none.")] = 0,
    time: _Time = None,
    polish: _Polish = 10,
    top: Annotated[int, typer.Option(min=1, max=50, help="Candidates to show.")] = 5,
    gain: _Gain = "0",
    json: _Json = False,
    out: _Out = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also the subfolders of folders.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out what --out holds already, made the same way."),
    ] = False,
    export: _Export = None,
    report: _Report = None,
    plots: _Plots = False,
    seed: _Seed = 0,
    device: _Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Name the chain of effects in recordings, with every knob.

    \b
    Examples:
      unmix analyze take.wav --refine 200
      unmix analyze wet.wav --source dry.wav --time 60 --out answers
      unmix analyze take.wav --refine 200 --out answers --export reaper --export text
      unmix analyze takes --recursive --refine 200 --out answers --resume
      unmix analyze "takes/*.wav" --json --quiet > answers.json

    Of several recordings, or a folder, --out gets a table as well: summary.csv, summary.json.
    Results keep the subfolders that the recordings lie in.

    Ctrl+C ends refine with the best answer so far and begins no other file; a second one ends
    everything. The same command with --resume goes on.
    """
    _check(source, gain, device, time)
    if resume and not out:
        raise typer.BadParameter("--resume looks into the folder of --out: give that, too")
    from unmix.analysis.analyze import analyze as work

    options = {
        "source": source,
        "refine": refine,
        "seconds": _bound(time, refine),
        "polish": polish,
        "top": top,
        "gain": gain,
        "seed": seed,
        "device": device,
    }
    hush(quiet)
    _answer(files, work, options, json, out, recursive, resume, _extras(out, export, report, plots))


@app.command("refine")
def refine_command(
    chain: Annotated[Path, typer.Argument(help="Chain to start from.", metavar="CHAIN.json")],
    file: Annotated[str, typer.Argument(help="Recording.", metavar="TAKE.wav")],
    source: _Source = "auto",
    steps: Annotated[int, typer.Option("--steps", "--refine", min=1, help="Steps.")] = 200,
    time: _Time = None,
    polish: _Polish = 10,
    gain: _Gain = "0",
    json: _Json = False,
    out: _Out = None,
    report: _Report = None,
    plots: _Plots = False,
    seed: _Seed = 0,
    device: _Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Move a chain's knobs until its render is nearest to a recording.

    \b
    Example:
      unmix refine guess.chain.json take.wav --source dry.wav --steps 200
    """
    _check(source, gain, device, time)
    from unmix.analysis.analyze import refine_chain
    from unmix.chain import Chain

    options = {
        "source": source,
        "steps": steps,
        "seconds": _bound(time, steps),
        "polish": polish,
        "gain": gain,
        "seed": seed,
        "device": device,
    }
    hush(quiet)
    _answer(
        [file],
        partial(refine_chain, Chain.from_file(chain)),
        options,
        json,
        out,
        extras=_extras(out, (), report, plots),
    )


def _bound(seconds: float | None, steps: int) -> float | None:
    """Time for refine where the user did not say."""
    if seconds is not None or not steps:
        return seconds
    return max(LEAST_TIME_S, TIME_PER_STEP_S * steps)


def _check(source: str, gain: str, device: str, seconds: float | None) -> None:
    """What would be wrong for every recording is said once, before the first of them."""
    check_time(seconds)
    from unmix.audio import io
    from unmix.recording import prepare

    try:
        prepare.check(source, gain)
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None
    check_device(device)
    if source not in prepare.KINDS:
        io.read(source)


def _extras(out: Path | None, export, report: bool | None, plots: bool) -> list:
    """What else is written for each result: functions (result, name) -> paths."""
    formats = export_command.checked(export or ())
    if formats and not out:
        raise typer.BadParameter("--export needs --out, the folder to write into")
    folder, found = out or Path(), []

    def page(result, name: str) -> list[Path]:
        import shlex
        import sys

        from unmix.report import html

        return [html.write(result, name, folder, shlex.join(["unmix", *sys.argv[1:]]))]

    def pictures(result, name: str) -> list[Path]:
        from unmix.report import png

        return png.write(result, name, folder)

    def others(result, name: str) -> list[Path]:
        from unmix import export

        return export.write(result.chain, name, folder, formats, result)

    if formats:
        found.append(others)
    if report or (report is None and out):
        found.append(page)
    if plots:
        found.append(pictures)
    return found


def _answer(
    words: list[str],
    work,
    options: dict,
    json: bool,
    out: Path | None,
    recursive: bool = False,
    resume: bool = False,
    extras=(),
) -> None:
    """Find the recordings, run the work on each, print; the exit code says how it went."""
    from unmix.cli import batch, inputs

    if out:
        batch.check_folder(out)
    found, remarks = inputs.find(words, recursive, out)
    for line in remarks:
        remark(line)
    several = len(words) > 1 or found[0].path != Path(words[0])
    entries, stopped = batch.run(found, work, options, out, resume, several, extras)
    if json:
        typer.echo(batch.as_json(entries), nl=False)
    if stopped:
        raise typer.Exit(130)
    if any("error" in entry for entry in entries):
        raise typer.Exit(1)


app.add_typer(tools.app)
app.add_typer(export_command.app)
app.add_typer(training.app)
app.add_typer(evaluate.app, name="evaluate")
