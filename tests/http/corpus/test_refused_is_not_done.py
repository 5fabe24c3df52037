"""Nothing is begun before a request is known to be whole and right, and what is carried out is answered so.

An emergency cleanup needs no body: it could begin with the head, before the body turns out to be broken.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.http.corpus.cases import all_cases
from tests.http.corpus.rule import Case
from tests.http.corpus.run import send_all
from tests.http.corpus.sendings import Way, sendings
from tests.http.corpus.servers import Gate, gate_settings
from tests.support.gate import gate_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATH, CLEANUP = b" /transactions ", b" /cleanup/emergency "
METRIC = 'tidegate_http_requests_total{code="200",method="POST",route="/cleanup/emergency"}'
FRAMING = ("content-length", "transfer-encoding", "chunk", "trailers", "cut-off", "host", "upgrade")


def cleanups(*, is_refused: bool) -> list[Case]:
    """The cases that a body or a host makes right or wrong, with an emergency cleanup for a post."""
    return [
        replace(case, data=case.data.replace(PATH, CLEANUP))
        for case in all_cases()
        if case.rule.name.startswith(FRAMING) and case.data.count(PATH) == 1
        if is_refused != any(200 in statuses for statuses in case.rule.ask.answers)
    ]


@pytest.fixture(params=["fast", "asgi"])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with gate_process(**gate_settings(is_fast=request.param == "fast")) as process:
        yield Gate(request.param, process)


def answered(gate: Gate) -> int:
    """How many emergency cleanups the gate has counted as carried out."""
    with gate.process.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(METRIC))


def done(gate: Gate) -> int:
    """How many it has carried out, of the last 50 cleanups."""
    with gate.process.client() as client:
        return sum(report["mode"] == "emergency" for report in client.get("/cleanup").json())


def test_a_refused_cleanup_is_not_begun(gate: Gate) -> None:
    todo = sendings(cleanups(is_refused=True), (Way.WHOLE, Way.BYTES), "r", is_bounded=False)
    assert len(todo) > 400
    heard = asyncio.run(send_all(gate, todo))
    last = {sending.signature("last") for sending in todo}
    answers = [(sending.case.name, each) for sending, script in heard.items() for each in script.answers]
    assert [name for name, each in answers if each.status < 400 and each.signature not in last] == []
    assert (answered(gate), done(gate)) == (0, 0)


def test_an_upgrade_that_is_ignored_is_carried_out_and_answered(gate: Gate) -> None:
    h2c = [case for case in cleanups(is_refused=False) if case.rule.name == "upgrade"]
    todo = sendings(h2c, (Way.WHOLE, Way.BYTES), "r", is_bounded=False)
    heard = asyncio.run(send_all(gate, todo))
    assert {sending.verdict(script).statuses for sending, script in heard.items()} == {(200,)}
    assert answered(gate) == len(todo)
