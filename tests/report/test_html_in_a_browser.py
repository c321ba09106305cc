"""The report's page in headless Chromium: errors, widths, players, keys, both colour schemes."""

import shutil
import time

import pytest
from made import SECONDS, blind, known

from unmix.report import html

selenium = pytest.importorskip("selenium", reason="selenium is not installed (the extra 'test')")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"
)
PATIENCE_S = 60  # a busy machine; nothing here takes longer than a second on an idle one


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    made = {"known": known(), "blind": blind()}
    return {name: html.write(result, name, folder).as_uri() for name, result in made.items()}


def opened(browser, address, width=1280, scheme="light"):
    """The page at a width in px and in a colour scheme."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    return browser


def wait(browser, condition: str):
    """Until a JavaScript condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not browser.execute_script(f"return {condition}"):
        assert time.monotonic() < end, f"never came true: {condition}"
        time.sleep(0.05)


def keys(browser, *pressed):
    from selenium.webdriver import ActionChains

    for key in pressed:
        ActionChains(browser).send_keys(key).perform()


def position(browser) -> float:
    return browser.execute_script("return Number(document.getElementById('seek').value)")


def chosen(browser) -> str:
    return browser.execute_script(
        "return document.querySelector('.pick[aria-pressed=true] b').textContent"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("name", ["known", "blind"])
def test_no_errors_and_no_overflow(browser, pages, name, width, scheme):
    opened(browser, pages[name], width, scheme)
    assert browser.get_log("browser") == []
    inner = "document.documentElement.scrollWidth"
    assert browser.execute_script(f"return {inner}") <= width
    wider = """return [...document.querySelectorAll('body *')].filter((e) =>
        e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('svg, .skip')
    ).map((e) => e.className || e.tagName)"""
    assert browser.execute_script(wider) == []
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    bright = int(ground.split("(")[1].split(",")[0])
    assert bright > 200 if scheme == "light" else bright < 60


def test_texts_can_be_read_in_both_schemes(browser, pages):
    """WCAG 2.2, 1.4.3: contrast of 4.5 between a text's colour and the ground behind it."""
    script = """
    const parts = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
    ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (e) => {
      for (; e; e = e.parentElement) {
        const c = parts(getComputedStyle(e).backgroundColor);
        if (c.length < 4 || c[3] > 0) return c;
      }
      return [255, 255, 255];
    };
    return [...document.querySelectorAll('main *')].filter((e) =>
      [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) &&
      !e.closest('svg, noscript') && e.getClientRects().length
    ).map((e) => {
      const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.className || e.tagName];
    }).filter(([ratio]) => ratio < 4.5)"""
    for scheme in ("light", "dark"):
        opened(browser, pages["known"], scheme=scheme)
        assert browser.execute_script(script) == []


def test_it_plays_and_switches_at_the_same_position(browser, pages):
    opened(browser, pages["known"])
    browser.find_element("id", "loop").click()
    browser.find_element("id", "play").click()
    wait(browser, "document.getElementById('player').dataset.context === 'running'")
    wait(browser, "Number(document.getElementById('seek').value) > 0.2")
    browser.find_element("id", "play").click()  # pauses: the position stands still
    before = position(browser)
    assert 0.2 < before < SECONDS
    browser.find_elements("css selector", ".pick")[2].click()
    assert chosen(browser) == "Answer" and position(browser) == before
    browser.find_element("id", "play").click()
    wait(browser, f"Number(document.getElementById('seek').value) !== {before}")
    script = """
    const [seek, picks] = [document.getElementById('seek'), document.querySelectorAll('.pick')];
    const before = Number(seek.value), began = performance.now();
    picks[0].click();
    requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](
      [before, Number(seek.value), (performance.now() - began) / 1000]
    )));"""
    browser.set_script_timeout(PATIENCE_S)
    start, at_time, seconds = browser.execute_async_script(script)
    moved = (at_time - start) % SECONDS  # it loops
    assert chosen(browser) == "Source" and moved <= seconds + 0.2
    assert browser.find_element("id", "player").get_attribute("data-playing") == "true"
    assert browser.find_element("id", "status").text == ""
    browser.find_element("id", "play").click()


def test_gains_are_shown_with_and_without_matching(browser, pages):
    opened(browser, pages["known"])
    shown = "return [...document.querySelectorAll('.gain')].map((e) => e.textContent)"
    matched = browser.execute_script(shown)
    assert all(text.endswith(" dB") for text in matched) and matched[0] != matched[1]
    browser.find_element("id", "match").click()
    assert len(set(browser.execute_script(shown))) == 1


def test_the_keyboard_does_everything(browser, pages):
    from selenium.webdriver import Keys

    opened(browser, pages["known"])
    keys(browser, "3")
    assert chosen(browser) == "Answer"
    keys(browser, "1", "l", "m")
    pressed = "return document.getElementById('%s').ariaPressed"
    assert chosen(browser) == "Source"
    assert browser.execute_script(pressed % "loop") == "true"
    assert browser.execute_script(pressed % "match") == "false"
    keys(browser, " ")
    wait(browser, "document.getElementById('player').dataset.playing === 'true'")
    wait(browser, "Number(document.getElementById('seek').value) > 0")
    keys(browser, " ")
    wait(browser, "document.getElementById('player').dataset.playing === 'false'")
    assert browser.execute_script("return scrollY") == 0  # space did not scroll
    reached = []
    for _ in range(9):
        keys(browser, Keys.TAB)
        focus = browser.switch_to.active_element
        outline = browser.execute_script(
            "const s = getComputedStyle(arguments[0].closest('.lane') || arguments[0]);"
            "return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0",
            focus,
        )
        assert outline, focus.get_attribute("outerHTML")
        reached.append(focus.get_attribute("id") or focus.get_attribute("class"))
    assert reached == ["skip", "play", *["pick"] * 4, "match", "loop", "seek"]
    before = position(browser)
    keys(browser, Keys.END)
    assert position(browser) == pytest.approx(SECONDS, abs=0.02) and before < SECONDS
    named = """return [...document.querySelectorAll('button, input')].every((e) =>
        e.getAttribute('aria-label') || e.textContent.trim())"""
    assert browser.execute_script(named)


def test_a_click_on_a_picture_moves_the_position(browser, pages):
    opened(browser, pages["known"])
    area = browser.find_element("css selector", "[data-timeline] .area")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
    area.click()  # selenium clicks into the middle
    assert position(browser) == pytest.approx(SECONDS / 2, abs=0.03)
