"""What alerts make the gate do, and what they do not."""

import asyncio

import pytest

from tests.support.alerts import COOLDOWN_SECONDS, AlertedGate
from tests.support.webhooks import alert, from_grafana, labelled, webhook

MAPS = {"signatures", "transactions", "observations"}


async def cleaned_maps(gate: AlertedGate) -> set[str]:
    await gate.api.runtime.alerts.close()
    reports = [report for report in await gate.api.reports() if report["trigger"] == "alert"]
    return {name for report in reports for name in report["maps"]}


async def test_a_firing_alert_runs_an_emergency_cleanup_of_all_maps(gate: AlertedGate) -> None:
    [answer] = await gate.answers(webhook(alert()))
    assert answer == {
        "fingerprint": "c6eadffa33fcdf37",
        "status": "firing",
        "alertname": "TidegateStoreNearLimit",
        "action": "cleanup",
        "detail": "emergency cleanup of signatures, transactions, observations",
    }
    assert await gate.runs("emergency") == 1
    assert await cleaned_maps(gate) == MAPS


async def test_grafana_is_understood_as_well(gate: AlertedGate) -> None:
    assert await gate.actions(from_grafana(alert())) == ["cleanup"]
    assert await gate.runs() == 1


async def test_the_label_mode_asks_for_a_normal_cleanup(gate: AlertedGate) -> None:
    assert await gate.actions(webhook(labelled(mode="normal"))) == ["cleanup"]
    assert (await gate.runs("normal"), await gate.runs("emergency")) == (1, 0)


@pytest.mark.parametrize("name", sorted(MAPS))
async def test_the_label_map_asks_for_one_map(gate: AlertedGate, name: str) -> None:
    assert await gate.actions(webhook(labelled(map=name))) == ["cleanup"]
    assert await cleaned_maps(gate) == {name}


@pytest.mark.parametrize("labels", [{}, {"alertname": "X"}, {"alertname": "X", "action": "Cleanup"}])
async def test_an_alert_without_the_label_is_ignored(gate: AlertedGate, labels: dict[str, str]) -> None:
    assert await gate.actions(webhook(alert(labels=labels))) == ["ignored"]
    assert await gate.runs() == 0


@pytest.mark.parametrize(
    ("labels", "mention"),
    [
        ({"mode": "gentle"}, "label mode: 'gentle' is not one of normal, emergency"),
        ({"map": "all"}, "label map: 'all' is not one of signatures, transactions, observations"),
        ({"map": "transactions\n"}, r"'transactions\n'"),
    ],
)
async def test_a_label_nobody_understands_does_nothing_and_says_why(
    gate: AlertedGate, labels: dict[str, str], mention: str
) -> None:
    [answer] = await gate.answers(webhook(labelled(**labels)))
    assert answer["action"] == "invalid"
    assert mention in answer["detail"]
    assert await gate.runs() == 0


async def test_a_resolved_alert_is_recorded_and_does_nothing(gate: AlertedGate) -> None:
    assert await gate.actions(webhook(alert(status="resolved"), status="resolved")) == ["resolved"]
    assert [(kept["status"], kept["action"]) for kept in await gate.kept()] == [("resolved", "resolved")]
    assert gate.counted("resolved", "resolved") == 1
    assert await gate.runs() == 0


async def test_the_same_firing_acts_once_in_a_cooldown_and_again_while_it_lasts(gate: AlertedGate) -> None:
    firing = webhook(alert())
    assert await gate.actions(firing) == ["cleanup"]
    await gate.let_pass(COOLDOWN_SECONDS - 1)
    assert await gate.actions(firing) == ["duplicate"]
    await gate.let_pass(1)
    assert await gate.actions(firing) == ["cleanup"]
    assert await gate.runs() == 2


async def test_another_firing_waits_for_the_cooldown_too(gate: AlertedGate) -> None:
    assert await gate.actions(webhook(alert("a"), alert("b"))) == ["cleanup", "cooldown"]
    again = alert("a", startsAt="2026-11-23T04:11:00Z")
    assert await gate.actions(webhook(again)) == ["cooldown"]
    await gate.let_pass(COOLDOWN_SECONDS)
    assert await gate.actions(webhook(again)) == ["cleanup"]


async def test_each_map_has_a_cooldown_of_its_own(gate: AlertedGate) -> None:
    assert await gate.actions(webhook(labelled("a", map="transactions"))) == ["cleanup"]
    [answer] = await gate.answers(webhook(labelled("b")))
    assert answer["detail"] == "emergency cleanup of signatures, observations"


async def test_an_emergency_cleanup_has_done_a_normal_ones_work_but_not_the_reverse(
    gate: AlertedGate,
) -> None:
    in_turn = [labelled("a", mode="normal"), labelled("b", mode="emergency"), labelled("c", mode="normal")]
    assert await gate.actions(webhook(*in_turn)) == ["cleanup", "cleanup", "cooldown"]
    await gate.let_pass(COOLDOWN_SECONDS)
    assert await gate.actions(webhook(*in_turn[1:])) == ["cleanup", "cooldown"]


async def test_many_at_once_share_one_cleanup(gate: AlertedGate) -> None:
    found = await asyncio.gather(*(gate.actions(webhook(alert())) for _ in range(20)))
    actions = [action for [action] in found]
    assert sorted(actions) == ["cleanup"] + 19 * ["duplicate"]
    assert await gate.runs() == 1


async def test_two_hundred_calls_in_ten_minutes_act_once_a_cooldown(gate: AlertedGate) -> None:
    acted = 0
    for number in range(200):
        acted += (await gate.actions(webhook(alert(f"f{number}"), alert()))).count("cleanup")
        await gate.let_pass(3)
    assert acted == 600 / COOLDOWN_SECONDS
    assert await gate.runs() == acted


async def test_a_thousand_alerts_at_once_act_once(gate: AlertedGate) -> None:
    storm = [alert(f"f{number}") for number in range(1_000)]
    assert await gate.actions(webhook(*storm)) == ["cleanup"] + 999 * ["cooldown"]
    assert gate.counted("firing", "cooldown") == 999
    assert await gate.runs() == 1
