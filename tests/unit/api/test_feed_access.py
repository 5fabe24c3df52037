"""Who may send to a feed: a token behind `Bearer` or alone, or whoever signs the body."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.decode.body_budget import most_unverified
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.feed_calls import SIGNED_FEEDS, block, feeds_file, send, signed, summary_of, unsigned
from tests.support.servers import StoreServer
from tests.support.signed import webhook_headers
from tests.support.tokens import INGEST, POST, call

pytestmark = pytest.mark.asyncio

BODY = b" " + block(2) + b"\n"


@pytest.mark.parametrize("header", [f"Bearer {INGEST}", f"bearer {INGEST}", INGEST, f" {INGEST} "])
async def test_a_token_may_stand_behind_bearer_or_alone(closed: Api, header: str) -> None:
    assert summary_of(await send(closed, "x", BODY, {"Authorization": header})) == (2, 0, 0)


@pytest.mark.parametrize(
    "header", ["", "wrong", f"Bearer {INGEST}x", "Bearer", f"Basic {INGEST}", f"{INGEST} x"]
)
async def test_no_other_is_let_in_and_nothing_of_the_body_is_looked_at(closed: Api, header: str) -> None:
    response = await send(closed, "x", b"no json", {"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    found = "the Authorization header that arrived has none" if header else "no Authorization header arrived"
    assert response.json()["detail"].startswith(found)
    assert closed.sample("unauthorized_total", plane="ingest") == 1
    assert closed.sample("transactions_total", outcome="invalid") == 0
    assert closed.sample("feed_rejected_total", feed="other", reason="unauthorized") == 1
    assert closed.sample("feed_rejected_total", feed="x", reason="unauthorized") is None, (
        "it never was let in"
    )


async def test_signed_feeds_beside_open_ones_are_a_warning(
    closed: Api, valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    assert (await closed.http.get("/stats")).json()["warnings"] == []
    file = feeds_file(tmp_path, SIGNED_FEEDS)
    async with open_api(settings_for(valkey, feeds_file=file, **QUIET)) as api:
        [warning] = (await api.http.get("/stats")).json()["warnings"]
        assert warning.startswith(
            "Feeds are signed (quicknode-a, quicknode-gzip), but no ingest token is set:"
        )
        assert summary_of(await send(api, "any", BODY)) == (2, 0, 0)


async def test_a_token_alone_is_for_feeds_only(closed: Api) -> None:
    assert (await call(closed, POST, INGEST)).status_code == 401


@pytest.mark.parametrize("path", ["/feeds/x", "/transactions"])
async def test_a_token_that_stands_beside_another_does_not_count(closed: Api, path: str) -> None:
    """A proxy that has looked at the first of two lets pass what the gate would take by the last."""
    right, wrong = ("Authorization", f"Bearer {INGEST}"), ("Authorization", "Bearer another")
    body, media = b'{"signature":"a"}', ("Content-Type", "application/json")
    for given in ([wrong, right], [right, wrong], [right, right]):
        response = await closed.http.post(path, content=body, headers=[media, *given])
        assert (response.status_code, "two such headers" in response.json()["detail"]) == (401, True)
    assert (await closed.http.post(path, content=body, headers=[media, right])).status_code == 200


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
async def test_a_signed_body_needs_no_token_and_is_verified_as_it_was_sent(closed: Api, zipped: bool) -> None:
    sent = gzip.compress(BODY) if zipped else BODY
    coding = {"Content-Encoding": "gzip"} if zipped else {}
    assert summary_of(await send(closed, "quicknode-a", sent, signed(sent) | coding)) == (2, 0, 0)
    assert summary_of(await send(closed, "quicknode-a", sent, signed(sent) | coding)) == (0, 2, 0)


async def test_a_feed_may_sign_before_it_compresses(closed: Api) -> None:
    headers = signed(BODY) | {"Content-Encoding": "gzip"}
    assert summary_of(await send(closed, "quicknode-gzip", gzip.compress(BODY), headers)) == (2, 0, 0)
    assert summary_of(await send(closed, "quicknode-gzip", BODY, signed(BODY))) == (0, 2, 0)
    response = await send(closed, "quicknode-a", gzip.compress(BODY), headers)
    assert response.status_code == 401
    assert "hmac_over" in response.json()["detail"]


async def test_a_long_body_is_verified_too(closed: Api) -> None:
    body = block(5_000)
    assert summary_of(await send(closed, "quicknode-a", body, signed(body))) == (5_000, 0, 0)
    response = await send(closed, "quicknode-a", body + b" ", signed(body))
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("make_headers", "word"),
    [
        (dict, "x-qn-nonce is missing"),
        (lambda: {"Authorization": f"Bearer {INGEST}"}, "x-qn-nonce is missing"),
        (lambda: signed(BODY, secret="another"), "no secret"),
        (lambda: signed(BODY + b" "), "no secret"),
        (lambda: signed(BODY, age=400), "old"),
        (lambda: signed(BODY, age=-400), "ahead"),
        (lambda: signed(BODY) | {"x-qn-timestamp": "soon"}, "x-qn-timestamp"),
    ],
)
async def test_a_feed_that_signs_takes_nothing_unsigned(
    closed: Api, make_headers: Callable[[], dict[str, str]], word: str
) -> None:
    """The headers are made as the test begins: a signature is old five minutes after it was made."""
    response = await send(closed, "quicknode-a", BODY, make_headers())
    assert response.status_code == 401
    assert word in response.json()["detail"]
    assert closed.sample("unauthorized_total", plane="ingest") == 1
    assert closed.sample("feed_rejected_total", feed="quicknode-a", reason="unauthorized") == 1
    assert closed.sample("transactions_total", outcome="accepted") == 0


async def test_what_is_not_signed_is_neither_parsed_nor_inflated(closed: Api) -> None:
    headers = signed(b"x") | {"Content-Encoding": "gzip"}
    assert (await send(closed, "quicknode-a", b"neither gzip nor json", headers)).status_code == 401


@pytest.mark.parametrize("name", ["x-qn-nonce", "x-qn-timestamp", "x-qn-signature"])
async def test_a_header_of_the_signature_may_stand_once_only(closed: Api, name: str) -> None:
    headers = signed(BODY)
    response = await closed.http.post(
        "/feeds/quicknode-a", content=BODY, headers=[*headers.items(), (name, headers[name])]
    )
    assert response.status_code == 401
    assert "twice" in response.json()["detail"]


def byte_of_unread() -> bytes:
    """Fail, for whoever asks for a byte."""
    raise AssertionError("the body was read")


async def unread() -> AsyncIterator[bytes]:
    """A body of which nobody may ask for a byte."""
    yield byte_of_unread()


@pytest.mark.parametrize(
    "make_headers",
    [
        dict,
        lambda: unsigned() | {"x-qn-signature": "0"},
        lambda: unsigned() | {"x-qn-signature": "g" * 64},
        lambda: signed(BODY, age=400),
        lambda: {"X-Source": "x"},
        lambda: {"Content-Encoding": "br"},
        lambda: {"Content-Length": str(10**12)},
    ],
)
async def test_by_its_head_a_request_is_refused_before_its_body_is_read(
    closed: Api, make_headers: Callable[[], dict[str, str]]
) -> None:
    response = await closed.http.post("/feeds/quicknode-a?a=b", content=unread(), headers=make_headers())
    assert response.status_code == 401
    assert closed.runtime.plane.body_budget.held == 0


async def test_senders_who_are_not_verified_take_no_room_from_those_who_are_known(closed: Api) -> None:
    """The bodies of the others do not come to their end, and fill their part of the budget."""
    budget = closed.runtime.plane.body_budget
    part, most = budget.unverified, most_unverified(budget.most, budget.most)
    part.take(most)
    response = await send(closed, "quicknode-a", BODY, signed(BODY))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "not verified" in response.json()["detail"]
    assert summary_of(await send(closed, "x", BODY, {"Authorization": INGEST})) == (2, 0, 0)
    part.release(most)
    assert summary_of(await send(closed, "quicknode-a", BODY, signed(BODY))) == (0, 2, 0)


async def test_bodies_of_strangers_that_do_not_end_leave_places_to_other_requests(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    end, file = asyncio.Event(), feeds_file(tmp_path, SIGNED_FEEDS)

    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        await end.wait()

    settings = settings_for(valkey, ingest_tokens=INGEST, feeds_file=file, max_in_flight_requests=4, **QUIET)
    async with open_api(settings) as api:

        async def strange() -> int:
            return (await api.http.post("/feeds/quicknode-a", content=slow(), headers=unsigned())).status_code

        strangers = [asyncio.create_task(strange()) for _ in range(4)]
        async with asyncio.timeout(30):
            while sum(task.done() for task in strangers) < 2:
                await asyncio.sleep(0)
        assert api.runtime.plane.body_budget.unverified.bodies == 2
        assert summary_of(await send(api, "x", BODY, {"Authorization": INGEST})) == (2, 0, 0)
        end.set()
        assert sorted(await asyncio.gather(*strangers)) == [401, 401, 503, 503]
        assert summary_of(await send(api, "quicknode-a", BODY, signed(BODY))) == (0, 2, 0)


async def test_standard_webhooks_are_verified_with_any_of_the_secrets(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    old, new = "whsec_b2xkIHNlY3JldCBvZiBhIGZlZWQ=", "whsec_bmV3IHNlY3JldCBvZiBhIGZlZWQ="
    text = '[feeds.svix]\nhmac = "standard-webhooks"\nsecrets_file = "secret"\n'
    file = feeds_file(tmp_path, text, f"{old}\n{new}\n")
    body = json.dumps([{"signature": "5" * 88, "type": "TRANSFER", "fee": 1}]).encode()
    async with open_api(settings_for(valkey, feeds_file=file, **QUIET)) as api:
        for secret in (old, new):
            headers = webhook_headers(body, int(time.time()), secret)
            texts = {name.decode(): value.decode() for name, value in headers.items()}
            response = await send(api, "svix", body, texts)
            assert response.status_code == 200, response.text


async def test_a_changed_file_of_feeds_counts_and_a_broken_one_leaves_the_last_in_force(
    closed: Api, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("the next secret", encoding="utf-8")
    await closed.runtime.plane.feeds.reload()
    assert (await send(closed, "quicknode-a", BODY, signed(BODY))).status_code == 401
    (tmp_path / "feeds.toml").write_text("[feeds.quicknode-a]\nhmca = 1\n", encoding="utf-8")
    await closed.runtime.plane.feeds.reload()
    assert summary_of(await send(closed, "quicknode-a", BODY, signed(BODY, "the next secret"))) == (2, 0, 0)
    [warning] = (text for text in (await closed.stats())["warnings"] if "hmca" in text)
    assert "line 2" in warning
