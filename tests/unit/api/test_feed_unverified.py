"""What is told of a feed that signs while nobody knows who has sent, and once the sender is verified."""

import gzip
from collections.abc import Callable

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from app.ingest.rejections import REASONS
from app.main import create_app
from tests.support.api_calls import Api, events
from tests.support.feed_calls import block, send, signed, unsigned

pytestmark = pytest.mark.asyncio

BODY = b" " + block(2) + b"\n"


@pytest.mark.parametrize(
    ("query", "more", "status"),
    [
        ("", {}, 401),
        ("?a=b", {}, 401),
        ("", {"X-Source": "x"}, 401),
        ("", {"Content-Encoding": "br"}, 415),
        ("", {"Content-Length": str(10**12)}, 413),
    ],
)
async def test_whoever_is_not_verified_cannot_make_a_feed_look_broken(
    closed: Api, query: str, more: dict[str, str], status: int
) -> None:
    path = f"/feeds/quicknode-a{query}"
    response = await closed.http.post(path, content=BODY, headers=unsigned() | more)
    assert response.status_code == status
    reason = {401: "unauthorized", 413: "too-large", 415: "unsupported-media"}[status]
    assert told_of(closed) == {"unauthorized": 0.0} | {reason: 1.0}
    assert closed.sample("transactions_total", outcome="invalid") == 0
    assert closed.sample("source_transactions_total", source="quicknode-a", outcome="invalid") in {None, 0}
    assert closed.sample("feed_bodies_total", feed="quicknode-a", outcome="rejected") == 0


@pytest.mark.parametrize(
    ("feed", "more", "body", "reason"),
    [
        ("quicknode-a", {"Content-Length": str(40 << 20)}, b"secret", "too-large"),
        ("quicknode-a", {"Content-Encoding": f"br{'x' * 300}"}, b"secret", "unsupported-media"),
        ("quicknode-gzip", {"Content-Encoding": "gzip"}, b"secret", "malformed-body"),
        (
            "quicknode-gzip",
            {"Content-Encoding": "gzip"},
            gzip.compress(b"secret", mtime=0)[:-4],
            "malformed-body",
        ),
    ],
)
async def test_a_refusal_before_the_sender_is_verified_is_told_without_the_body(
    closed: Api, feed: str, more: dict[str, str], body: bytes, reason: str
) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            await closed.http.post(f"/feeds/{feed}", content=body, headers=unsigned() | more)
    line, *_ = events(logs, "feed not taken")  # a second one should a minute end between them
    assert (line["log_level"], line["feed"], line["reason"], line["body"]) == ("warning", feed, reason, "")
    assert line["detail"].startswith("the sender is not verified: ")
    assert "secret" not in str(line)
    assert "xxxxxxxxxxxxxxxxxxxx" not in str(line)
    assert closed.sample("feed_rejected_total", feed=feed, reason=reason) == 2
    [warning] = (await closed.stats())["warnings"]
    assert f"({reason}): the sender is not verified: " in warning
    assert closed.sample("transactions_total", outcome="invalid") == 0


async def test_a_line_about_a_stranger_keeps_none_about_the_feed_from_the_log(closed: Api) -> None:
    cut_off = gzip.compress(BODY)[:-4]
    with capture_logs() as logs:
        closed.runtime.plane.rejections.note("quicknode-a", "malformed-body", "by a stranger", None)
        response = await send(closed, "quicknode-a", cut_off, signed(cut_off) | {"Content-Encoding": "gzip"})
    assert response.status_code == 400
    assert [line["detail"] for line in events(logs, "feed not taken")] == [
        "by a stranger",
        "the gzip body is cut off",
    ]


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: gzip.compress(BODY)[:-4], 400),
        (lambda: b"no gzip", 400),
        (lambda: gzip.compress(bytes(65 << 20)), 413),
    ],
    ids=["cut off", "no gzip", "too much"],
)
async def test_what_is_wrong_with_gzip_that_is_signed_counts_as_of_a_verified_sender(
    closed: Api, make: Callable[[], bytes], status: int
) -> None:
    sent = make()
    response = await send(closed, "quicknode-a", sent, signed(sent) | {"Content-Encoding": "gzip"})
    assert response.status_code == status
    reason = {400: "malformed-body", 413: "too-large"}[status]
    assert told_of(closed) == {"unauthorized": 0, reason: 1}
    assert closed.sample("source_transactions_total", source="quicknode-a", outcome="invalid") == 1
    assert closed.sample("feed_bodies_total", feed="quicknode-a", outcome="rejected") == 1
    [warning] = (await closed.stats())["warnings"]
    assert "not verified" not in warning


async def test_a_client_that_hangs_up_before_it_is_verified_is_nothing_the_feed_has_sent(closed: Api) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def drop(_: Message) -> None:
        """Nobody is there to read an answer."""

    headers = [(name.encode(), value.encode()) for name, value in unsigned().items()]
    path = "/feeds/quicknode-a"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await create_app(closed.runtime)(scope, receive, drop)
    assert told_of(closed) == {"unauthorized": 0}
    assert (await closed.stats())["warnings"] == []


async def test_of_a_verified_sender_it_is_told_what_is_wrong(closed: Api) -> None:
    response = await closed.http.post("/feeds/quicknode-a?a=b", content=BODY, headers=signed(BODY))
    assert response.status_code == 422
    assert told_of(closed) == {"unauthorized": 0, "invalid": 1}
    assert closed.sample("source_transactions_total", source="quicknode-a", outcome="invalid") == 1


def told_of(api: Api) -> dict[str, float]:
    """What was counted as not taken, by its reason."""
    counted = {
        reason: api.sample("feed_rejected_total", feed="quicknode-a", reason=reason) or 0.0
        for reason in REASONS
    }
    return {reason: times for reason, times in counted.items() if times or reason == "unauthorized"}
