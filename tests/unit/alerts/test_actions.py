"""What alerts make the gate do, and what they do not."""

import asyncio

import pytest

from tests.support.alerts import COOLDOWN_SECONDS, Desk
from tests.support.webhooks import alert, from_grafana, labelled, webhook

MAPS = {"signatures", "transactions", "observations"}


async def cleaned_maps(desk: Desk) -> set[str]:
    await desk.api.runtime.alerts.close()
    reports = [report for report in await desk.api.reports() if report["trigger"] == "alert"]
    return {name for report in reports for name in report["maps"]}


async def test_a_firing_alert_runs_an_emergency_cleanup_of_all_maps(desk: Desk) -> None:
    [answer] = await desk.answers(webhook(alert()))
    assert answer == {
        "fingerprint": "c6eadffa33fcdf37",
        "status": "firing",
        "alertname": "TidegateStoreNearLimit",
        "action": "cleanup",
        "detail": "emergency cleanup of signatures, transactions, observations",
    }
    assert await desk.runs("emergency") == 1
    assert await cleaned_maps(desk) == MAPS


async def test_grafana_is_understood_as_well(desk: Desk) -> None:
    assert await desk.actions(from_grafana(alert())) == ["cleanup"]
    assert await desk.runs() == 1


async def test_the_label_mode_asks_for_a_normal_cleanup(desk: Desk) -> None:
    assert await desk.actions(webhook(labelled(mode="normal"))) == ["cleanup"]
    assert (await desk.runs("normal"), await desk.runs("emergency")) == (1, 0)


@pytest.mark.parametrize("name", sorted(MAPS))
async def test_the_label_map_asks_for_one_map(desk: Desk, name: str) -> None:
    assert await desk.actions(webhook(labelled(map=name))) == ["cleanup"]
    assert await cleaned_maps(desk) == {name}


@pytest.mark.parametrize("labels", [{}, {"alertname": "X"}, {"alertname": "X", "action": "Cleanup"}])
async def test_an_alert_without_the_label_is_ignored(desk: Desk, labels: dict[str, str]) -> None:
    assert await desk.actions(webhook(alert(labels=labels))) == ["ignored"]
    assert await desk.runs() == 0


@pytest.mark.parametrize(
    ("labels", "mention"),
    [
        ({"mode": "gentle"}, "label mode: 'gentle' is not one of normal, emergency"),
        ({"map": "all"}, "label map: 'all' is not one of signatures, transactions, observations"),
        ({"map": "transactions\n"}, r"'transactions\n'"),
    ],
)
async def test_a_label_nobody_understands_does_nothing_and_says_why(
    desk: Desk, labels: dict[str, str], mention: str
) -> None:
    [answer] = await desk.answers(webhook(labelled(**labels)))
    assert answer["action"] == "invalid"
    assert mention in answer["detail"]
    assert await desk.runs() == 0


async def test_a_resolved_alert_is_recorded_and_does_nothing(desk: Desk) -> None:
    assert await desk.actions(webhook(alert(status="resolved"), status="resolved")) == ["resolved"]
    assert [(kept["status"], kept["action"]) for kept in await desk.kept()] == [("resolved", "resolved")]
    assert desk.counted("resolved", "resolved") == 1
    assert await desk.runs() == 0


async def test_the_same_firing_acts_once_in_a_cooldown_and_again_while_it_lasts(desk: Desk) -> None:
    firing = webhook(alert())
    assert await desk.actions(firing) == ["cleanup"]
    await desk.let_pass(COOLDOWN_SECONDS - 1)
    assert await desk.actions(firing) == ["duplicate"]
    await desk.let_pass(1)
    assert await desk.actions(firing) == ["cleanup"]
    assert await desk.runs() == 2


async def test_another_firing_waits_for_the_cooldown_too(desk: Desk) -> None:
    assert await desk.actions(webhook(alert("a"), alert("b"))) == ["cleanup", "cooldown"]
    again = alert("a", startsAt="2026-11-23T04:11:00Z")
    assert await desk.actions(webhook(again)) == ["cooldown"]
    await desk.let_pass(COOLDOWN_SECONDS)
    assert await desk.actions(webhook(again)) == ["cleanup"]


async def test_each_map_has_a_cooldown_of_its_own(desk: Desk) -> None:
    assert await desk.actions(webhook(labelled("a", map="transactions"))) == ["cleanup"]
    [answer] = await desk.answers(webhook(labelled("b")))
    assert answer["detail"] == "emergency cleanup of signatures, observations"


async def test_an_emergency_cleanup_has_done_a_normal_ones_work_but_not_the_reverse(desk: Desk) -> None:
    in_turn = [labelled("a", mode="normal"), labelled("b", mode="emergency"), labelled("c", mode="normal")]
    assert await desk.actions(webhook(*in_turn)) == ["cleanup", "cleanup", "cooldown"]
    await desk.let_pass(COOLDOWN_SECONDS)
    assert await desk.actions(webhook(*in_turn[1:])) == ["cleanup", "cooldown"]


async def test_many_at_once_share_one_cleanup(desk: Desk) -> None:
    found = await asyncio.gather(*(desk.actions(webhook(alert())) for _ in range(20)))
    actions = [action for [action] in found]
    assert sorted(actions) == ["cleanup"] + 19 * ["duplicate"]
    assert await desk.runs() == 1


async def test_two_hundred_calls_in_ten_minutes_act_once_a_cooldown(desk: Desk) -> None:
    acted = 0
    for number in range(200):
        acted += (await desk.actions(webhook(alert(f"f{number}"), alert()))).count("cleanup")
        await desk.let_pass(3)
    assert acted == 600 / COOLDOWN_SECONDS
    assert await desk.runs() == acted


async def test_a_thousand_alerts_at_once_act_once(desk: Desk) -> None:
    storm = [alert(f"f{number}") for number in range(1_000)]
    assert await desk.actions(webhook(*storm)) == ["cleanup"] + 999 * ["cooldown"]
    assert desk.counted("firing", "cooldown") == 999
    assert await desk.runs() == 1
