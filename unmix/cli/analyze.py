"""The commands that find settings in recordings: analyze, refine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmix.cli import options as shared
from unmix.cli.console import hush, remark
from unmix.cli.options import Command
from unmix.errors import UnmixError

if TYPE_CHECKING:
    from unmix.analysis.result import Result

app = typer.Typer(rich_markup_mode=None)

Takes = Annotated[
    list[str],
    typer.Argument(help="Recordings: files, folders, or globs in quotes.", metavar="TAKE …"),
]
Refine = Annotated[
    int,
    typer.Option(
        min=0,
        help="Steps of the search from the network's candidates; 0: the first answer.",
        metavar="STEPS",
        rich_help_panel=shared.SEARCH,
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps",
        "--refine",
        min=1,
        help="Steps of the search.",
        metavar="STEPS",
        rich_help_panel=shared.SEARCH,
    ),
]
Top = Annotated[
    int,
    typer.Option(
        min=1, max=50, help="Candidates to show.", metavar="N", rich_help_panel=shared.OUTPUT
    ),
]
ChainFile = Annotated[Path, typer.Argument(help="Chain to start from.", metavar="CHAIN.json")]
Take = Annotated[str, typer.Argument(help="Recording.", metavar="TAKE.wav")]


@dataclass(frozen=True)
class Files:
    """What is written for each result.

    Attributes:
        folder: of --out, or None. formats: exporters, which need it.
        report, plots: the page and its plots as PNG, in the folder or in the current one; the
            report is None where the user did not say: on with a folder.
    """

    folder: Path | None
    formats: tuple[str, ...] = ()
    report: bool | None = None
    plots: bool = False

    def writers(self) -> list[Callable[[Result, str], list[Path]]]:
        """Functions (result, name) -> paths, for what ``batch.save`` does not write."""
        wanted = {
            self._export: bool(self.formats),
            self._page: bool(self.folder) if self.report is None else self.report,
            self._plots: self.plots,
        }
        return [write for write, is_wanted in wanted.items() if is_wanted]

    def _export(self, result: Result, name: str) -> list[Path]:
        from unmix import export

        return export.write(result.chain, name, self.folder or Path(), self.formats, result)

    def _page(self, result: Result, name: str) -> list[Path]:
        import shlex
        import sys

        from unmix.report import html

        command = shlex.join(["unmix", *sys.argv[1:]])
        return [html.write(result, name, self.folder or Path(), command)]

    def _plots(self, result: Result, name: str) -> list[Path]:
        from unmix.report import png

        return png.write(result, name, self.folder or Path())


@app.command(cls=Command)
def analyze(
    files: Takes,
    source: shared.Source = "auto",
    gain: shared.Gain = "0",
    refine: Refine = 0,
    time: shared.Time = None,
    polish: shared.Polish = 10,
    seed: shared.Seed = 0,
    device: shared.Device = "cpu",
    top: Top = 5,
    json: shared.Json = False,
    out: shared.Out = None,
    export: shared.Export = None,
    report: shared.Report = None,
    plots: shared.Plots = False,
    quiet: shared.QuietOutput = False,
    recursive: shared.Recursive = False,
    resume: shared.Resume = False,
) -> None:
    """Name the chain of effects in recordings, with every knob.

    \b
    Examples:
      unmix analyze take.wav --refine 200
      unmix analyze wet.wav --source dry.wav --time 60 --out answers
      unmix analyze take.wav --refine 200 --out answers --export reaper --export text
      unmix analyze takes --recursive --refine 200 --out answers --resume
      unmix analyze "takes/*.wav" --json --quiet > answers.json

    With several recordings or a folder, --out also gets summary.csv and summary.json. Results keep
    the subfolders of the recordings.

    Ctrl+C ends refine with the best answer so far and begins no other file; a second one ends the
    program. The same command with --resume goes on.
    """
    _check(source, gain, device, time)
    if resume and not out:
        raise typer.BadParameter("--resume looks into the folder of --out: give that, too")
    formats = shared.check_formats(export or [])
    if formats and not out:
        raise typer.BadParameter("--export needs --out, the folder to write into")
    from unmix.analysis.analyze import analyze as work

    options = {
        "source": source,
        "refine": refine,
        "seconds": shared.refine_time(time, refine),
        "polish": polish,
        "top": top,
        "gain": gain,
        "seed": seed,
        "device": device,
    }
    hush(quiet)
    written = Files(out, formats, report, plots)
    _run(files, work, options, written, json, recursive, resume)


@app.command("refine", cls=Command)
def refine_command(
    chain: ChainFile,
    file: Take,
    source: shared.Source = "auto",
    gain: shared.Gain = "0",
    steps: Steps = 200,
    time: shared.Time = None,
    polish: shared.Polish = 10,
    seed: shared.Seed = 0,
    device: shared.Device = "cpu",
    json: shared.Json = False,
    out: shared.Out = None,
    report: shared.Report = None,
    plots: shared.Plots = False,
    quiet: shared.QuietOutput = False,
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
        "seconds": shared.refine_time(time, steps),
        "polish": polish,
        "gain": gain,
        "seed": seed,
        "device": device,
    }
    hush(quiet)
    work = partial(refine_chain, Chain.from_file(chain))
    _run([file], work, options, Files(out, report=report, plots=plots), json)


def _check(source: str, gain: str, device: str, seconds: float | None) -> None:
    """What would be wrong for every recording is said once, before the first of them."""
    shared.check_time(seconds)
    from unmix.audio import io
    from unmix.recording import prepare

    try:
        prepare.check(source, gain)
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None
    shared.check_device(device)
    if source not in prepare.KINDS:
        io.read(source)


def _run(
    words: list[str],
    work: Callable[..., Result],
    options: dict,
    written: Files,
    json: bool,
    recursive: bool = False,
    resume: bool = False,
) -> None:
    """Find the recordings, run the work on each, print; the exit code says how it went."""
    from unmix.cli import batch, inputs

    out = written.folder
    if out:
        batch.check_folder(out)
    found, remarks = inputs.find(words, recursive, out)
    for line in remarks:
        remark(line)
    several = len(words) > 1 or found[0].path != Path(words[0])
    entries, stopped = batch.run(found, work, options, out, resume, several, written.writers())
    if json:
        typer.echo(batch.as_json(entries), nl=False)
    if stopped:
        raise typer.Exit(130)
    if any("error" in entry for entry in entries):
        raise typer.Exit(1)
