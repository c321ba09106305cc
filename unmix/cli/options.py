"""Options that several commands share, and how help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from unmix import export
from unmix.errors import UnmixError

# panels of --help
SOURCE, SEARCH, OUTPUT, MANY = "Source and level", "Search", "Output", "Many files"
REFINE_S, REFINE_S_PER_STEP = 50, 0.25  # time for refine, where the user gives steps and no time


class Command(TyperCommand):
    """A command whose --help has a section for each ``rich_help_panel``, in the order in which they
    first occur. Plain text: importing rich would double the time of --help."""

    def format_options(self, ctx, formatter) -> None:
        panels: dict[str, list] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                usual = "Arguments" if param.param_type_name == "argument" else "Options"
                panel = getattr(param, "rich_help_panel", None) or usual
                panels.setdefault(panel, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)


Source = Annotated[
    str,
    typer.Option(
        help="What went into the effects. auto: the probe if it is found in the recording, else "
        "none. FILE: a dry audio file. none: unknown (blind).",
        metavar="auto|probe|noise|chirp|impulse|none|FILE",
        rich_help_panel=SOURCE,
    ),
]
Gain = Annotated[
    str,
    typer.Option(
        help="Gain that recording added, removed before the analysis; auto if unknown.",
        metavar="DB|auto",
        rich_help_panel=SOURCE,
    ),
]
Time = Annotated[
    float | None,
    typer.Option(
        "--time",
        help="Bound on the time of refine, alone or beside its steps.  "
        f"[default with steps: {REFINE_S}, or {REFINE_S_PER_STEP} a step if that is more]",
        metavar="SECONDS",
        show_default=False,
        rich_help_panel=SEARCH,
    ),
]
Polish = Annotated[
    int,
    typer.Option(
        min=0,
        help="Last steps of refine, on the real effects, for the answer alone.",
        metavar="STEPS",
        rich_help_panel=SEARCH,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        help="Seed of the random initial points.",
        metavar="N",
        rich_help_panel=SEARCH,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where the proxies run.", metavar="cpu|cuda|cuda:N|…", rich_help_panel=SEARCH
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Results as JSON on stdout.", rich_help_panel=OUTPUT)
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for NAME.chain.json, NAME.answer.wav, NAME.result.json and the report.",
        metavar="DIR",
        rich_help_panel=OUTPUT,
    ),
]
FORMATS = "|".join((*export.EXPORTERS, export.ALL))
Export = Annotated[
    list[str] | None,
    typer.Option(
        "--export",
        help="Also write the chain into --out in this format; may be repeated.",
        metavar=FORMATS,
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[
    bool | None,
    typer.Option(
        help="One page with chain, players and plots: NAME.report.html in --out, where it is the "
        "default, or in the current folder.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Plots = Annotated[
    bool,
    typer.Option("--plots", help="Plots of the report as NAME.*.png.", rich_help_panel=OUTPUT),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", help="Also the subfolders of folders.", rich_help_panel=MANY),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Skip recordings whose results are in --out, from the same content, options, "
        "program and weights.",
        rich_help_panel=MANY,
    ),
]
QUIET = {"help": "No progress, no remarks; results and errors only."}
Quiet = Annotated[bool, typer.Option("--quiet", "-q", **QUIET)]
QuietOutput = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, **QUIET)]


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


def check_formats(wanted: list[str]) -> tuple[str, ...]:
    """The export formats asked for; an unknown one is wrong usage."""
    try:
        return export.expand(wanted)
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None


def refine_time(seconds: float | None, steps: int) -> float | None:
    """Time for refine, also where the user gave steps alone; None without either."""
    if seconds is not None or not steps:
        return seconds
    return max(REFINE_S, REFINE_S_PER_STEP * steps)
