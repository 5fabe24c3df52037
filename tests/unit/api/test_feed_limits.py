"""What bounds a feed: the length of its bodies, memory, its share of the rate; and what it skips."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from app.main import create_app
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, events, open_api
from tests.support.feed_calls import block, feeds_file, raw, send, signature, summary_of
from tests.support.servers import StoreServer

pytestmark = pytest.mark.asyncio

FEEDS = """
[feeds.limited]
transactions_per_second = 1

[feeds.skipping]
skip = ["votes", "failed"]
"""
VOTE = "Vote111111111111111111111111111111111111111"
PATIENCE_SECONDS = 60.0


@pytest.fixture
async def small(valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path) -> AsyncIterator[Api]:
    """A gate with bodies of 20 KB at most, and two declared feeds."""
    file = feeds_file(tmp_path, FEEDS)
    settings = settings_for(valkey, feeds_file=file, max_feed_body_bytes=20_000, max_batch_items=50, **QUIET)
    async with open_api(settings) as opened:
        yield opened


async def test_a_body_that_is_too_long_is_refused_whatever_it_declares(small: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield block(200)

    for response in (
        await send(small, "x", block(200)),
        await send(small, "x", block(2_000), zipped=True),
        await small.http.post("/feeds/x", content=pieces()),
    ):
        assert response.status_code == 413
        assert response.json()["type"] == "urn:tidegate:problem:too-large"
    assert small.sample("feed_rejected_total", feed="x", reason="too-large") == 3
    assert small.runtime.plane.body_budget.held == 0


async def test_a_body_may_have_more_transactions_than_an_array_of_items(small: Api) -> None:
    assert summary_of(await send(small, "x", block(120))) == (120, 0, 0)


async def test_bodies_under_way_share_one_budget(small: Api) -> None:
    budget = small.runtime.plane.body_budget
    budget.hold(budget.limit)
    response = await send(small, "x", block(2))
    budget.release(budget.limit)
    assert (response.status_code, response.json()["type"]) == (503, "urn:tidegate:problem:overloaded")
    assert small.sample("source_transactions_total", source="x", outcome="refused") == 1


@pytest.mark.parametrize("feed", ["x", "limited"])
async def test_what_is_wrong_with_transactions_takes_of_the_budget_while_their_part_is_read(
    small: Api, feed: str
) -> None:
    """Of a body of 240 bytes 80 sentences, of some 350 bytes each with what Python keeps beside them."""
    budget = small.runtime.plane.body_budget
    budget.most = 16_000
    answers = [await send(small, feed, json.dumps([1] * number).encode()) for number in (80, 10)]
    assert [answer.status_code for answer in answers] == [503, 422]
    assert answers[0].json()["type"] == "urn:tidegate:problem:overloaded"
    assert budget.held == 0


async def test_what_a_body_held_is_given_back_whatever_became_of_it(small: Api) -> None:
    bodies = (block(100), b"{", b'{"event":1}', json.dumps([None] * 500).encode())
    for body in bodies:
        await send(small, "x", body)
        assert small.runtime.plane.in_flight_bytes == 0


async def test_under_pressure_nothing_is_read(small: Api) -> None:
    small.runtime.guard.headroom.refuses = True
    response = await send(small, "x", block(2))
    assert (response.status_code, response.json()["type"]) == (503, "urn:tidegate:problem:memory-pressure")
    assert response.headers["retry-after"] == "5"


async def test_pressure_that_comes_between_two_parts_ends_a_body_with_what_was_stored(
    small: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, headroom = small.runtime.plane.submitter.submit_batch, small.runtime.guard.headroom

    async def submit_and_press(*arguments: object) -> None:
        await submit(*arguments)  # type: ignore[arg-type]  # those it was given
        headroom.refuses = True

    monkeypatch.setattr(small.runtime.plane.submitter, "submit_batch", submit_and_press)
    response = await send(small, "x", block(120))
    assert response.status_code == 503
    assert response.json()["accepted"] == 50
    headroom.refuses = False
    monkeypatch.undo()
    assert summary_of(await send(small, "x", block(120))) == (70, 50, 0)


async def test_a_body_beyond_the_share_of_a_feed_is_refused_whole_and_its_neighbour_is_not(
    small: Api,
) -> None:
    assert summary_of(await send(small, "limited", block(100, "2"))) == (100, 0, 0)
    response = await send(small, "limited", block(60, "3"))
    assert (response.status_code, response.json()["type"]) == (429, "urn:tidegate:problem:rate-limited")
    assert int(response.headers["retry-after"]) >= 1
    assert "transactions_per_second" in response.json()["detail"]
    assert (await small.http.get(f"/transactions/{signature(0, '3')}")).status_code == 404
    assert summary_of(await send(small, "other-feed", block(100, "3"))) == (100, 0, 0)
    assert small.sample("feed_rejected_total", feed="limited", reason="rate-limited") == 60
    assert small.sample("ingest_refusals_total", reason="rate-limited") == 1
    assert small.sample("transactions_total", outcome="refused") == 0, "it is no failure of the gate"


async def test_a_ping_passes_while_a_feed_is_over_its_share(small: Api) -> None:
    await send(small, "limited", block(110))
    assert summary_of(await send(small, "limited", b"[]")) == (0, 0, 0)


async def test_what_a_feed_skips_is_counted_and_not_stored(small: Api) -> None:
    vote = raw(1)
    vote["transaction"] = {
        "signatures": [signature(1)],
        "message": {"accountKeys": ["a", VOTE], "instructions": [{"programIdIndex": 1}]},
    }
    failed = raw(2) | {"meta": {"err": {"InstructionError": [0, "Custom"]}}}
    response = await send(small, "skipping", json.dumps([raw(0), vote, failed]).encode())
    assert summary_of(response) == (1, 0, 0)
    assert response.json()["skipped"] == 2
    assert small.sample("feed_skipped_total", feed="skipping", kind="votes") == 1
    assert small.sample("feed_skipped_total", feed="skipping", kind="failed") == 1
    for number in (1, 2):
        assert (await small.http.get(f"/transactions/{signature(number)}")).status_code == 404
    only_skipped = await send(small, "skipping", json.dumps([vote]).encode())
    assert (only_skipped.status_code, only_skipped.json()["skipped"]) == (200, 1)


@pytest.mark.parametrize("feed", ["x", "limited"])
async def test_of_a_body_with_more_invalid_than_an_answer_lists_all_others_are_stored(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, feed: str
) -> None:
    valid = [json.dumps(raw(number)).encode() for number in range(2)]
    body = b"[" + b",".join([valid[0], *[b"1"] * 12_000, valid[1]]) + b"]"
    file = feeds_file(tmp_path, FEEDS)
    async with open_api(settings_for(valkey, feeds_file=file, **QUIET)) as api:
        response = await send(api, feed, body)
        assert summary_of(response) == (2, 0, 12_000)
        answer = response.json()
        assert answer["truncated"] is True
        assert answer["errors"][0]["index"] == 1
        assert len(answer["errors"]) <= 10_000
        assert api.sample("feed_rejected_total", feed=feed, reason="unknown-shape") == 12_000
        assert api.sample("source_transactions_total", source=feed, outcome="invalid") == 12_000
        assert (await api.http.get(f"/transactions/{signature(1)}")).status_code == 200
        assert api.runtime.plane.body_budget.held == 0


async def test_what_is_invalid_in_a_body_beyond_the_share_is_told_all_the_same(small: Api) -> None:
    await send(small, "limited", block(110, "2"))
    body = json.dumps([raw(0, "3"), 1, raw(1, "3"), None]).encode()
    with capture_logs() as logs:
        response = await send(small, "limited", body)
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["invalid"]) == (429, 0, 2)
    assert [error["index"] for error in answer["errors"]] == [1, 3]
    counts = {"rate-limited": 2, "unknown-shape": 1, "invalid-transaction": 1}
    assert {line["reason"]: line["times"] for line in events(logs, "feed not taken")} == counts
    for reason, count in counts.items():
        assert small.sample("feed_rejected_total", feed="limited", reason=reason) == count
    assert small.sample("source_transactions_total", source="limited", outcome="invalid") == 2
    assert small.runtime.plane.body_budget.held == 0


async def test_invalid_things_take_nothing_of_a_share(small: Api) -> None:
    await send(small, "limited", block(110, "2"))
    response = await send(small, "limited", b"[1,2]")
    assert response.status_code == 422
    assert small.sample("feed_rejected_total", feed="limited", reason="unknown-shape") == 2


@pytest.mark.parametrize(("feed", "accepted"), [("x", 1), ("limited", 0)])
async def test_a_body_of_too_many_documents_is_told_up_to_the_one_too_many(
    small: Api, monkeypatch: pytest.MonkeyPatch, feed: str, accepted: int
) -> None:
    monkeypatch.setattr("app.feeds.document_reader.MOST_DOCUMENTS", 1_000)
    body = b"[" + b",".join([json.dumps(raw(0)).encode(), *[b"1"] * 1_100]) + b"]"
    response = await send(small, feed, body)
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["invalid"]) == (413, accepted, 999)
    assert small.sample("feed_rejected_total", feed=feed, reason="unknown-shape") == 999
    assert small.sample("feed_rejected_total", feed=feed, reason="too-large") == 1
    assert small.sample("source_transactions_total", source=feed, outcome="invalid") == 999 + 1
    found = await small.http.get(f"/transactions/{signature(0)}")
    assert found.status_code == (200 if accepted else 404)
    assert small.runtime.plane.body_budget.held == 0


async def test_an_answer_of_a_feed_lists_no_more_than_that_of_an_array(small: Api) -> None:
    body = json.dumps([None] * 3_000).encode()
    response = await send(small, "x", body)
    assert response.status_code == 422
    assert response.json()["invalid"] == 3_000
    assert small.runtime.plane.body_budget.held == 0


@pytest.mark.server
async def test_a_stop_midway_tells_what_was_stored(small: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    submit, sent = small.runtime.plane.submitter.submit_batch, list[Message]()

    async def submit_and_stop(*arguments: object) -> None:
        await submit(*arguments)  # type: ignore[arg-type]  # those it was given
        post.cancel()  # as the server does when its patience with a stop has ended
        await asyncio.sleep(0)

    async def receive() -> Message:
        return {"type": "http.request", "body": block(120), "more_body": False}

    async def keep(message: Message) -> None:
        sent.append(message)

    monkeypatch.setattr(small.runtime.plane.submitter, "submit_batch", submit_and_stop)
    scope = {"type": "http", "method": "POST", "path": "/feeds/x", "query_string": b"", "headers": []}
    post = asyncio.create_task(create_app(small.runtime)(scope, receive, keep))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await post
    problem = json.loads(sent[1]["body"])
    assert (sent[0]["status"], problem["type"]) == (503, "urn:tidegate:problem:shutting-down")
    assert problem["accepted"] == 50
    assert small.sample("transactions_total", outcome="refused") == 0


async def test_a_gzip_bomb_is_not_inflated_beyond_the_limit(small: Api) -> None:
    response = await small.http.post(
        "/feeds/x", content=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"}
    )
    assert response.status_code == 413
