"""`tidegate drill` against a stand-in: what it asks for, and what it makes of what comes."""

from typing import Any

import pytest

import app.cli.drill
from tests.support.stand_in import Answer, Request, Respond
from tests.unit.cli.conftest import Run, Serve

STARTED_MS = 1_795_408_594_676
ORDER = {"drill": "full", "seconds": 300.0, "bytes": None, "map": "observations", "refuse_ingest": False}
ACTIVE = {
    "order": ORDER,
    "started_ms": STARTED_MS,
    "seconds_left": 300.0,
    "effect": "It seems full.",
    "alerts": ["TidegateDrillFull"],
    "end": None,
}
IS_ON = {"active": ACTIVE, "past": []}
NOTHING: dict[str, Any] = {"active": None, "past": []}


def over(end: str) -> dict[str, Any]:
    return {"active": None, "past": [ACTIVE | {"end": end}]}


def alert(status: str, action: str) -> dict[str, Any]:
    return {
        "alertname": "TidegateDrillFull",
        "status": status,
        "action": action,
        "received_ms": STARTED_MS + 1,
    }


FIRING, RESOLVED = alert("firing", "cleanup"), alert("resolved", "resolved")
OLD = FIRING | {"received_ms": STARTED_MS - 1}


def gate_that(drills: list[dict[str, Any]], alerts: list[list[dict[str, Any]]]) -> Respond:
    """Answer what stands first for as long as there is something behind it."""

    def respond(request: Request) -> Answer:
        if request.method == "POST":
            return Answer(200, IS_ON)
        left = drills if request.path.startswith("/drill") else alerts
        found = left.pop(0) if len(left) > 1 else left[0]
        return Answer(200, found if request.path.startswith("/drill") else {"alerts": found})

    return respond


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.cli.drill, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(app.cli.drill, "RESOLVED_SECONDS", 0.05)


def test_the_whole_chain_is_told_as_it_happens(run: Run, serve: Serve) -> None:
    gate = serve(
        gate_that([IS_ON, IS_ON, over("answered")], [[OLD], [FIRING, OLD], [FIRING], [RESOLVED, FIRING]])
    )
    done = run("drill", "full", "--seconds", "60", gate=gate)
    assert done.exit_code == 0, done.output
    assert gate.requests[0].path == "/drill?drill=full&seconds=60.0"
    lines = [line.partition(" s  ")[2] or line for line in done.output.splitlines()]
    assert lines == [
        "drill full, 300 s at most; it ends by itself",
        "It seems full.",
        "alerts: TidegateDrillFull",
        "Alertmanager: TidegateDrillFull firing, cleanup",
        "drill over: answered",
        "Alertmanager: TidegateDrillFull resolved, resolved",
        "the whole chain works: metric, rule, Alertmanager, POST /alerts, cleanup, resolved",
    ]


@pytest.mark.parametrize(
    ("drills", "alerts", "says"),
    [
        ([over("time")], [], "no cleanup was run for the drill's alert. Look in this order"),
        ([over("answered")], [FIRING], "has not told the gate that the alert is resolved"),
        ([NOTHING], [], "the gate has forgotten the drill: it was started again"),
    ],
)
def test_a_broken_chain_is_exit_1_and_says_where_to_look(
    run: Run, serve: Serve, drills: list[dict[str, Any]], alerts: list[dict[str, Any]], says: str
) -> None:
    done = run("drill", "full", gate=serve(gate_that(drills, [alerts])))
    assert done.exit_code == 1
    assert says in str(done.exception) + done.output


def test_what_is_asked_for_is_what_was_given(run: Run, serve: Serve) -> None:
    gate = serve(gate_that([IS_ON], [[]]))
    assert run("drill", "leak", "--mib", "64", "--no-wait", gate=gate).exit_code == 0
    assert run("drill", "store-down", "--refuse-ingest", "--json", gate=gate).exit_code == 0
    assert [request.path for request in gate.requests] == [
        "/drill?drill=leak&bytes=67108864",
        "/drill?drill=store-down&refuse_ingest=true",
    ]


def test_the_status_tells_what_is_on_and_what_was_last(run: Run, serve: Serve) -> None:
    gate = serve(gate_that([IS_ON, over("stopped"), NOTHING], [[]]))
    assert run("drill", "status", gate=gate).output.startswith("drill full, 300 s at most")
    assert run("drill", "status", gate=gate).output == "no drill is on; the last one, full, ended: stopped\n"
    assert run("drill", "status", gate=gate).output == "no drill is on\n"
