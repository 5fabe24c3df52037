"""`/metrics` in each format that a client may ask for, plain and compressed."""

import asyncio
import gzip
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge, Info, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from app.api.accept_headers import accepts
from app.api.routes.metrics import format_for
from app.metrics.exposition import OPENMETRICS, PIECE_SAMPLES, TEXT, Format, exposition
from app.observability.scrapes import Scrapes
from tests.support.api_calls import Api
from tests.support.turns import count_turns

OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
# What goes on between two texts: CPU time, memory, collections.
MOVING = ("tidegate_cpu_seconds_total", "process_", "python_gc_", "tidegate_event_loop_lag_seconds")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/html, */*;q=0.8", TEXT),
        (OF_PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; version=2.0.0, text/plain; q=0.1", TEXT),
        ("application/openmetrics-text; q=0, text/plain", TEXT),
        ("application/openmetrics-text; q=much", TEXT),
        ("application/openmetrics-text;q=0.4, text/plain;version=0.0.4;q=0.5", TEXT),
        ("application/json", TEXT),
    ],
)
def test_openmetrics_is_for_who_asks_for_it_and_the_text_format_for_all_others(
    accept: str, form: Format
) -> None:
    assert format_for(accept) == form


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("x-gzip-like", False),
    ],
)
def test_gzip_is_for_who_takes_it(header: str, *, is_taken: bool) -> None:
    assert accepts(header, "gzip") is is_taken


def whole(registry: CollectorRegistry, form: Format = TEXT) -> bytes:
    """The text that pieces make."""
    return "".join(exposition(registry, form)).encode()


def _still(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if not line.startswith(tuple(map(str.encode, MOVING)))]


@pytest.mark.server
@pytest.mark.parametrize(("form", "write"), [(TEXT, generate_latest), (OPENMETRICS, generate_openmetrics)])
async def test_the_text_is_what_the_client_library_would_write(
    api: Api, form: Format, write: Callable[[CollectorRegistry], bytes]
) -> None:
    await api.post_many("kept", 10)
    await api.clean("/emergency")
    registry = api.runtime.metrics.registry
    assert _still(whole(registry, form)) == _still(write(registry))
    odd = Gauge("odd", 'Help "of"\ntwo lines and a \\', ["label", "a"], registry=registry)
    for number, value in enumerate((float("inf"), float("nan"), -1, 1e21, 123456789, 0.1)):
        odd.labels(f'quote " backslash \\ line\n {number}', "b").set(value)
    Info("known", "Help", registry=registry).info({"version": '"1"'})
    assert _still(whole(registry, form)) == _still(write(registry))


@pytest.mark.server
async def test_both_formats_have_the_same_samples(api: Api) -> None:
    await api.post_many("kept", 10)
    registry = api.runtime.metrics.registry
    texts = (whole(registry).decode(), whole(registry, OPENMETRICS).decode())
    plain, open_ = (
        {(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples}
        for families in (text_families(texts[0]), openmetrics_families(texts[1]))
    )
    assert plain == open_


@pytest.mark.server
@pytest.mark.parametrize(("accept", "form"), [("", TEXT), (OF_PROMETHEUS, OPENMETRICS)])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_answer_names_its_format_and_its_coding(
    api: Api, accept: str, form: Format, coding: str
) -> None:
    headers = {"Accept": accept, "Accept-Encoding": coding}
    async with api.http.stream("GET", "/metrics", headers=headers) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-type"] == form.content_type
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers.get("content-encoding", "identity") == coding
    text = gzip.decompress(sent) if coding == "gzip" else sent
    assert b"tidegate_build_info{" in text
    assert text.endswith(form.end.encode())


def of_many_series(families: int, series: int, *first: Gauge) -> CollectorRegistry:
    """A registry of these gauges and so many others, each with so many series."""
    registry = CollectorRegistry()
    for one in first:
        registry.register(one)
    for family in range(families):
        made = Gauge(f"many_{family}", "Help", ["label"], registry=registry)
        for number in range(series):
            made.labels(str(number)).set(number)
    return registry


@pytest.mark.parametrize(("families", "series"), [(1, 4 * PIECE_SAMPLES), (40, PIECE_SAMPLES // 10)])
async def test_others_are_served_between_the_pieces_of_a_scrape(families: int, series: int) -> None:
    registry, done = of_many_series(families, series), asyncio.Event()
    turns = asyncio.create_task(count_turns(done))
    text = (await Scrapes(registry).take(TEXT)).text
    done.set()
    assert text == generate_latest(registry)
    assert max(len(piece.splitlines()) for piece in exposition(registry)) < 2 * PIECE_SAMPLES
    assert await turns >= families * series // (2 * PIECE_SAMPLES)


async def test_all_who_ask_before_a_scrape_begins_share_it_and_its_compression() -> None:
    scrapes = Scrapes(of_many_series(1, 1))
    first, second, other = await asyncio.gather(
        scrapes.take(TEXT), scrapes.take(TEXT), scrapes.take(OPENMETRICS)
    )
    assert first is second
    assert first.compressed is second.compressed
    assert gzip.decompress(first.compressed) == first.text
    assert other.text == first.text + b"# EOF\n"


async def test_who_asks_during_a_scrape_gets_the_next_which_is_no_older_than_the_question() -> None:
    changed, noted = (Gauge(name, "Help", registry=None) for name in ("changed", "noted"))
    scrapes, begun = Scrapes(of_many_series(4, PIECE_SAMPLES, changed, noted)), asyncio.Event()

    def note() -> float:
        begun.set()
        return 0

    noted.set_function(note)
    first = asyncio.create_task(scrapes.take(TEXT))
    await begun.wait()
    changed.set(1)
    one, other = await asyncio.gather(scrapes.take(TEXT), scrapes.take(TEXT))
    assert one is other
    assert b"changed 0.0" in (await first).text
    assert b"changed 1.0" in one.text
