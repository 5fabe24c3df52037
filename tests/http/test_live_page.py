"""The live page in Chromium: figures, looks, buttons, and what it says when the gate is in trouble."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.web.page import STATES
from tests.support.browser import Page, browser_page
from tests.support.gate import GateProcess, gate_process
from tests.support.servers import valkey_server
from tests.support.tokens import ADMIN, INGEST

pytestmark = [pytest.mark.server, pytest.mark.slow]

CUT_OFF = "[...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth).length"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = "document.activeElement.innerText || document.activeElement.id"
SEEN = "getComputedStyle(document.querySelector('%s')).display !== 'none'"


@pytest.fixture(scope="module")
def closed() -> Iterator[GateProcess]:
    """A gate with tokens, three feeds and a consumer."""
    with gate_process(ingest_tokens=INGEST, admin_tokens=ADMIN) as gate:
        with gate.client(headers={"Authorization": f"Bearer {INGEST}"}) as client:
            for feed in ("helius-a", "quicknode-a", "a-feed-with-a-long-name.of-some-provider"):
                _post(gate, feed, 300)
            client.post("/consumers/bot/lease?limit=10").raise_for_status()
        yield gate


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a browser."""
    with browser_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def _post(gate: GateProcess, feed: str, amount: int, prefix: str = "kept") -> None:
    items = [{"signature": f"{prefix}-{number}"} for number in range(amount)]
    headers = {"Authorization": f"Bearer {INGEST}", "X-Source": feed}
    with gate.client(headers=headers) as client:
        client.post("/transactions", json=items).raise_for_status()


def _shows(name: str, amount: str) -> str:
    return f"document.querySelector('[data-figure={name}]').innerText === '{amount}'"


def test_it_shows_the_figures_of_stats_and_keeps_up_with_them(closed: GateProcess, page: Page) -> None:
    page.requests.clear()
    page.open(f"{closed.url}/")
    with closed.client() as client:
        ingest = client.get("/stats").json()["ingest"]
    page.wait(_shows("accepted", f"{ingest['accepted']:,}"))
    page.wait(_shows("duplicate", f"{ingest['duplicate']:,}"))
    _post(closed, "helius-a", 1000, "more")
    page.wait(_shows("accepted", f"{ingest['accepted'] + 1000:,}"))
    page.wait("document.querySelectorAll('.spark.accepted polyline')[0].points.length > 1")
    assert page.messages == []
    loaded = [url.removeprefix(closed.url) for url in page.requests]
    assert loaded == ["/", "/page/style.css", "/page/script.js", "/page/events"], "and nothing from elsewhere"


@pytest.mark.parametrize(("width", "dark"), [(1240, False), (1240, True), (700, False), (390, True)])
def test_nothing_is_cut_off_on_a_wide_and_on_a_narrow_screen_light_and_dark(
    closed: GateProcess, page: Page, width: int, dark: bool
) -> None:
    page.open(f"{closed.url}/", width, dark=dark)
    page.wait("document.querySelectorAll('.spark.memory').length > 0")
    assert (page.evaluate(TOO_WIDE), page.evaluate(CUT_OFF)) == (0, 0)
    ink, back = (
        ("rgb(231, 236, 242)", "rgb(18, 23, 29)") if dark else ("rgb(27, 36, 48)", "rgb(244, 246, 248)")
    )
    style = "getComputedStyle(document.body)"
    assert [page.evaluate(f"{style}.{name}") for name in ("color", "backgroundColor")] == [ink, back]


@pytest.mark.parametrize("dark", [False, True])
def test_the_word_for_each_state_can_be_read(closed: GateProcess, page: Page, dark: bool) -> None:
    page.open(f"{closed.url}/", dark=dark)
    page.evaluate("events.close()")
    look = "getComputedStyle(document.querySelector('h1 .status'))"
    colours = set()
    for state in STATES:
        page.evaluate(f"document.querySelector('h1 .status').className = 'status {state}'")
        ink, back = (page.evaluate(f"{look}.{name}") for name in ("color", "backgroundColor"))
        assert ink != back, state
        colours.add((state == "ready", back))
    assert len(colours) == 2, "ready has a colour of its own"


def test_by_the_keyboard_a_cleanup_shows_first_what_it_would_remove(closed: GateProcess, page: Page) -> None:
    page.open(f"{closed.url}/")
    page.press("Tab")
    assert page.evaluate(FOCUS) == "token"
    page.type("wrong")
    page.press("Tab")
    page.press("Enter")
    page.wait("document.getElementById('outcome').innerText.includes('Not done')")
    assert _cleanups(closed) == []
    page.evaluate("document.getElementById('token').select()")
    page.evaluate("document.getElementById('token').focus()")
    page.type(ADMIN)
    page.press("Tab")
    page.press("Tab")
    assert str(page.evaluate(FOCUS)).startswith("Emergency cleanup")
    page.press(" ")
    page.wait("document.getElementById('outcome').innerText.includes('nothing has been removed')")
    assert _cleanups(closed) == [("emergency", True)]
    assert page.evaluate(FOCUS) == "Cancel"
    page.press("Tab")
    assert page.evaluate(FOCUS) == "Remove now"
    page.press("Enter")
    page.wait("document.getElementById('outcome').innerText.includes('cleanup took')")
    assert _cleanups(closed) == [("emergency", False), ("emergency", True)]
    page.wait("document.getElementById('live').innerText.includes('manual, emergency, dry run')")


def _cleanups(gate: GateProcess) -> list[tuple[str, bool]]:
    with gate.client(headers={"Authorization": f"Bearer {ADMIN}"}) as client:
        reports = client.get("/cleanup").json()
    return [(one["mode"], one["dry_run"]) for one in reports if one["trigger"] == "manual"]


def test_without_scripts_it_is_a_page_with_figures_and_without_buttons(
    closed: GateProcess, page: Page
) -> None:
    page.run_scripts(enabled=False)
    try:
        page.open(f"{closed.url}/")
        assert "ready" in page.text("h1")
        assert "helius-a" in page.text("#live")
        assert page.evaluate(SEEN % "#cleanup") is False
    finally:
        page.run_scripts(enabled=True)


def test_it_says_when_the_store_is_down_and_when_the_gate_has_gone(page: Page) -> None:
    with valkey_server() as store, gate_process(store_url=store.url) as gate:
        page.open(f"{gate.url}/")
        page.wait("document.title.startsWith('ready')")
        assert page.evaluate(SEEN % "#token-label") is False, "this gate needs no token"
        store.stop()
        page.wait("document.title.startsWith('store down')")
        assert "the store is down" in page.text("section.banner")
        gate.kill()
        page.wait("document.title.startsWith('no answer')")
        assert "has not answered since" in page.text("#lost")


def test_a_hidden_page_asks_for_nothing(closed: GateProcess, page: Page) -> None:
    page.open(f"{closed.url}/")
    hide = "Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'));"
    page.evaluate(hide % "hidden" + tell)
    assert page.evaluate("events.readyState === EventSource.CLOSED")
    page.evaluate(hide % "visible" + tell)
    page.wait("events.readyState === EventSource.OPEN")


def test_a_picture_can_be_taken(closed: GateProcess, page: Page, tmp_path: Path) -> None:
    page.open(f"{closed.url}/")
    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
