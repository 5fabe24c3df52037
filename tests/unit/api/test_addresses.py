"""What every address has in common: HEAD beside GET, and refusals that say what to do instead."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.addresses import (
    ADDRESSES,
    CONSUMER,
    LOOKUP,
    PAGE_EVENTS,
    PAGE_FILES,
    STREAM,
    SWAGGER_UI,
    TRANSACTIONS,
    Call,
    Token,
)
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.servers import StoreServer

# Streams have no end.
GETS = [
    path
    for path, address in ADDRESSES.items()
    if "GET" in address.calls and path not in (STREAM, PAGE_EVENTS)
]
# Pages for people, with what they load.
UNDOCUMENTED = {"/", PAGE_EVENTS, *PAGE_FILES, "/docs", "/openapi.json", *SWAGGER_UI}
NAMED = {address.path: address for address in CONSUMER.values()}
CALLS = [
    (path, method, call)
    for path, address in {**ADDRESSES, **NAMED}.items()
    for method, call in address.calls.items()
    if path not in (TRANSACTIONS, *UNDOCUMENTED)
]
ADMIN, INGEST = "admin-8Kd2", "ingest-4Ws7"


@pytest.fixture
async def closed(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate with tokens."""
    tokens = {"admin_tokens": ADMIN, "ingest_tokens": INGEST}
    async with open_api(settings_for(valkey, **tokens, **QUIET)) as opened:
        yield opened


def _detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    document: dict[str, Any] = response.json()
    return str(document["detail"])


async def test_the_table_of_addresses_is_that_of_the_openapi_document(api: Api) -> None:
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    documented = {path: set(operations) for path, operations in paths.items()}
    listed = {
        path: {method.lower() for method in each.calls} for path, each in {**ADDRESSES, **NAMED}.items()
    }
    assert listed.keys() - UNDOCUMENTED == documented.keys() - {"/transactions/{signature}", "/feeds/{feed}"}
    assert all(listed[path] == documented[path] for path in listed.keys() - UNDOCUMENTED)


@pytest.mark.parametrize(("path", "method", "call"), CALLS)
async def test_the_table_knows_the_parameters_tokens_and_bodies_of_the_document(
    api: Api, path: str, method: str, call: Call
) -> None:
    operation = (await api.http.get("/openapi.json")).json()["paths"][path][method.lower()]
    named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    assert named == (call.parameters or frozenset())
    assert ("401" in operation["responses"]) is (call.token is not Token.NONE)
    assert ("requestBody" in operation) is call.takes_body


@pytest.mark.parametrize("path", [*GETS, "/transactions/kept", "/transactions/missing"])
async def test_head_answers_as_get_does_without_the_body(api: Api, path: str) -> None:
    await api.post("kept")
    got, head = await api.http.get(path), await api.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert set(head.headers) == set(got.headers)
    assert head.headers["content-type"] == got.headers["content-type"]
    if path not in ("/", "/stats", "/metrics", "/memory", "/sources", "/reports/daily", "/reports/recent"):
        assert head.headers["content-length"] == str(got.num_bytes_downloaded)  # their figures stand still


async def test_head_is_counted_as_head_and_needs_the_token_of_get(closed: Api) -> None:
    assert (await closed.http.head("/cleanup")).status_code == 401
    assert (await closed.http.head("/stats")).status_code == 200
    assert closed.sample("http_requests_total", method="HEAD", route="/cleanup", code="401") == 1
    assert closed.sample("http_requests_total", method="HEAD", route="/stats", code="200") == 1


@pytest.mark.parametrize("path", [*ADDRESSES, "/transactions/kept"])
async def test_a_method_an_address_has_not_names_those_it_has(api: Api, path: str) -> None:
    calls = ADDRESSES.get(path, LOOKUP).calls
    for method in ("OPTIONS", "PUT"):
        refused = await api.http.request(method, path)
        assert refused.headers["allow"] in _detail(refused, 405)
        assert set(refused.headers["allow"].split(", ")) == set(calls) | (
            {"HEAD"} if "GET" in calls else set()
        )


@pytest.mark.parametrize(
    ("method", "target", "said"),
    [
        ("POST", "/cleanup?mpa=signatures", "unknown parameter `mpa`; did you mean `map`?"),
        ("POST", "/cleanup?dry-run=true", "unknown parameter `dry-run`; did you mean `dry_run`?"),
        ("POST", "/cleanup/emergency?force", "unknown parameter `force`; /cleanup/emergency takes"),
        ("GET", "/cleanup?limit=1", "unknown parameter `limit`; /cleanup takes none"),
        ("GET", "/reports/daily?days=2026-01-01", "unknown parameter `days`; did you mean `day`?"),
        ("GET", "/reports/recent?hour=3", "unknown parameter `hour`; did you mean `hours`?"),
        ("GET", "/stats?pretty=1", "unknown parameter `pretty`; /stats takes none"),
        ("POST", f"/memory/reset?{'x' * 5000}", "unknown parameter `xxx"),
    ],
)
async def test_a_misspelt_parameter_is_refused_by_name_and_nothing_is_done(
    api: Api, method: str, target: str, said: str
) -> None:
    before = await api.reports()
    assert said in _detail(await api.http.request(method, target), 422)
    assert await api.reports() == before


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_a_probe_with_a_cache_buster_is_answered(api: Api, path: str) -> None:
    assert (await api.http.get(f"{path}?t=1")).status_code == 200


@pytest.mark.parametrize("path", [path for path in ADDRESSES if path != "/"])
async def test_a_slash_too_much_gets_a_sentence_that_says_so(api: Api, path: str) -> None:
    method = next(iter(ADDRESSES[path].calls))
    assert f"leave the slash at its end out: {method} {path};" in _detail(
        await api.http.request(method, f"{path}/"), 404
    )


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/stat", "/stats"),
        ("/Metrics", "/metrics"),
        ("/clean-up", "/cleanup"),
        ("/health", None),
        ("/feed/a", "/feeds/a"),
    ],
)
async def test_an_address_there_is_not_names_one_that_is_much_like_it(
    api: Api, path: str, near: str | None
) -> None:
    detail = _detail(await api.http.get(path), 404)
    assert ("did you mean" in detail) is (near is not None)
    assert f"did you mean {near}?" in detail or near is None
    assert api.sample("http_requests_total", method="GET", route="unmatched", code="404") == 1


async def test_every_401_is_counted_once_by_its_plane(closed: Api) -> None:
    def counted() -> tuple[float | None, ...]:
        return tuple(closed.sample("unauthorized_total", plane=plane) for plane in ("ingest", "admin"))

    assert counted() == (0, 0)
    await closed.http.post("/transactions", json={"signature": "one"})
    await closed.http.get("/transactions/one")
    assert counted() == (2, 0)
    for method, path in (("POST", "/cleanup"), ("GET", "/settings"), ("POST", "/alerts")):
        await closed.http.request(method, path, headers={"Authorization": f"Bearer {INGEST}"})
    assert counted() == (2, 3)
    await closed.http.get("/cleanup", headers={"Authorization": f"Bearer {ADMIN}"})
    await closed.http.post("/transactions", json={}, headers={"Authorization": f"Bearer {INGEST}"})
    assert counted() == (2, 3)


def test_no_handler_checks_a_token_itself() -> None:
    """The one place is `app/api/control_plane_checks.py`, ahead of all of them: workers have it too."""
    texts = {file.name: file.read_text() for file in Path("app/api").glob("*.py")}
    assert [name for name, text in texts.items() if "check_admin" in text] == ["control_plane_checks.py"]
