"""`/metrics`: every family, its labels, its truth, and that it always answers."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client.samples import Sample

from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import BRIEF, QUIET, Api, open_api, until
from tests.support.metric_families import FAMILIES, MAPS, STARTED_AT_ZERO, label_sets, parsed, value
from tests.support.servers import StoreServer, valkey_server
from tests.support.truth import count_entries

pytestmark = pytest.mark.server

# Their first value or their label comes with use.
LATER = (
    "cleanup_efficiency_ratio",
    "build_info",
    "recommended_window_seconds",
    "store_call_duration_seconds",
    "http_request_duration_seconds",
)
ENDPOINTS = (
    ("POST", "/transactions"),
    ("POST", "/feeds/{feed}"),
    ("GET", "/transactions/{signature:path}"),
    ("GET", "/stream"),
    ("GET", "/consumers"),
    ("DELETE", "/consumers/{name}"),
    ("POST", "/consumers/{name}/lease"),
    ("POST", "/consumers/{name}/commit"),
    ("POST", "/consumers/{name}/seek"),
    *(("GET", f"/{at}") for at in ("", "page/events", "page/figures", "page/script.js", "page/style.css")),
    ("GET", "/stats"),
    ("POST", "/cleanup"),
    ("POST", "/cleanup/emergency"),
    ("GET", "/cleanup"),
    ("GET", "/sources"),
    ("GET", "/reports/daily"),
    ("GET", "/reports/recent"),
    *((method, "/drill") for method in ("GET", "POST", "DELETE")),
    ("POST", "/alerts"),
    ("GET", "/alerts"),
    ("GET", "/memory"),
    ("POST", "/memory/reset"),
    ("GET", "/settings"),
    ("PATCH", "/settings"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)
ROUTES = {route for _, route in ENDPOINTS}


@pytest.fixture
async def embedded() -> AsyncIterator[Api]:
    """A gate with its embedded store and a memory limit, so that every family has a value."""
    async with open_api(Settings(memory_limit_bytes=2**31, **BRIEF, **QUIET)) as opened:  # type: ignore[arg-type]
        yield opened


async def _use_everything(api: Api) -> None:
    await api.post_many("kept", 10)
    await api.post_many("kept", 10, "quicknode")
    await api.find("kept-1")
    await api.clean()
    await api.clean("/emergency")
    await api.http.get("/nowhere/secret-path")
    await api.http.post("/transactions", content=b"nonsense")
    await asyncio.sleep(1.2)
    await api.stats()


async def test_every_family_is_there_with_its_type_and_labels(embedded: Api) -> None:
    await _use_everything(embedded)

    async def has_all() -> bool:
        return set(parsed(await embedded.metrics())) >= set(FAMILIES)

    await until(has_all)
    families = parsed(await embedded.metrics())
    assert set(families) == set(FAMILIES), "these, and no other"
    for name, (kind, samples) in families.items():
        assert kind == FAMILIES[name].kind, name
        for sample in samples:
            assert set(sample.labels) - {"le"} == set(FAMILIES[name].labels), sample


def _label_sets(samples: list[Sample]) -> list[dict[str, str]]:
    return [{label: text for label, text in s.labels.items() if label != "le"} for s in samples]


async def test_every_label_set_known_in_advance_is_there_from_the_start(embedded: Api) -> None:
    families = parsed(await embedded.metrics())
    missing = [
        (name, labels)
        for name, family in FAMILIES.items()
        for labels in label_sets(family)
        if name not in LATER and labels not in _label_sets(families[name][1])
    ]
    assert missing == []


@pytest.mark.parametrize("name", STARTED_AT_ZERO)
async def test_what_counts_starts_at_zero(api: Api, name: str) -> None:
    _, samples = parsed(await api.metrics())[name]
    counted = [sample.value for sample in samples if sample.labels.get("trigger") != "periodic"]
    assert not any(counted)


@pytest.mark.parametrize("code", ["400", "401", "413", "422"])
async def test_refused_alerts_start_at_zero_so_that_an_alert_sees_the_first(api: Api, code: str) -> None:
    await api.metrics()
    assert api.sample("http_requests_total", method="POST", route="/alerts", code=code) == 0


async def test_every_route_is_there_from_the_start(api: Api) -> None:
    text = await api.metrics()
    for method, route in ENDPOINTS:
        assert value(text, "http_requests_total", method=method, route=route, code="200") is not None, route


async def test_the_text_has_the_content_type_of_prometheus_and_no_created_series(api: Api) -> None:
    response = await api.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "_created" not in response.text


async def test_promtool_finds_nothing_to_complain_about(embedded: Api) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; run: apt-get install prometheus"
    await _use_everything(embedded)
    text = await embedded.metrics()
    check = await asyncio.create_subprocess_exec(
        promtool, "check", "metrics", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await check.communicate(text.encode())
    assert (check.returncode, output.decode()) == (0, "")


async def test_two_gates_in_one_process_share_no_value(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **QUIET)
    async with open_api(settings) as one, open_api(settings.model_copy(update={"store_prefix": "b"})) as two:
        await one.post_many("kept", 7)
        await one.clean()
        await one.stats()
        await two.stats()
        for api, count in ((one, 7), (two, 0)):
            text = await api.metrics()
            assert value(text, "transactions_total", outcome="accepted") == count
            assert value(text, "map_entries", map="signatures") == count
            runs = value(text, "cleanup_runs_total", trigger="manual", mode="normal", result="success")
            assert runs == (1 if count else 0)


async def test_transactions_are_counted_by_outcome_and_by_source(api: Api) -> None:
    await api.post_many("one", 5, "helius-a")
    await api.post_many("one", 5, "quicknode")
    items = [{"signature": "two", "source": "rpc:1"}, {"signature": "no good"}]
    await api.http.post("/transactions", json=items, headers={"X-Source": "rpc:2"})
    text = await api.metrics()
    for outcome, count in (("accepted", 6), ("duplicate", 5), ("invalid", 1), ("refused", 0), ("failed", 0)):
        assert value(text, "transactions_total", outcome=outcome) == count
    for source, outcome, count in (
        ("helius-a", "accepted", 5),
        ("quicknode", "duplicate", 5),
        ("rpc:1", "accepted", 1),
        ("rpc:2", "invalid", 1),
    ):
        assert value(text, "source_transactions_total", source=source, outcome=outcome) == count
    assert value(text, "ingest_batch_size_count") == 3
    assert value(text, "ingest_batch_size_sum") == 12
    assert value(text, "ingest_flush_size_sum") == 11


async def test_sources_beyond_the_limit_are_counted_as_other(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, max_sources=3, **QUIET)) as api:
        for number in range(6):
            await api.post(f"signature-{number}", f"feed-{number}")
        await api.post("again", "feed-0")
        text = await api.metrics()
        assert value(text, "source_transactions_total", source="other", outcome="accepted") == 3
        assert value(text, "source_transactions_total", source="feed-0", outcome="accepted") == 2
        assert "feed-3" not in text


@pytest.mark.parametrize("path", ["/nowhere", "/stats/more", "/transactions", "/%2e%2e/etc", "//"])
async def test_an_unknown_path_is_counted_as_unmatched_and_never_by_its_name(api: Api, path: str) -> None:
    await api.http.get(path)
    await api.http.get("/" + "long" * 100)
    text = await api.metrics()
    routes = {s.labels["route"] for s in parsed(text)["http_requests"][1]}
    assert "unmatched" in routes
    assert routes <= ROUTES | {"unmatched"}
    assert "longlong" not in text


async def test_an_unknown_method_is_counted_as_other(api: Api) -> None:
    await api.http.request("BREW", "/stats")
    await api.http.request("SECRET", "/nowhere")
    text = await api.metrics()
    assert value(text, "http_requests_total", method="other", route="/stats", code="405") == 1
    assert value(text, "http_requests_total", method="other", route="unmatched", code="404") == 1
    assert "BREW" not in text
    assert "SECRET" not in text


async def test_no_signature_stands_in_the_text(api: Api) -> None:
    await api.post("5BNbFfw7JkPECRkEgz3q")
    await api.find("5BNbFfw7JkPECRkEgz3q")
    await api.http.get("/transactions/unknown/5BNbFfw7JkPECRkEgz3q")
    await api.http.get("/transactions/5BNbFfw7JkPECRkEgz3q%0A")
    assert "5BNbFfw7" not in await api.metrics()


async def test_requests_are_counted_by_route_and_code(api: Api) -> None:
    await api.http.get("/transactions/unknown")
    await api.http.post("/transactions", content=b"{", headers={"Content-Type": "application/json"})
    text = await api.metrics()
    route = "/transactions/{signature:path}"
    assert value(text, "http_requests_total", method="GET", route=route, code="404") == 1
    assert value(text, "http_request_duration_seconds_count", method="GET", route=route) == 1
    assert value(text, "http_requests_total", method="POST", route="/transactions", code="400") == 1
    assert value(text, "http_requests_in_flight") == 0, "no scrape is one of them"


async def test_cleanups_are_timed_and_their_last_success_is_a_timestamp(api: Api) -> None:
    assert api.sample("cleanup_last_success_timestamp_seconds", mode="emergency") == 0
    started = time.time()
    await api.clean("/emergency")
    at = api.sample("cleanup_last_success_timestamp_seconds", mode="emergency") or 0
    assert started <= at <= time.time()
    assert api.sample("cleanup_duration_seconds_count", mode="emergency") == 1


async def test_map_gauges_equal_what_is_really_in_the_store(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, dedup_window_seconds=60, **QUIET)) as api:
        await api.post_many("one", 40)
        await api.post_many("one", 25, "quicknode")
        await api.post_many("two", 3, "quicknode")
        text = await until_ticked(api, 43)
        truth = vars(count_entries(store))
        stats = (await api.stats())["maps"]
        for name in MAPS:
            assert value(text, "map_entries", map=name) == truth[name] == stats[name]["entries"]
            assert value(text, "map_added_total", map=name) == stats[name]["added_total"]
            assert value(text, "map_bytes", map=name) == stats[name]["bytes"]
            assert value(text, "map_limit_entries", map=name) == stats[name]["limit_entries"]
            assert value(text, "map_retention_seconds", map=name) == stats[name]["retention_seconds"]
            age = value(text, "map_oldest_entry_age_seconds", map=name) or 0
            assert 0 < age <= stats[name]["oldest_age_seconds"]


async def until_ticked(api: Api, signatures: int) -> str:
    """The text once a tick of the gate itself has seen so many signatures."""

    async def seen() -> bool:
        return api.sample("map_entries", map="signatures") == signatures

    await until(seen)
    return await api.metrics()


async def test_while_the_store_is_down_values_stay_and_the_answer_does_not_wait_for_it(
    settings_for: MakeSettings,
) -> None:
    with valkey_server(unix=True, maxmemory="64mb") as server:
        async with open_api(settings_for(server, **QUIET)) as api:
            await api.post_many("kept", 20)
            before = await until_ticked(api, 20)
            server.pause()
            lookup = asyncio.create_task(api.http.get("/transactions/kept-0"))
            await asyncio.sleep(0.1)
            paused = await api.metrics()
            assert not lookup.done()
            server.resume()
            assert (await lookup).status_code == 200
            server.kill()
            assert (await api.http.post("/transactions", json={"signature": "x"})).status_code == 503
            killed = await api.metrics()
            for text in (before, paused, killed):
                assert value(text, "map_entries", map="transactions") == 20
                assert value(text, "store_limit_bytes") == 64 * 1024 * 1024
                assert value(text, "transactions_total", outcome="accepted") == 20
            assert [value(text, "store_up") for text in (before, killed)] == [1, 0]
            assert value(killed, "transactions_total", outcome="failed") == 1
            assert value(killed, "store_errors_total", kind="unreachable") != 0
