"""Webhooks that are wrong, forged or hostile: a clear answer, never a 500, and good alerts among them act."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.decode.surrogates import REPLACED_AT_ONCE, shown_as_replaced
from tests.conftest import MakeSettings
from tests.support.alerts import AlertedGate, open_gate
from tests.support.api_calls import QUIET, events
from tests.support.http_calls import DEEP, client_problem, nested, problem
from tests.support.servers import StoreServer
from tests.support.webhooks import alert, labelled, webhook

TOKENS = {"ingest_tokens": "ingest-0Xu3Zq", "admin_tokens": "admin-Lr91ve"}
HOSTILE = 'x"} 1\n{"level":"error"}\x1b[31m' + 300 * "y"


async def send(
    gate: AlertedGate, body: bytes, media: str = "application/json", **headers: str
) -> httpx.Response:
    return await gate.api.http.post("/alerts", content=body, headers={"Content-Type": media, **headers})


WITHOUT_VERSION = {name: value for name, value in webhook().items() if name != "version"}
WITHOUT_ALERTS = {name: value for name, value in webhook().items() if name != "alerts"}


@pytest.mark.parametrize(
    ("document", "mention"),
    [
        ([], "got `array`"),
        (None, "got `null`"),
        (WITHOUT_VERSION, "missing required field `version`"),
        (WITHOUT_ALERTS, "missing required field `alerts`"),
        (webhook(version="3"), "$.version"),
        (webhook(version=4), "$.version"),
        (webhook(alerts={}), "`alerts` is not an array"),
        (webhook(alerts=None), "`alerts` is not an array"),
    ],
)
async def test_what_is_no_webhook_is_refused_and_says_why(
    gate: AlertedGate, document: object, mention: str
) -> None:
    problem(await gate.post(document), 422, mention)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"\xff",
        json.dumps(webhook(alert())).encode()[:-9],
        nested(DEEP),
        b'{"version":"4","alerts":%b}' % nested(DEEP),
        b'{"version":"4","alerts":[],"more":%b}' % nested(DEEP),
    ],
    ids=["empty", "space", "cut", "not UTF-8", "cut late", "deep", "deep alerts", "deep elsewhere"],
)
async def test_what_is_no_json_is_refused(gate: AlertedGate, body: bytes) -> None:
    client_problem(await send(gate, body))


async def test_another_media_type_is_refused(gate: AlertedGate) -> None:
    problem(await send(gate, json.dumps(webhook(alert())).encode(), "text/plain"), 415, "application/json")
    assert await gate.runs() == 0


async def test_gzip_is_taken(gate: AlertedGate) -> None:
    body = gzip.compress(json.dumps(webhook(alert())).encode())
    answer = await send(gate, body, **{"Content-Encoding": "gzip"})
    assert [one["action"] for one in answer.json()["alerts"]] == ["cleanup"]


async def test_no_alerts_at_all_are_fine(gate: AlertedGate) -> None:
    assert await gate.answers(webhook()) == []


WRONG: list[tuple[object, str]] = [
    (None, "got `null`"),
    ([], "got `array`"),
    ("firing", "got `str`"),
    ({}, "missing required field"),
    (alert(status="pending"), "$.status"),
    (alert(labels=None), "$.labels"),
    (alert(labels={"action": 1}), "$.labels"),
    (alert(fingerprint=""), "$.fingerprint"),
    (alert("f" * 65), "$.fingerprint"),
    (alert("two words"), "$.fingerprint"),
    (alert(fingerprint=7), "$.fingerprint"),
    (alert(startsAt="yesterday"), "$.startsAt"),
    (alert(startsAt="2026-11-23T04:10:26"), "$.startsAt"),
    (alert(startsAt=1795406382), "$.startsAt"),
]


@pytest.mark.parametrize(("wrong", "mention"), WRONG)
async def test_a_wrong_alert_says_why_and_those_beside_it_act(
    gate: AlertedGate, wrong: object, mention: str
) -> None:
    before, bad, after = await gate.answers(webhook(labelled(map="transactions"), wrong, labelled("b")))
    assert (before["action"], after["action"]) == ("cleanup", "cleanup")
    assert bad | {"detail": ""} == {
        "fingerprint": None,
        "status": "unknown",
        "alertname": None,
        "action": "invalid",
        "detail": "",
    }
    assert mention in bad["detail"]
    assert gate.counted("unknown", "invalid") == 1


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_times_at_the_ends_of_the_calendar_are_times(gate: AlertedGate, at: str) -> None:
    assert await gate.actions(webhook(alert(startsAt=at))) == ["cleanup"]


async def test_too_many_alerts_are_refused_as_a_whole(gate: AlertedGate) -> None:
    answer = await gate.post(webhook(*(alert(f"f{number}") for number in range(2_001))))
    problem(answer, 413, "max_alerts")
    problem(await send(gate, b'{"version":"4","alerts":[' + b"1," * 1_000_000 + b"1]}"), 413)
    assert await gate.runs() == 0


async def test_a_body_past_the_limit_is_refused(valkey: StoreServer, settings_for: MakeSettings) -> None:
    small = {"max_body_bytes": 2048, "max_payload_bytes": 1024}
    async with open_gate(settings_for(valkey, **small, **QUIET)) as gate:
        problem(await gate.post(webhook(*(alert(f"f{number}") for number in range(9)))), 413, "2048")
        assert await gate.runs() == 0


async def test_hostile_labels_show_escaped_and_cut_and_in_no_metric(gate: AlertedGate) -> None:
    with capture_logs() as logs:
        [answer] = await gate.answers(webhook(labelled(alertname=HOSTILE, **{HOSTILE: HOSTILE})))
    [acted] = events(logs, "alert acted on")
    [kept] = await gate.kept()
    for shown in (answer["alertname"], acted["alertname"], kept["alertname"]):
        assert shown.startswith(r'x"} 1\n{"level":"error"}\x1b[31m')
        assert shown.isprintable()
        assert len(shown) < 200
    assert "yyy" not in await gate.api.metrics()


@pytest.fixture
async def closed(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[AlertedGate]:
    """A gate that asks for tokens."""
    async with open_gate(settings_for(valkey, **TOKENS, **QUIET)) as opened:
        yield opened


@pytest.mark.parametrize("token", [None, "", "wrong", TOKENS["ingest_tokens"]])
async def test_a_bad_token_is_refused_before_anything_is_read(closed: AlertedGate, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await closed.api.http.post("/alerts", json=webhook(alert()), headers=headers)
    problem(answer, 401, "TIDEGATE_ADMIN_TOKENS")
    problem(await closed.api.http.get("/alerts", headers=headers), 401)
    assert closed.counted("firing", "cleanup") == 0
    assert await closed.runs() == 0


async def test_an_admin_token_is_taken(closed: AlertedGate) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['admin_tokens']}"}
    answer = await closed.api.http.post("/alerts", json=webhook(alert()), headers=headers)
    assert [one["action"] for one in answer.json()["alerts"]] == ["cleanup"]


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
LABEL_VALUES = st.sampled_from(["cleanup", "normal", "emergency", "transactions", ""]) | st.text(max_size=9)
LABEL_SETS = st.dictionaries(st.sampled_from(["action", "mode", "map", "alertname"]), LABEL_VALUES)


def mostly(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(value, value, value, ANY_JSON)


ANY_ALERT = st.fixed_dictionaries(
    {
        "status": mostly(st.sampled_from(["firing", "resolved"])),
        "labels": mostly(LABEL_SETS),
        "startsAt": mostly(st.datetimes(timezones=st.just(None)).map(lambda at: f"{at.isoformat()}Z")),
        "fingerprint": mostly(st.text("0123456789abcdef", min_size=1, max_size=16)),
    },
    optional={"annotations": ANY_JSON},
)
ANY_WEBHOOK = st.fixed_dictionaries(
    {"version": mostly(st.just("4")), "alerts": mostly(st.lists(mostly(ANY_ALERT), max_size=4))},
    optional={"groupLabels": ANY_JSON},
)


@settings(
    max_examples=150,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(document=ANY_WEBHOOK)
async def test_whatever_comes_is_answered_alert_by_alert_or_refused(gate: AlertedGate, document: Any) -> None:
    answer = await gate.post(document)
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert len(answer.json()["alerts"]) == len(document["alerts"])


LONE = "\ud83d"


@pytest.mark.parametrize(
    "document",
    [
        webhook(alert(annotations={"summary": LONE})),
        webhook(alert(), commonAnnotations={"summary": f"cut here {LONE}"}),
        webhook(labelled(team=LONE)),
        webhook(alert(annotations={"summary": "\\\\" + LONE}), externalURL="\udc00"),
    ],
)
async def test_alerts_with_half_an_emoji_are_acted_on(gate: AlertedGate, document: dict[str, Any]) -> None:
    assert await gate.actions(document) == ["cleanup"]
    assert await gate.runs() == 1


async def test_half_an_emoji_in_what_is_shown_is_shown_as_a_replacement(gate: AlertedGate) -> None:
    [answer] = await gate.answers(webhook(labelled(alertname=f"cut {LONE}")))
    assert (answer["alertname"], answer["action"]) == ("cut \ufffd", "cleanup")


async def test_thousands_of_lone_surrogates_are_replaced_in_portions() -> None:
    text = b'"%b"' % (b"\\ud800" * 3 * REPLACED_AT_ONCE)
    replacing, turns = asyncio.create_task(shown_as_replaced(text)), 0
    while not replacing.done():
        turns += 1
        await asyncio.sleep(0)
    assert await replacing == text.replace(b"\\ud800", b"\\ufffd")
    assert turns >= 3
