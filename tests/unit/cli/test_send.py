"""Sending again: what a gate that says 503, or goes away, does to `send`."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from app.cli.client import GateAddress
from app.cli.exit_codes import Refused, Unreachable
from app.cli.send.line_batches import Batch
from app.cli.send.sender import Sender
from tidegate.answers import MAX_RETRY_AFTER_SECONDS, retry_after

SUMMARY = {"accepted": 1, "duplicate": 0, "invalid": 0, "duplicates": [], "errors": []}
PROBLEM = {"title": "The store is not available", "detail": "gone", "status": 503}
Answers = list[httpx.Response | Exception]


def _sender(answers: Answers, retries: int = 3) -> tuple[Sender, list[float]]:
    """A sender whose gate answers in this order, and what it slept."""
    left = list(answers)
    slept: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    gate = GateAddress("http://gate", None)
    client = httpx.Client(transport=httpx.MockTransport(answer), base_url=gate.url)
    return Sender(client, gate, False, retries, slept.append), slept


def _unavailable() -> httpx.Response:
    return httpx.Response(503, json=PROBLEM, headers={"Retry-After": "2"})


def _post(sender: Sender) -> dict[str, object]:
    return sender.post(Batch(bytearray(b'{"signature":"a"}\n'), [1]), {})


def test_a_503_is_sent_again_no_sooner_than_retry_after() -> None:
    sender, slept = _sender([_unavailable(), _unavailable(), httpx.Response(200, json=SUMMARY)])
    assert _post(sender) == SUMMARY
    assert len(slept) == 2
    assert min(slept) >= 2
    assert sender.retried == 2


def test_after_all_retries_it_gives_up_with_the_gates_reason() -> None:
    sender, slept = _sender([_unavailable() for _ in range(4)])
    with pytest.raises(Refused, match="gave up after 4 tries: The store is not available: gone"):
        _post(sender)
    assert len(slept) == 3


def test_a_gate_that_never_answered_is_unreachable_at_once() -> None:
    sender, slept = _sender([httpx.ConnectError("refused")])
    with pytest.raises(Unreachable, match="tidegate serve"):
        _post(sender)
    assert slept == []


def test_a_gate_that_goes_away_in_between_is_tried_again() -> None:
    ok = httpx.Response(200, json=SUMMARY)
    sender, slept = _sender(
        [ok, httpx.ReadError("gone"), httpx.ConnectError("gone"), httpx.Response(200, json=SUMMARY)]
    )
    assert _post(sender) == _post(sender) == SUMMARY
    assert len(slept) == 2


def test_a_refusal_for_good_is_not_sent_again() -> None:
    sender, slept = _sender([httpx.Response(413, json={"title": "Too large", "detail": "split it"})])
    with pytest.raises(Refused, match="split it"):
        _post(sender)
    assert slept == []


def test_a_422_for_lines_that_are_all_invalid_counts_them() -> None:
    problem = PROBLEM | SUMMARY | {"accepted": 0, "invalid": 1, "errors": [{"index": 0, "detail": "no"}]}
    sender, _ = _sender([httpx.Response(422, json=problem)])
    assert _post(sender)["invalid"] == 1


def test_retry_after_is_a_number_or_a_date_and_anything_else_is_no_wait() -> None:
    def asked(value: str) -> float:
        return retry_after(httpx.Response(503, headers={"Retry-After": value}))

    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    assert 0 < asked(soon) <= 50
    assert asked("7") == 7
    assert asked("86400") == MAX_RETRY_AFTER_SECONDS
    assert {asked(value) for value in ("", "soon", "-5", "nan", "Wed, 21 Oct 2015 07:28:00 GMT")} == {0.0}
    assert retry_after(httpx.Response(503)) == 0.0


def test_the_waits_grow_but_stay_bounded() -> None:
    sender, slept = _sender([httpx.Response(503) for _ in range(21)], retries=20)
    with pytest.raises(Refused, match="gave up after 21 tries"):
        _post(sender)
    assert len(slept) == 20
    assert max(slept) <= 10
    assert max(slept[:3]) <= 0.4
