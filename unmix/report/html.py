"""The report: one HTML file a recording that needs no other file and no network."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from unmix.analysis.result import Result
from unmix.audio.signals import PROBE_VERSION
from unmix.report import players, sections
from unmix.runtime.files import write_text

NO_SOUNDS = '<p class="note">This result came without its sounds: no players, no spectrograms.</p>'
ASSETS = files("unmix.report") / "assets"


def page(result: Result, name: str, command: str | None = None) -> str:
    """The whole page.

    Args:
        result: of ``analyze`` or ``refine_chain``.
        name: the recording's, for the title.
        command: the command line that made it, if there was one.

    Without its sounds (a result that was made by hand) players and spectrograms are left out.
    """
    tracks = players.tracks(result.excerpt) if result.excerpt else []
    body = "\n".join(
        (
            sections.facts(result),
            sections.remarks(result),
            sections.chain(result),
            sections.player(result, tracks) if tracks else NO_SOUNDS,
            sections.spectrograms(result) if tracks else "",
            sections.response_plots(result),
            sections.search(result),
            _made(command),
        )
    )
    source = "unknown source" if result.source == "none" else sections.source_words(result)
    path = "<i>→</i>".join((escape(source), sections.chain_html(result.chain), "recording"))
    return Template(_asset("page.html")).substitute(
        version=version("unmix"),
        title=escape(name),
        path=path,
        body=body,
        footer="This page holds everything it shows: it loads nothing and sends nothing.",
        # "<" would let a name end the script element
        tracks=json.dumps([track.to_dict() for track in tracks]).replace("<", "\\u003c"),
        css=_asset("page.css"),
        js=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _made(command: str | None) -> str:
    """When, by what versions and by what command."""
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    line = f'<code class="command">{escape(command)}</code>' if command else ""
    return (
        f'<h2>How it was made</h2><div class="card made"><dl><dt>program</dt><dd>unmix '
        f"{escape(version('unmix'))}, probe {escape(PROBE_VERSION)}</dd>"
        f"<dt>made</dt><dd>{when}</dd></dl>{line}</div>"
    )


def write(result: Result, name: str, folder: Path, command: str | None = None) -> Path:
    """Write NAME.report.html into a folder."""
    path = folder / f"{name}.report.html"
    write_text(path, page(result, name, command))
    return path
