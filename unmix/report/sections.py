"""The parts of the report's page, each from a Result to HTML."""

from __future__ import annotations

from html import escape

from unmix import effects
from unmix.analysis.diagnostics import NOT_EXPLAINED_MSS
from unmix.analysis.result import Result
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.report import dials, figure_data, svg
from unmix.report.players import Track

SOURCES = {"none": "not known (blind)", "file": "a dry file"}


def source_words(result: Result) -> str:
    """What went in, for a person."""
    return SOURCES.get(result.source, f"the {result.source}")


def chain_html(chain: Chain) -> str:
    """The effects in order, with arrows."""
    names = [f"<b>{escape(name)}</b>" for name in chain.names]
    return "<i>→</i>".join(names) or "<b>no effect</b>"


def percent(probability: float | None) -> str:
    """``"41.3 %"``; a dash where nobody said."""
    if not probability:
        return "–"
    return "< 0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"


def decibels(value: float) -> str:
    """With sign and unit."""
    return dials.typeset(f"{value:+.1f} dB")


def _fact(title: str, value: str, more: str) -> str:
    return f"<div class=fact><dt>{title}</dt><dd><b>{value}</b><span>{more}</span></dd></div>"


def facts(result: Result) -> str:
    """The answer in four numbers."""
    parts = [_probability(result)]
    if result.distance is None:
        parts.append(_fact("Distance", "unknown", "only a known source can be rendered"))
    else:
        before, after = result.distance["before"], result.distance["after"]
        parts += [
            _fact(
                "Distance of the answer",
                f"{after['mss']:.3f}",
                f"{before['mss']:.3f} for the prediction. 0: the same; above "
                f"{NOT_EXPLAINED_MSS:g}: not explained (MSS)",
            ),
            _fact(
                "Residual",
                decibels(after["esr_db"]),
                f"{decibels(before['esr_db'])} for the prediction; relative to the recording (ESR)",
            ),
        ]
    about = []
    if result.source != "none":
        about.append(f"latency {1000 * result.latency_s:.1f} ms")
    if result.gain_db is None:
        about.append("gain of the recording unknown")
    elif result.gain_db:
        about.append(f"gain {decibels(result.gain_db)} taken out")
    parts.append(_fact("Source", escape(source_words(result)), ", ".join(about)))
    return f'<dl class="facts">{"".join(parts)}</dl>'


def _probability(result: Result) -> str:
    """Of the answer, and the runner-up."""
    probability = result.candidates[0][1] if result.candidates else None
    more = "by the network, before any search" if probability else "the network did not name it"
    if len(result.candidates) > 1:
        other, next_best, distance = result.candidates[1]
        more += f". Next best: {escape(other.in_words(' → '))}"
        more += f", {percent(next_best)}" if next_best else ""
        more += "" if distance is None else f", distance {distance:.3f}"
    return _fact("Probability of this chain", percent(probability), more)


def remarks(result: Result) -> str:
    """Notes; they stand out where the answer is in doubt."""
    if not result.notes:
        return ""
    far = result.distance is not None and result.distance["after"]["mss"] > NOT_EXPLAINED_MSS
    warn = far or result.distance is None
    items = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    head = "<strong>Take care with this answer</strong>" if warn else ""
    style = "remarks warn" if warn else "remarks"
    return f'<section class="{style}" aria-label="Remarks">{head}<ul>{items}</ul></section>'


def head(place: int, name: str) -> str:
    """A device's place in the chain and its name."""
    return f'<span class="place">{place}</span><h3>{escape(name)}</h3>'


KEY = """<div class="key"><span><svg viewBox="0 0 20 8" aria-hidden="true"><path class="value"
d="M2 4H18"/></svg>value</span><span><svg viewBox="0 0 20 8" aria-hidden="true"><path
class="interval" d="M2 4H18"/></svg>90 % interval, if the chain is right</span>
<span class="undetermined"><svg viewBox="0 0 20 8" aria-hidden="true"><path class="value"
d="M2 4H18"/></svg>not determined: this recording hardly depends on it</span></div>"""


def chain(result: Result) -> str:
    """The devices in order, with all their knobs and switches."""
    lead = "In the order of the signal flow. Intervals: from "
    lead += "the curvature of the distance." if result.history else "the network's posterior."
    if not result.chain.steps:
        lead = "No effect: the recording is the source as it was."
    devices = []
    following = ["", *result.chain.names[1:], "recording"]
    for place, (name, settings) in enumerate(result.chain.steps, 1):
        effect = effects.get(name)
        panel = dials.controls(
            effect,
            settings,
            result.intervals.get(name, {}),
            result.undetermined.get(name, ()),
        )
        devices.append(
            f'<article class="device" aria-label="{place}: {escape(name, True)}"><header>'
            f"{head(place, name)}<span class=next>→ {escape(following[place])}</span>"
            f"<p>{escape(effect.description)}</p></header>"
            f'<div class="panel">{panel}</div></article>'
        )
    key = KEY if devices else ""
    row = f'<div class="chain">{"".join(devices)}</div>'
    return f'<h2>Chain</h2><p class="lead">{lead}</p>{row}{key}'


def excerpt_words(result: Result) -> str:
    """Which part of the recording is in the page."""
    excerpt = result.excerpt
    start, length = excerpt.start_s, excerpt.recording.size / SAMPLE_RATE
    if excerpt.whole_s - length < 0.01:
        return f"All {length:.2f} s of the recording, mono, as they were analysed."
    return (
        f"An excerpt: {start:.1f} s to {start + length:.1f} s of the recording's "
        f"{excerpt.whole_s:.1f} s, mono. It is the part that was analysed; the rest is not in this "
        "file."
    )


def _pick(number: int, track: Track, chosen: bool) -> str:
    about = escape(f"{number}: {track.name}, {track.about}", True)
    return (
        f'<button type="button" class="pick" aria-pressed="{str(chosen).lower()}" '
        f'aria-label="{about}" title="{escape(track.about, True)}"><kbd>{number}</kbd>'
        f'<b>{escape(track.name)}</b><span class="gain"></span></button>'
    )


def player(result: Result, tracks: list[Track]) -> str:
    """Buttons, waveform and time; the sounds themselves stand at the end of the page."""
    blind = (
        ""
        if result.excerpt.answer is not None
        else (" Without its source there is no answer to hear beside it.")
    )
    first = next(i for i, track in enumerate(tracks) if track.name == "Recording")
    picks = "".join(_pick(i + 1, track, i == first) for i, track in enumerate(tracks))
    waves = "".join(
        f'<path d="{track.wave}"{"" if i == first else " hidden"}/>'
        for i, track in enumerate(tracks)
    )
    seconds = result.excerpt.recording.size / SAMPLE_RATE
    alone = " hidden" if len(tracks) == 1 else ""
    keys = f"<kbd>1</kbd>–<kbd>{len(tracks)}</kbd> switch" if len(tracks) > 1 else ""
    return f"""<h2>Listen</h2><p class="lead">{excerpt_words(result)}{blind}</p>
<section class="player" id="player" aria-label="Player" data-first="{first}" data-playing="false">
<div class="transport"><button type="button" id="play"><svg viewBox="0 0 12 12" aria-hidden="true"
><path d="M1 0L12 6L1 12Z"/></svg><b>Play</b></button>
<div class="tracks" role="group" aria-label="Which sound plays">{picks}</div>
<button type="button" class="toggle" id="match" aria-pressed="true"{alone}>Match levels</button>
<button type="button" class="toggle" id="loop" aria-pressed="false">Loop</button></div>
<div class="lane"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{waves}
</svg><input type="range" id="seek" min="0" max="{seconds:.4f}" step="0.01" value="0"
aria-label="Position"></div>
<div class="below"><output id="time">0.00 / {seconds:.2f} s</output>
<span class="keys"><kbd>space</kbd> play {keys}
<span{alone}><kbd>m</kbd> match levels</span> <kbd>l</kbd> loop</span>
<span>Gain by RMS, in dB</span></div>
<p class="note" id="status" role="status"></p><noscript><p class="note">The player needs
JavaScript; everything else on this page does not.</p></noscript></section>"""


def spectrograms(result: Result) -> str:
    """Recording, answer and their difference."""
    lead = "Time from left to right, on one colour scale; 0 dB is a sine at full scale."
    if result.excerpt.answer is None:
        lead = "Of the recording alone: without its source there is no answer to draw beside it."
    figures = "".join(svg.figure(curve) for curve in figure_data.spectrograms(result.excerpt))
    return f'<h2>Spectrograms</h2><p class="lead">{lead}</p><div class="plots two">{figures}</div>'


def response_plots(result: Result) -> str:
    """What each device does."""
    steps = zip(result.chain.names, figure_data.devices(result), strict=True)
    figures = [
        svg.figure(curve, f'<div class="of">{head(place, name)}</div>')
        for place, (name, found) in enumerate(steps, 1)
        for curve in found
    ]
    if not figures:
        return ""
    lead = "By the real effects at these settings."
    if result.excerpt is None or result.excerpt.source is None:
        lead += " Plots that depend on the input are left out: the source is not known."
    return (
        f'<h2>What each device does</h2><p class="lead">{lead}</p>'
        f'<div class="plots">{"".join(figures)}</div>'
    )


def _share(probability: float | None) -> str:
    """A bar under a probability that is large enough to be seen."""
    if not probability or probability < 0.005:
        return ""
    return f'<i class="share" style="width:{100 * probability:.1f}%"></i>'


def _row(place: int, chain: Chain, probability: float | None, distance: float | None) -> str:
    """One candidate."""
    near = "–" if distance is None else f"{distance:.3f}"
    return (
        f"<tr{' class=answer' if place == 1 else ''}><td>{place}</td>"
        f"<td>{escape(chain.in_words(' → '))}</td>"
        f"<td class=number>{percent(probability)}{_share(probability)}</td>"
        f"<td class=number>{near}</td></tr>"
    )


def _checks(result: Result) -> str:
    """The answer on other parts of a long recording."""
    if not result.checks:
        return ""
    rows = "".join(
        f"<tr><td>{check['start_s']:.1f} s</td><td class=number>{check['mss']:.3f}</td>"
        f"<td class=number>{decibels(check['esr_db'])}</td></tr>"
        for check in result.checks
    )
    return f"""<div class="card"><h4>On parts that the search did not use</h4><table><thead><tr>
<th scope="col">from<th scope="col" class=number>distance<th scope="col" class=number>residual</tr>
</thead><tbody>{rows}</tbody></table></div>"""


def search(result: Result) -> str:
    """The candidates, and the distance before, during and after refine."""
    rows = "".join(_row(place, *one) for place, one in enumerate(result.candidates, 1))
    course = figure_data.search(result)
    picture = svg.figure(course) if course else ""
    lead = (
        "Probability: the network's, before any search. Distance: between the recording and the "
        "render by the real effects (MSS; – where none was made)"
    )
    if course:
        lead += ": the smallest wins, and among about equal ones the chain with the fewest effects."
    else:
        lead += ". There was no refine: the most probable is the answer."
    return f"""<h2>Candidates</h2><p class="lead">{lead}</p><div class="split"><div class="card">
<table><thead><tr><th scope="col"><th scope="col">chain<th scope="col" class=number>probability
<th scope="col" class=number>distance</tr></thead><tbody>{rows}</tbody></table></div>
{picture}{_checks(result)}</div>"""
