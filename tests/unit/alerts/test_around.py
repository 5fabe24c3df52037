"""What surrounds the actions: a store that is away, what is kept, logged and counted, the end of the gate."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.alerts.receiver import AlertReceiver
from tests.conftest import MakeSettings
from tests.support.alerts import COOLDOWN_SECONDS, AlertedGate, open_gate
from tests.support.api_calls import QUIET, events, until
from tests.support.http_calls import problem
from tests.support.servers import StoreServer, valkey_server
from tests.support.webhooks import alert, labelled, webhook

pytestmark = pytest.mark.server

# Buckets of half a second, cut by an emergency half a second later.
CUT: dict[str, float] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 12,
    "emergency_transaction_retention_seconds": 0.5,
}
NOT_OURS = alert("not-ours", labels={"alertname": "Disk"})


@pytest.fixture
def own_store() -> Iterator[StoreServer]:
    """A store the test may kill."""
    with valkey_server(unix=True) as server:
        yield server


async def test_while_the_store_is_down_a_cleanup_is_to_be_asked_for_again(
    own_store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_gate(settings_for(own_store, **QUIET)) as gate:
        session = gate.api.runtime.session
        own_store.kill()

        async def is_down() -> bool:
            return not session.is_up

        await until(is_down)
        refused = await gate.post(webhook(NOT_OURS, alert()))
        problem(refused, 503, "store")
        assert int(refused.headers["retry-after"]) >= 1
        assert await gate.kept() == []
        # What needs no store is taken all the same.
        assert await gate.actions(webhook(NOT_OURS, alert(status="resolved"))) == ["ignored", "resolved"]

        own_store.restart()

        async def is_up() -> bool:
            return session.is_up

        await until(is_up)
        assert await gate.actions(webhook(NOT_OURS, alert())) == ["ignored", "cleanup"]
        assert await gate.runs() == 1


async def test_a_cleanup_the_store_fails_is_tried_again_behind(
    own_store: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.alerts.receiver.RETRY_SECONDS", 0.05)
    async with open_gate(settings_for(own_store, **QUIET), believes_in_store=True) as gate:
        own_store.kill()
        assert await gate.actions(webhook(alert())) == ["cleanup"]

        async def has_failed() -> bool:
            return gate.api.runs("alert", "emergency", "failure") >= 2

        await until(has_failed)
        assert gate.api.sample("background_task_up", task="alerts") == 0
        assert await gate.actions(webhook(alert())) == ["duplicate"]
        own_store.restart()

        async def has_succeeded() -> bool:
            return gate.api.runs("alert", "emergency") == 1

        async def is_up_again() -> bool:
            return gate.api.sample("background_task_up", task="alerts") == 1

        await until(has_succeeded)
        await until(is_up_again)


async def test_trying_ends_with_the_cooldown_and_the_next_delivery_has_its_turn(
    own_store: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.alerts.receiver.RETRY_SECONDS", 0.02)
    async with open_gate(settings_for(own_store, **QUIET), believes_in_store=True) as gate:
        own_store.kill()
        assert await gate.actions(webhook(alert())) == ["cleanup"]

        async def has_failed() -> bool:
            return gate.api.runs("alert", "emergency", "failure") > 0

        await until(has_failed)
        gate.clock.now += COOLDOWN_SECONDS

        async def has_given_up() -> bool:
            failures = gate.api.runs("alert", "emergency", "failure")
            await asyncio.sleep(0.1)
            return gate.api.runs("alert", "emergency", "failure") == failures

        await until(has_given_up)
        assert await gate.actions(webhook(alert())) == ["cleanup"]


async def test_the_last_fifty_are_kept_newest_first(gate: AlertedGate) -> None:
    for number in range(60):
        await gate.answers(webhook(alert(f"f{number}", status="resolved")))
    kept = await gate.kept()
    assert [one["fingerprint"] for one in kept] == [f"f{number}" for number in range(59, 9, -1)]
    assert kept[0].keys() == {"fingerprint", "status", "alertname", "action", "detail", "received_ms"}


async def test_one_line_for_each_alert_acted_on_and_one_for_each_webhook(gate: AlertedGate) -> None:
    with capture_logs() as logs:
        await gate.answers(webhook(labelled("a"), labelled("b"), NOT_OURS))
    [acted] = events(logs, "alert acted on")
    assert (acted["fingerprint"], acted["alertname"]) == ("a", "TidegateStoreNearLimit")
    assert acted["detail"] == "emergency cleanup of signatures, transactions, observations"
    [received] = events(logs, "alerts received")
    assert (received["cleanup"], received["cooldown"], received["ignored"]) == (1, 1, 1)


async def test_every_alert_is_counted_by_what_was_done(gate: AlertedGate) -> None:
    expected = ["cleanup", "duplicate", "cooldown", "ignored", "invalid"]
    assert [gate.counted("firing", action) for action in expected] == 5 * [0]
    mixed = [labelled("a"), labelled("a"), labelled("b"), NOT_OURS, labelled("c", mode="x")]
    assert await gate.actions(webhook(*mixed)) == expected
    assert [gate.counted("firing", action) for action in expected] == 5 * [1]


async def test_a_gate_that_stops_ends_the_cleanup_first(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_gate(settings_for(valkey, **QUIET)) as gate:
        assert await gate.actions(webhook(alert())) == ["cleanup"]
        runs, metrics = gate.api.runs, gate.api
    assert runs("alert", "emergency") == 1
    assert metrics.sample("cleanup_runs_total", trigger="alert", mode="emergency", result="failure") == 0


async def test_two_gates_that_get_the_same_webhook_remove_everything_once(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **CUT, **QUIET)
    async with open_gate(settings) as one, open_gate(settings) as other:
        await one.api.post_many("shared", 20)

        async def would_go() -> bool:
            report = await one.api.clean("/emergency", dry_run=True)
            return bool(report["maps"]["transactions"]["removed"] == 20)

        await until(would_go)
        done = await asyncio.gather(one.actions(webhook(alert())), other.actions(webhook(alert())))
        assert list(done) == [["cleanup"], ["cleanup"]]
        assert (await one.runs(), await other.runs()) == (1, 1)
        found = (await one.api.stats())["maps"]["transactions"]
        assert (found["entries"], found["removed_total"]["emergency"]) == (0, 20)


async def test_others_have_their_turns_while_many_alerts_are_decided_on(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    turn, turns = 0, list[int]()

    def clock() -> float:
        turns.append(turn)  # each alert that asks for what was done lately is a look at the clock or more
        return 0.0

    async with open_gate(settings_for(valkey, **QUIET)) as gate:
        runtime = gate.api.runtime
        runtime.alerts = AlertReceiver(
            runtime.cleanup.run, runtime.metrics, lambda: None, lambda: COOLDOWN_SECONDS, clock
        )
        runtime.parts[AlertReceiver] = runtime.alerts
        posting = asyncio.create_task(gate.post(webhook(*(alert(f"{number:x}") for number in range(2_000)))))
        while not posting.done():
            turn += 1
            await asyncio.sleep(0)
        answers = (await posting).json()["alerts"]
    assert [answer["action"] for answer in answers] == ["cleanup"] + ["cooldown"] * 1_999
    looks = Counter(turns)
    assert sum(looks.values()) >= 2_000
    assert max(looks.values()) <= sum(looks.values()) / 10
