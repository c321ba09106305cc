"""The application: sub-commands, exit codes, the version.

JSON goes to stdout, everything else to stderr. Exit codes: 0 all done, 1 some input failed, 2 wrong
usage, 130 stopped by Ctrl+C. Whatever is slow to import is imported inside the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from unmix.cli import analyze, data, evaluate, tools, training
from unmix.cli.console import say
from unmix.errors import UnmixError


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
    help="""Names the chain of audio effects in a recording, with every knob.

    \b
    Examples:
      unmix probe probe.wav      1. write the probe; send it through your effects, record it
      unmix analyze take.wav     2. the chain and its settings; nearer with --refine 200
      unmix effects              the known effects, with every knob
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


for commands in (analyze.app, tools.app, data.app, training.app):
    app.add_typer(commands)
app.add_typer(evaluate.app, name="evaluate")
