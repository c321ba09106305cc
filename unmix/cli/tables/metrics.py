"""Tables of metrics for the terminal."""

from __future__ import annotations

from rich.table import Table

from unmix import effects
from unmix.chain import Chain


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _number(value, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _distance(value: float) -> str:
    """MSS, which falls by decades."""
    return f"{value:.2g}"


def _percent(value) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _decibels(esr: dict) -> list[str]:
    return [_number(esr[key], 1) for key in ("mean", "median", "p95")]


def proxies(metrics: dict) -> list[Table]:
    """Tables of ``evaluation.proxies``: ``proxies`` and ``chains``."""
    columns = ("ESR mean dB", "median", "95 %", "MSS", "k par.")
    title = f"{metrics['sources']} sources, {metrics['count']} items each, seed {metrics['seed']}"
    errors = _table(f"Error of the proxies: {title}", "effect", *columns)
    speed = _table(
        "Times real time, one thread",
        "effect",
        "forward",
        "with gradient",
        "real effect",
        "real is faster",
    )
    cuda = _table("Times real time on CUDA, batch 1", "effect", "forward", "with gradient")
    slopes = _table(
        "Gradient of the MSS loss against central differences through the real effect",
        "effect",
        "items",
        "cosine median",
        "10 %",
        "right sign %",
    )
    worst = _table("Worst cases", "effect", "item", "ESR dB", "settings")
    worst.columns[3].no_wrap, worst.columns[3].justify = False, "left"
    for name, row in metrics["effects"].items():
        versions = [(name, row)]
        if "baseline" in row:
            versions.append(("  black box", row["baseline"]))
        for label, version in versions:
            size = f"{version['parameters'] / 1000:.1f}"
            errors.add_row(label, *_decibels(version["esr_db"]), _number(version["mss"]), size)
            speeds = version["speed"]
            times = [f"{speeds[key]:.0f}" for key in ("forward", "gradient", "real_effect")]
            faster = "yes" if speeds["real_effect"] > speeds["forward"] else "no"
            speed.add_row(label, *times, faster)
            if "cuda" in speeds:
                cuda.add_row(label, *(f"{speeds['cuda'][k]:.0f}" for k in ("forward", "gradient")))
        if slope := row.get("gradient"):
            values = [_number(slope[key]) for key in ("cosine", "cosine_p10")]
            slopes.add_row(name, str(slope["count"]), *values, _percent(slope["right_sign"]))
        for case in row["worst"]:
            text = effects.get(name).panel.in_words(case["settings"])
            worst.add_row(name, str(case["item"]), _number(case["esr_db"], 1), text)
    lengths = _table(f"Chains of proxies: {title}", "effects", "ESR mean dB", "median", "95 %")
    for length, row in metrics.get("chains", {}).items():
        lengths.add_row(str(length), *_decibels(row["esr_db"]))
        for case in row["worst"][:1]:  # the others are in the JSON: each takes many lines
            text = Chain(case["chain"]).settings_in_words()
            worst.add_row(f"{length} effects", str(case["item"]), _number(case["esr_db"], 1), text)
    tables = [errors, lengths, slopes, speed, cuda, worst]
    return [table for table in tables if table.row_count]


def chains(metrics: dict) -> list[Table]:
    """Tables of ``evaluation.chains.chains``."""
    title = f"Chains on {metrics['source']}: {metrics['count']} held-out, seed {metrics['seed']}"
    if metrics["degraded"]:
        title += f", degraded: {metrics['degraded']}"
    shares = _table(
        f"{title} (shares in %)",
        "effects",
        "count",
        "equiv.",
        "raw",
        "ceiling",
        "set",
        "top 5",
        "edit",
    )
    knobs = _table(
        "Knobs of the effects named rightly; % of them in intervals of 50, 80 and 90 %; "
        "real distance of the first answer (median)",
        "effects",
        "error",
        "audible",
        "switch %",
        "in 50 %",
        "in 80 %",
        "in 90 %",
        "MSS",
    )
    for n, row in [*metrics["by_length"].items(), ("all", metrics["all"])]:
        values = [_percent(row[key]) for key in ("equivalence", "raw", "ceiling", "set", "top5")]
        shares.add_row(str(n), str(row["count"]), *values, _number(row["edit"], 2))
        errors = [_number(row[key]) for key in ("knob_error", "audible_knob_error")]
        covered = [_percent(value) for value in row["coverage"].values()]
        knobs.add_row(str(n), *errors, _percent(row["switches"]), *covered, _number(row["mss"]))
    found = _table("Effects", "effect", "there", "found", "named though absent")
    for name, row in metrics["effects"].items():
        found.add_row(name, str(row["there"]), str(row["found"]), str(row["false"]))
    return [shares, knobs, found, _confusion(metrics["confusion"]), *_others(metrics)]


def _confusion(table: dict) -> Table:
    named = _table("Named (column) in the place of an effect (row), chains aligned", "", *table)
    for name, row in table.items():
        named.add_row(name, *(str(count) if count else "·" for count in row.values()))
    return named


def _others(metrics: dict) -> list[Table]:
    """Answers with and without re-ranking, and the baselines, where there are any."""
    answers = {"the network": metrics}
    if "alone" in metrics:
        answers = {"re-ranked": metrics, "the network alone": metrics["alone"]}
    answers |= metrics.get("baselines", {})
    if len(answers) == 1:
        return []
    lengths = [*metrics["by_length"], "all"]
    tables = []
    for key, what in (("equivalence", "named rightly (equiv.), %"), ("top5", "among the top 5, %")):
        table = _table(f"Beside other answers: {what}, by effects in the chain", "answer")
        for n in lengths:
            table.add_column(str(n), justify="right")
        for name, rows in answers.items():
            found = [*rows["by_length"].values(), rows["all"]]
            table.add_row(name, *(_percent(row[key]) for row in found))
        tables.append(table)
    knobs = _table(
        "Beside other answers: knobs of the effects named rightly",
        "answer",
        "error",
        "audible",
        "switches right %",
    )
    for name, rows in answers.items():
        errors = [_number(rows["all"][key]) for key in ("knob_error", "audible_knob_error")]
        knobs.add_row(name, *errors, _percent(rows["all"]["switches"]))
    return [*tables, knobs]


def refine(metrics: dict) -> list[Table]:
    """Tables of ``evaluation.refine.refine``."""
    title = (
        f"Refine, {metrics['steps']} steps: {metrics['count']} held-out chains, "
        f"seed {metrics['seed']}"
    )
    distance = _table(
        f"{title}\nReal render: MSS before and after, SI-SDR in dB (medians)",
        "effects",
        "count",
        "worse %",
        "better %",
        "MSS",
        "after",
        "SI-SDR",
        "s each",
    )
    named = _table(
        "Before and after; % of the knobs in the answer's 90 % intervals; "
        "% of those called undetermined that are so",
        "effects",
        "equiv. %",
        "after",
        "audible knob error",
        "after",
        "in 90 %",
        "undet. %",
    )
    for n, row in [*metrics["by_length"].items(), ("all", metrics["all"])]:
        distance.add_row(
            str(n),
            str(row["count"]),
            _percent(row["worse"]),
            _percent(row["better"]),
            _distance(row["mss_before"]),
            _distance(row["mss_after"]),
            _number(row["si_sdr_db"], 1),
            _number(row["seconds"], 1),
        )
        shares = [_percent(row[f"equivalence_{when}"]) for when in ("before", "after")]
        errors = [_number(row[f"audible_{when}"]) for when in ("before", "after")]
        sure = [_percent(row[key]) for key in ("coverage", "undetermined")]
        named.add_row(str(n), *shares, *errors, *sure)
    rivals = _table(
        "Against others in the same time: items in which refine ended nearer; what each reached",
        "method",
        "refine wins %",
        "MSS",
        "equiv. %",
        "renders",
    )
    own = metrics["all"]
    for name, row in metrics["rivals"].items():
        values = _percent(row["wins"]), _distance(row["mss_after"]), _percent(row["equivalence"])
        rivals.add_row(name, *values, f"{row['renders']:.0f}")
    if rivals.row_count:
        shares = _percent(own["equivalence_after"])
        renders = f"{own['renders']:.0f}"
        rivals.add_row("refine itself", "", _distance(own["mss_after"]), shares, renders)
    return [table for table in (distance, named, rivals) if table.row_count]


def show(tables: list[Table]) -> None:
    """Print tables on stderr, as wide as the terminal, 80 columns where there is none."""
    import sys

    from rich.console import Console

    console = Console(file=sys.stderr, width=None if sys.stderr.isatty() else 80)
    for table in tables:
        console.print(table)
