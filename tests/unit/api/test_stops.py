"""A post that is cut off by the stop of the gate is answered and counted by what was done of it."""

import asyncio
import json

import pytest
from starlette.types import Message

from app.main import create_app
from tests.support.api_calls import Api
from tests.support.wire import NDJSON

PATIENCE_SECONDS = 60.0
TWO_LINES = b'{"signature":"cut-1"}\n{"signature":"cut-2"}\n'


@pytest.mark.server
@pytest.mark.parametrize(
    ("arrived", "accepted", "refused"),
    [
        pytest.param([TWO_LINES], 2, 0, id="two-lines"),
        pytest.param([TWO_LINES, b'{"signature":'], 2, 0, id="two-lines-and-a-half"),
        pytest.param([], 0, 1, id="nothing-was-read"),
    ],
)
async def test_what_of_an_open_ndjson_body_was_accepted_is_told_and_never_counted_as_refused(
    api: Api, arrived: list[bytes], accepted: int, refused: int
) -> None:
    chunks, wants_more, sent = iter(arrived), asyncio.Event(), list[Message]()

    async def receive() -> Message:
        chunk = next(chunks, None)
        if chunk is None:
            wants_more.set()
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/transactions",
        "query_string": b"",
        "headers": [(b"content-type", NDJSON.encode()), (b"transfer-encoding", b"chunked")],
    }
    post = asyncio.create_task(create_app(api.runtime)(scope, receive, send))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await wants_more.wait()
        post.cancel()  # as the server does when its patience with a stop has ended
        await post
    start, body = sent
    problem = json.loads(body["body"])
    assert (start["status"], problem["type"]) == (503, "urn:tidegate:problem:shutting-down")
    assert (problem["accepted"], problem["duplicate"], problem["invalid"]) == (accepted, 0, 0)
    assert api.sample("transactions_total", outcome="accepted") == accepted
    assert api.sample("transactions_total", outcome="refused") == refused
    assert api.sample("ingest_refusals_total", reason="shutting-down") == 1
