"""What feeds send and the gate does not take stands in the log, on metrics and in `/stats`."""

import pytest
from structlog.testing import capture_logs

from tests.support.api_calls import Api, events, until
from tests.support.feed_calls import block, send

pytestmark = pytest.mark.asyncio


async def test_a_body_of_no_known_shape_is_told_loudly(api: Api) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await send(api, "helius-a", b'{"event":"push","token":"hush"}')
    [line] = events(logs, "feed not taken")
    assert line["log_level"] == "warning"
    assert (line["feed"], line["reason"], line["times"]) == ("helius-a", "unknown-shape", 1)
    assert "event" in line["detail"]
    assert line["body"].startswith('{"event":"push"')
    assert "hush" not in str(line)
    assert api.sample("feed_rejected_total", feed="helius-a", reason="unknown-shape") == 3
    assert api.sample("source_transactions_total", source="helius-a", outcome="invalid") == 3
    [warning] = (text for text in (await api.stats())["warnings"] if "helius-a" in text)
    assert "unknown-shape" in warning


async def test_an_invalid_transaction_beside_valid_ones_is_told_too(api: Api) -> None:
    body = block(3).replace(b'["522', b'[7,"522', 1)
    with capture_logs() as logs:
        response = await send(api, "helius-a", body)
    assert response.json()["accepted"] == 2
    [line] = events(logs, "feed not taken")
    assert (line["reason"], line["times"]) == ("invalid-transaction", 1)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("token=tok123", "?token: leave it out"),
        ("a&api-key=tok123", "?api-key: leave it out"),
        ("source=&token=tok123", "?source: leave it out"),
        ("tok123", "a query: leave it out"),
    ],
)
async def test_the_value_of_a_parameter_is_told_nowhere(api: Api, query: str, shown: str) -> None:
    with capture_logs() as logs:
        response = await api.http.post(f"/feeds/q?{query}", content=block(1))
    assert (response.status_code, response.json()["detail"].startswith(shown)) == (422, True)
    [line] = events(logs, "feed not taken")
    assert line["detail"].startswith(shown)
    [warning] = (text for text in (await api.stats())["warnings"] if "feed q" in text)
    for text in (response.text, str(logs), warning):
        assert "tok123" not in text


async def test_a_secret_in_the_error_of_a_provider_is_told_nowhere(api: Api) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"https://a.example/?api-key=tok123 failed"}}'
    with capture_logs() as logs:
        await send(api, "q", body)
    [line] = events(logs, "feed not taken")
    assert "a.example/?api-key=…" in line["detail"]
    assert "tok123" not in str(logs)
    assert "tok123" not in str((await api.stats())["warnings"])


async def test_a_feed_that_is_taken_is_told_nowhere(api: Api) -> None:
    with capture_logs() as logs:
        await send(api, "helius-a", block(3))
        await send(api, "helius-a", b"[]")
        await api.http.post("/feeds/not%20a%20name", content=block(3))
    assert events(logs, "feed not taken") == []
    assert (await api.stats())["warnings"] == []


async def test_bodies_are_counted_by_whether_anything_in_them_was_taken(api: Api) -> None:
    partly = block(3).replace(b'["522', b'[7,"522', 1)
    for body in (block(10), b"[]", partly, b'{"event":"push"}', b"no json", b'[{"a":1},{"b":2}]'):
        await send(api, "helius-a", body)
    await api.http.post("/feeds/helius-a?token=x", content=block(1))
    counted = {
        outcome: api.sample("feed_bodies_total", feed="helius-a", outcome=outcome)
        for outcome in ("taken", "rejected")
    }
    assert counted == {"taken": 3, "rejected": 4}


async def test_the_warning_of_a_feed_says_when_something_of_it_was_taken_again(api: Api) -> None:
    await send(api, "helius-a", b'{"event":"push"}')
    [warning] = (await api.stats())["warnings"]
    assert "since then" not in warning

    async def is_taken_again() -> bool:
        await send(api, "helius-a", block(1))
        [now] = (await api.stats())["warnings"]
        return "; since then some was taken, last at " in now

    await until(is_taken_again)
