"""The report's page, without a browser: whole, self-contained, right sounds, bounded size."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from made import blind, known

from unmix import effects
from unmix.analysis.result import Result
from unmix.audio.io import SAMPLE_RATE, rms_db
from unmix.chain import Chain
from unmix.effects.plotdata import Axis, Image
from unmix.report import colormap, dials, html, players


@pytest.fixture(scope="module")
def result() -> Result:
    return known()


@pytest.fixture(scope="module")
def page(result) -> str:
    return html.page(result, "take <1>", "unmix analyze 'take <1>.wav' --report")


def test_it_needs_no_other_file_and_no_network(page):
    text = re.sub(r'"flac": "[^"]*"|data:image/png;base64,[^"]*', "", page)
    assert not re.search(r"https?:|\burl\(|@import|<link(?! rel=\"icon\")", text)
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith(("data:", "#")) for source in sources)


def test_every_knob_and_switch_is_there_with_its_value_and_interval(page, result):
    for name, settings in result.chain.steps:
        fx = effects.get(name)
        for knob in fx.knobs:
            label = re.search(rf'data-knob="{knob.name}" role="img" aria-label="([^"]*)"', page)
            assert label, (name, knob.name)
        shown = page.split(
            f'<article class="device" aria-label="{result.chain.names.index(name) + 1}'
        )
        card = shown[1].split("</article>")[0]
        for knob in fx.knobs:
            assert f"{knob.name}: {dials.typeset(knob.format(settings[knob.name]))}" in card
            undetermined = knob.name in result.undetermined.get(name, ())
            words = "not determined by this recording" if undetermined else "90 % interval"
            assert re.search(rf'aria-label="{knob.name}: [^"]*{words}', card)
        for switch in fx.switches:
            chosen = settings[switch.name].replace("_", " ")
            assert f"<li class=on>{chosen}</li>" in card


def test_figures_candidates_course_notes_and_command_are_there(page, result):
    text = re.sub(r"<[^>]*>", "", page.split("<main")[1].split("</main>")[0])
    for part in (
        "50.0 %",
        "25.0 %",
        "0.250",
        "0.900",
        "−20.0 dB",
        "latency 12.5 ms",
        "20.0 s",
        "0.310",
    ):
        assert part in text, part
    assert result.notes[0] in text and "Distance from the recording" in text
    assert "unmix analyze 'take <1>.wav' --report" in text.replace("&lt;", "<").replace(
        "&gt;", ">"
    ).replace("&#x27;", "'")


def test_names_cannot_break_the_page(page):
    assert "<1>" not in page and "take &lt;1&gt;" in page


def test_a_blind_report_leaves_out_what_cannot_be_there_and_says_so():
    text = html.page(blind(), "take")
    tracks = json.loads(re.search(r'id="tracks">(.*?)</script>', text, re.S)[1])
    assert [track["name"] for track in tracks] == ["Recording"]
    assert "there is no answer to draw" in text and "no answer to hear" in text
    assert "Level difference" not in text and "Distance from the recording" not in text
    assert "An excerpt: 30.0 s to 31.5 s of the recording's 200.0 s" in text


def test_a_result_without_sounds_has_a_page_without_players(result):
    text = html.page(replace(result, excerpt=None), "take")
    assert "came without its sounds" in text and 'id="player"' not in text
    assert 'id="tracks">[]<' in text and "Frequency response" in text


def test_an_empty_chain_has_a_page(result):
    excerpt = replace(result.excerpt, chain=Chain())
    bare = Result(Chain(), [(Chain(), None, 0.0)], result.distance, {}, "file", excerpt=excerpt)
    assert "No effect" in html.page(bare, "take")


def test_four_seconds_of_noise_stay_below_three_megabytes():
    """Noise at full scale is what FLAC and PNG can do least with."""
    assert len(html.page(known(seconds=4, peak=0.99), "take").encode()) < 3_000_000


def test_sounds_are_stored_whole_and_have_one_level(result):
    tracks = players.tracks(result.excerpt)
    assert [t.name for t in tracks] == ["Source", "Recording", "Answer", "Difference"]
    excerpt = result.excerpt
    sounds = [excerpt.source, excerpt.recording, excerpt.answer, excerpt.recording - excerpt.answer]
    for track, sound in zip(tracks, sounds, strict=True):
        stored, rate = soundfile.read(io.BytesIO(track.flac), dtype="float32")
        wanted = 10 ** (track.stored_db / 20) * sound
        assert rate == SAMPLE_RATE and np.abs(stored - wanted).max() < 1e-4
    matched = [rms_db(s) + t.matched_db for t, s in zip(tracks[:3], sounds, strict=False)]
    assert matched == pytest.approx([matched[0]] * 3, abs=1e-6)
    for track, sound in zip(tracks, sounds, strict=True):
        for gain in (track.matched_db, track.plain_db):
            assert 10 ** (gain / 20) * np.abs(sound).max() < 1


def test_silence_is_not_lifted():
    loud, silent = np.full(4_410, 0.5, np.float32), np.zeros(4_410, np.float32)
    gains = players.matched_db([loud, silent])
    assert gains[0] == pytest.approx(players.LOUDEST_DB - rms_db(loud)) and gains[1] == 0


def test_png_has_the_colours_of_its_values(tmp_path):
    from matplotlib.image import imread

    values = np.array([[-80.0, 0.0, -200.0], [-40.0, -20.0, 50.0]])  # row 0 is the low end
    image = Image(values, Axis("level", "dB", -80, 0))
    (tmp_path / "a.png").write_bytes(colormap.png(image))
    pixels = np.round(255 * imread(tmp_path / "a.png")[..., :3]).astype(int)[::-1]
    palette = colormap.palette(False).astype(int)
    numbers = np.array([[0, 255, 0], [128, 191, 255]])
    assert np.array_equal(pixels, palette[numbers])


@pytest.mark.parametrize(
    "value, text", [("-0.0 dB", "0.0 dB"), ("+0.0 dB", "0.0 dB"), ("-3.0 dB", "−3.0 dB")]
)
def test_zero_has_no_sign(value, text):
    assert dials.typeset(value) == text


def test_intervals_in_words_and_as_arcs():
    freq, phase = effects.get("eq").knobs[0], effects.get("phaser").knobs[-1]
    assert dials.in_words(freq, (60, 90)) == "60 … 90 Hz"
    through_zero = dials.dial(phase, 0.0, (350, 20))  # 30° clockwise, across the top
    arc = re.search(r'"interval" d="M(\S+) (\S+)A31 31 0 (\d) 1 (\S+) (\S+)"', through_zero)
    x0, y0, large, x1, y1 = map(float, arc.groups())
    assert x0 < dials.CENTRE < x1 and max(y0, y1) < dials.CENTRE and not large
