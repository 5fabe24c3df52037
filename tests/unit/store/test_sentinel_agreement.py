"""What a majority of sentinels vouches for, by what each of them says."""

import gc

import pytest

from app.errors import (
    StoreDenied,
    StoreError,
    StoreNoPrimary,
    StoreTimeout,
    StoreUnreachable,
    StoreUnsupported,
)
from app.store.sentinel_agreement import (
    SAFE_PART,
    Answers,
    Failure,
    LatestReports,
    Report,
    fields_of,
    place_in,
    report_of,
)
from app.store.store_errors import (
    StoreSentinelsDeny,
    StoreTlsExpired,
    StoreTlsUntrusted,
    StoreWithoutCommand,
    StoreWithoutService,
    StoreWrongScheme,
)

OLD, NEW = ("10.0.0.1", 6379), ("10.0.0.2", 6379)
ASKED_AT = 100.0


def _fields(**changes: object) -> dict[str, str]:
    usual: dict[str, object] = {
        "ip": OLD[0],
        "port": OLD[1],
        "runid": "a" * 40,
        "flags": "master",
        "down-after-milliseconds": 5000,
        "last-ok-ping-reply": 100,
        "config-epoch": 1,
        "num-other-sentinels": 2,
    }
    return {name: str(value) for name, value in (usual | changes).items()}


def _said(sentinel: str, named: tuple[str, int] | None = None, **changes: object) -> Report:
    renamed = {name.replace("_", "-"): value for name, value in changes.items()}
    return report_of(sentinel.encode(), ASKED_AT, _fields(**renamed), named)


def _new(sentinel: str) -> Report:
    return _said(sentinel, ip=NEW[0], runid="", config_epoch=2)


def test_a_majority_is_one_of_all_sentinels_and_not_of_those_who_answer() -> None:
    assert Answers([_said("a")]).agreement is None
    found = Answers([_said("a"), _said("b")]).agreement
    assert found is not None
    assert found.primary == OLD
    assert Answers([_said(name, num_other_sentinels=4) for name in "ab"]).agreement is None


def test_nobody_is_replaced_before_the_last_of_a_majority_may_hold_it_to_be_down() -> None:
    reports = [_said(name, last_ok_ping_reply=ms) for name, ms in (("a", 100), ("b", 700), ("c", 2000))]
    found = Answers(reports).agreement
    assert found is not None
    assert found.holds_until == pytest.approx(ASKED_AT + 5 * SAFE_PART - 0.7)


@pytest.mark.parametrize("flag", ["s_down", "o_down"])
def test_a_sentinel_that_holds_the_primary_to_be_down_does_not_vouch_for_it(flag: str) -> None:
    lost = _said("a", flags=f"master,{flag}")
    assert Answers([lost, _said("b")]).agreement is None
    assert Answers([lost, _said("b"), _said("c")]).agreement is not None


def test_one_that_has_no_connection_yet_to_a_new_primary_vouches_for_it_all_the_same() -> None:
    assert Answers([_said(name, flags="master,disconnected") for name in "ab"]).agreement is not None


def test_while_one_sentinel_replaces_the_primary_no_majority_vouches_for_it() -> None:
    """Those that vouch have not heard of it yet."""
    replacing = _said("a", flags="master,o_down,failover_in_progress", named=OLD)
    answers = Answers(
        [replacing, _said("b"), _said("c")], [Failure("10.0.0.9:26379", StoreTimeout("no answer"))]
    )
    assert answers.agreement is None
    assert str(answers.refusal()) == (
        "2 of 3 sentinels vouch for the primary, and one is replacing it; 10.0.0.9:26379: no answer"
    )


def test_one_that_was_away_since_before_the_last_failover_hinders_nobody() -> None:
    frozen = _said("a", flags="master,o_down,failover_in_progress", named=OLD)
    found = Answers([frozen, _new("b"), _new("c")]).agreement
    assert found is not None
    assert found.primary == NEW


def test_who_knows_the_later_configuration_is_right_though_it_be_the_only_one() -> None:
    answers = Answers([_said("a"), _said("b"), _new("c")], [])
    assert answers.agreement is None
    assert answers.primary == NEW


@pytest.mark.parametrize("order", ["abt", "atb", "tab"])
@pytest.mark.parametrize(
    "before",
    [
        {"flags": "master,o_down,failover_in_progress", "failover_state": "wait_promotion"},
        {"flags": "master"},
    ],
    ids=["the one that makes it", "another"],
)
def test_fields_that_are_older_than_the_name_beside_them_speak_against_the_primary(
    before: dict[str, str], order: str
) -> None:
    """The replica took over between the two answers of one sentinel: its epoch is still the earlier one."""
    torn = _said("t", named=NEW, **before)
    answers = Answers([torn if name == "t" else _said(name) for name in order])
    assert answers.agreement is None
    assert answers.is_replacing


@pytest.mark.parametrize("state", ["reconf_slaves", "update_config"])
def test_the_one_that_makes_a_new_primary_vouches_for_it_as_soon_as_that_took_over(state: str) -> None:
    """It has not begun to watch it as a primary, and holds it down no sooner than one that has just begun."""
    flags = "master,o_down,failover_in_progress"
    leading = _said("a", named=NEW, flags=flags, failover_state=state, config_epoch=2)
    found = Answers([leading, _new("b")]).agreement
    assert found is not None
    assert found.primary == NEW
    assert found.holds_until == pytest.approx(ASKED_AT + 5 * SAFE_PART - 0.1)
    assert leading.holds_until == pytest.approx(ASKED_AT + 5 * SAFE_PART)


def test_a_process_is_known_when_a_majority_has_seen_no_other_in_its_place() -> None:
    found = Answers([_said("a", runid="one"), _said("b", runid="two"), _said("c", runid="")]).agreement
    assert found is not None
    assert found.knows("one")
    assert found.knows("two")
    assert not found.knows("three")


def test_without_an_answer_there_is_no_primary() -> None:
    silent = Answers([], [Failure("x", StoreUnreachable("refused"))])
    assert silent.primary is None
    assert str(silent.refusal()) == "0 of the sentinels vouch for the primary; x: refused"
    assert type(silent.refusal()) is StoreNoPrimary


@pytest.mark.parametrize(
    ("failed", "refusal"),
    [
        ([StoreTlsExpired, StoreTlsExpired], StoreTlsExpired),
        ([StoreTlsExpired, StoreTlsUntrusted], StoreNoPrimary),
        ([StoreTlsExpired], StoreNoPrimary),
        ([StoreDenied, StoreDenied], StoreSentinelsDeny),
        ([StoreWithoutService, StoreWithoutService], StoreWithoutService),
        ([StoreWithoutCommand, StoreWithoutCommand], StoreWrongScheme),
        ([StoreTimeout, StoreTimeout], StoreNoPrimary),
    ],
)
def test_what_most_of_all_sentinels_fail_by_is_the_name_of_it(
    failed: list[type[StoreError]], refusal: type[StoreError]
) -> None:
    failures = [Failure(f"sentinel-{at}", kind("said so")) for at, kind in enumerate(failed)]
    reports = [_said(name, flags="master,s_down") for name in "abc"[len(failed) :]]
    made = Answers(reports, failures).refusal()
    assert type(made) is refusal
    assert "sentinel-0: said so" in str(made)


@pytest.mark.parametrize("missing", ["ip", "port", "config-epoch", "down-after-milliseconds"])
def test_what_no_sentinel_says_is_named_unsupported(missing: str) -> None:
    fields = _fields()
    del fields[missing]
    with pytest.raises(StoreUnsupported):
        report_of(b"a", ASKED_AT, fields, None)


def test_fields_and_places_are_read_in_both_protocols_and_nothing_else_is() -> None:
    assert fields_of([b"ip", b"10.0.0.1"]) == fields_of({b"ip": b"10.0.0.1"}) == {"ip": "10.0.0.1"}
    assert place_in([b"10.0.0.1", b"6379"]) == OLD
    assert place_in(None) is None
    for strange in (b"PONG", [b"odd"], 7):
        with pytest.raises(StoreUnsupported):
            fields_of(strange)
    with pytest.raises(StoreUnsupported):
        place_in([b"10.0.0.1"])


def test_of_sentinels_that_come_and_go_no_old_report_is_kept() -> None:
    latest = LatestReports()
    for number in range(1000):  # pods, each with an id of its own
        latest.note(_said(f"pod-{number}"))
    [reports] = [one for one in gc.get_referents(vars(latest)) if isinstance(one, dict)]
    assert len(reports) == 1
    assert latest.is_known
