"""One table for many recordings, as CSV for a spreadsheet and as JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from unmix.chain import Chain
from unmix.cli import provenance
from unmix.runtime.files import write_text

FORMAT, FORMAT_VERSION = "unmix-summary", 1
COLUMNS = (
    "file",
    "status",
    "chain",
    "probability",
    "distance_before",
    "distance_after",
    "esr_before_db",
    "esr_after_db",
    "source",
    "seconds",
    "settings",
    "error",
    "results",
)


def row(entry: dict) -> dict:
    """One entry of ``batch.run`` -> {column: value}, None where there is none.

    ``status``: "done", "stopped early" or "failed". ``chain``: names. ``probability``: of the
    chain, by the network. Distances: MSS and ESR, of the real render of the prediction and of the
    answer. ``settings``: [{"effect", "settings"}, …]. ``results``: NAME of the files.
    """
    filled = dict.fromkeys(COLUMNS) | {"file": entry["file"]}
    if "error" in entry:
        return filled | {"status": "failed", "error": entry["error"]}
    made = entry["made"]
    filled |= {
        "status": "stopped early" if made["stopped_early"] else "done",
        "chain": [step["effect"] for step in entry["chain"]],
        "probability": entry["candidates"][0]["probability"],
        "source": entry["source"],
        "seconds": made["seconds"],
        "settings": entry["chain"],
        "results": made["name"],
    }
    for when, distance in (entry["distance"] or {}).items():
        filled |= {f"distance_{when}": distance["mss"], f"esr_{when}_db": distance["esr_db"]}
    return filled


def save(entries: Sequence[dict], total: int, folder: Path) -> list[Path]:
    """Write summary.json and summary.csv; ``total`` counts the recordings not begun, too.

    JSON: {"format", "version", "unmix", "probe": their versions, "total", "files": [row, …]}. CSV:
    the same columns, with the chain and the settings in words.
    """
    rows = [row(entry) for entry in entries]
    document = {"format": FORMAT, "version": FORMAT_VERSION}
    document |= {key: provenance.program()[key] for key in ("unmix", "probe")}
    document |= {"total": total, "files": rows}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    paths = [folder / "summary.json", folder / "summary.csv"]
    write_text(paths[0], text)
    write_text(paths[1], as_csv(rows))
    return paths


def as_csv(rows: Sequence[dict]) -> str:
    """A header and one line a row; numbers as they are, so that a program can read it as well."""
    file = StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for filled in rows:
        words = {}
        if filled["chain"] is not None:
            chain = Chain((step["effect"], step["settings"]) for step in filled["settings"])
            words = {"chain": chain.in_words(), "settings": chain.settings_in_words()}
        writer.writerow(filled | words)
    return file.getvalue()
