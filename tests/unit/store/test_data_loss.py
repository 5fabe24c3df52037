"""What two readings of the ledgers say of what the store has lost, and totals that never fall."""

from dataclasses import dataclass, field

import pytest

from app.models import MapName, MapSizes, Reason
from app.store.acceptance_count import Fall
from app.store.data_loss import (
    SAME_SETBACK_MS,
    Falls,
    LedgerWatch,
    MapTotals,
    Setback,
    SetbackKind,
    imbalance,
)
from app.store.partition_sizes import PartitionSizes

SIGNATURES, TRANSACTIONS, OBSERVATIONS = MapName
PREFIX = "tidegate:{0}"
BORN_MS = 1_700_000_000_000


def sizes(added: int, expired: int = 0, capacity: int = 0) -> MapSizes:
    """A map that has had so many entries, of which so many have left."""
    removed = dict.fromkeys(Reason, 0) | {Reason.EXPIRED: expired, Reason.CAPACITY: capacity}
    return MapSizes(added - expired - capacity, 0, added, removed, None, 0, 0)


def reading(added: int, expired: int = 0, **changes: object) -> PartitionSizes:
    """A partition whose maps have had so many entries each; of signatures `expired` have left."""
    maps = {SIGNATURES: sizes(added, expired), TRANSACTIONS: sizes(added), OBSERVATIONS: sizes(added)}
    usual = PartitionSizes(PREFIX, BORN_MS + 1_000, BORN_MS, False, maps, {}, dict.fromkeys(MapName, 10))
    return usual._replace(**changes)  # type: ignore[arg-type]


def lost(signatures: int, transactions: int, observations: int) -> dict[MapName, int]:
    """What is lost of each map."""
    return {SIGNATURES: signatures, TRANSACTIONS: transactions, OBSERVATIONS: observations}


@dataclass
class Watched:
    """A watch of one partition that has taken readings."""

    watch: LedgerWatch = field(default_factory=LedgerWatch)

    def after(self, *readings: PartitionSizes, falls: Falls | None = None) -> list[Setback]:
        """Return what the last of these readings says was lost."""
        found: list[Setback] = []
        for each in readings:
            found = self.watch.follow([each], falls or {})
        return found


def test_the_first_reading_has_nothing_to_be_compared_with() -> None:
    watched = Watched()
    assert watched.after(reading(7_000)) == []
    assert watched.watch.totals[TRANSACTIONS] == MapTotals(0, dict.fromkeys(Reason, 0))


@pytest.mark.parametrize(
    "now",
    [
        reading(7_000),
        reading(7_500, 7_400),
        reading(7_000, now_ms=BORN_MS),  # the clock was set back
        reading(7_000, is_full=True),
    ],
)
def test_what_was_added_or_has_left_is_no_setback(now: PartitionSizes) -> None:
    assert Watched().after(reading(7_000), now) == []


def test_a_count_that_went_back_says_how_many_are_lost() -> None:
    [setback] = Watched().after(reading(7_000, 6_000), reading(5_000, 4_500))
    assert setback == Setback(SetbackKind.SET_BACK, PREFIX, lost(1_000, 2_000, 2_000))
    assert setback.lost[SIGNATURES] == 1_000, "no more than were kept: the others had left before"


def test_a_ledger_that_was_begun_later_has_lost_all_that_was_kept() -> None:
    [setback] = Watched().after(reading(7_000, 6_000), reading(40, born_ms=BORN_MS + 900))
    assert setback == Setback(SetbackKind.EMPTIED, PREFIX, lost(1_000, 7_000, 7_000))


def test_a_ledger_that_was_begun_earlier_is_a_former_state() -> None:
    [setback] = Watched().after(reading(50), reading(7_000, born_ms=BORN_MS - 900))
    assert setback == Setback(SetbackKind.SET_BACK, PREFIX, lost(50, 50, 50))


def test_what_claims_were_told_since_the_last_reading_is_lost_too() -> None:
    [setback] = Watched().after(reading(7_000, 6_000), reading(0, born_ms=BORN_MS + 900, fall=Fall(7_300, 0)))
    assert setback.lost == lost(1_300, 7_300, 7_300)


def test_a_fall_that_claims_were_told_counts_though_more_came_in_since_than_were_lost() -> None:
    [setback] = Watched().after(reading(7_000), reading(9_000, fall=Fall(7_400, 150)))
    assert setback == Setback(SetbackKind.SET_BACK, PREFIX, lost(150, 150, 150))


def test_a_fall_is_told_once() -> None:
    watched, fall = Watched(), Fall(7_400, 150)
    assert len(watched.after(reading(7_000), reading(7_300, fall=fall))) == 1
    assert watched.after(reading(7_400, fall=fall), reading(7_500, fall=fall)) == []


def test_workers_of_a_gate_notice_one_setback_though_they_are_told_of_it_one_after_another() -> None:
    watched = Watched()
    watched.after(reading(7_000))
    first = {"worker-1": {PREFIX: Fall(7_000, 100)}, "worker-2": {PREFIX: Fall()}}
    second = {"worker-1": {PREFIX: Fall(7_000, 100)}, "worker-2": {PREFIX: Fall(7_000, 90)}}
    [setback] = watched.after(reading(7_100), falls=first)
    assert setback.lost == lost(100, 100, 100)
    assert watched.after(reading(7_200), falls=second) == []
    later = BORN_MS + 1_000 + SAME_SETBACK_MS
    third = {"worker-1": {PREFIX: Fall(7_300, 120)}, "worker-2": {PREFIX: Fall(7_300, 95)}}
    [another] = watched.after(reading(7_300, now_ms=later), falls=third)
    assert another.lost == lost(20, 20, 20)


def test_the_falls_of_a_worker_that_was_started_again_begin_at_0() -> None:
    watched = Watched()
    watched.after(reading(7_000), falls={"worker-1": {PREFIX: Fall(7_000, 100)}})
    watched.after(reading(7_000), falls={"worker-1": {PREFIX: Fall()}})
    later = BORN_MS + 1_000 + SAME_SETBACK_MS
    [setback] = watched.after(reading(7_000, now_ms=later), falls={"worker-1": {PREFIX: Fall(7_000, 5)}})
    assert setback.lost == lost(5, 5, 5)


def test_a_store_in_which_nothing_was_kept_loses_nothing_when_it_is_emptied() -> None:
    nothing = {name: sizes(900, 900) for name in MapName}
    assert Watched().after(reading(0, maps=nothing), reading(0, born_ms=BORN_MS + 900)) == []


def test_entries_that_are_gone_are_told_once_for_each_bucket() -> None:
    watched = Watched()
    one, more = {(SIGNATURES, 10): 7}, {(SIGNATURES, 10): 9, (TRANSACTIONS, 20): 3}
    assert watched.after(reading(100), reading(100, gone=one)) == [
        Setback(SetbackKind.KEYS_GONE, PREFIX, lost(7, 0, 0))
    ]
    assert watched.after(reading(100, gone=one)) == []
    assert watched.after(reading(100, gone=more)) == [Setback(SetbackKind.KEYS_GONE, PREFIX, lost(2, 3, 0))]
    assert watched.after(reading(100), reading(100, gone=more)) == [], "some are looked at each time"
    assert watched.after(reading(100, gone=more | {(SIGNATURES, 11): 1})) == [
        Setback(SetbackKind.KEYS_GONE, PREFIX, lost(1, 0, 0))
    ]


def test_what_is_gone_is_forgotten_with_its_bucket() -> None:
    watched = Watched()
    gone = {(SIGNATURES, 10): 7, (TRANSACTIONS, 20): 3}
    watched.after(reading(100), reading(100, gone=gone))
    oldest = {SIGNATURES: 11, TRANSACTIONS: 0, OBSERVATIONS: 10}
    watched.after(reading(100, oldest=oldest))
    [setback] = watched.after(reading(100, gone=gone, oldest=dict.fromkeys(MapName, 10)))
    assert setback.lost == lost(7, 3, 0)


def test_what_is_gone_from_a_full_store_may_have_been_dropped_for_room() -> None:
    gone = {(TRANSACTIONS, 20): 3}
    watched = Watched()
    assert watched.after(reading(100), reading(100, gone=gone, is_full=True)) == []
    assert watched.after(reading(100, gone=gone)) == []


def test_each_partition_is_compared_with_itself() -> None:
    watch, other = LedgerWatch(), "tidegate:{1}"
    watch.follow([reading(100), reading(500, prefix=other)], {})
    [setback] = watch.follow([reading(600), reading(450, prefix=other)], {})
    assert (setback.partition, setback.lost) == (other, lost(50, 50, 50))


def test_totals_grow_by_what_was_added_and_stay_at_a_setback() -> None:
    watched = Watched()
    course = [7_000, 7_500, 5_000, 5_500, 5_600]
    totals = []
    for added in course:
        watched.after(reading(added, added // 2))
        totals.append(watched.watch.totals[SIGNATURES])
    assert [each.added for each in totals] == [0, 500, 500, 1_000, 1_100]
    assert [each.removed[Reason.EXPIRED] for each in totals] == [0, 250, 250, 500, 550]


def test_totals_count_what_came_into_a_ledger_that_was_begun_anew() -> None:
    watched = Watched()
    watched.after(reading(7_000), reading(7_500), reading(40, 10, born_ms=BORN_MS + 900))
    assert watched.watch.totals[SIGNATURES].added == 540
    assert watched.watch.totals[SIGNATURES].removed[Reason.EXPIRED] == 10


def test_totals_do_not_count_what_a_former_ledger_had() -> None:
    watched = Watched()
    watched.after(reading(50), reading(60), reading(7_000, born_ms=BORN_MS - 900))
    assert watched.watch.totals[SIGNATURES].added == 10


def test_the_balance_is_that_of_one_reading() -> None:
    assert imbalance(sizes(100, 40, 5)) == 0
    assert imbalance(MapSizes(54, 0, 100, dict.fromkeys(Reason, 10), None, 0, 0)) == 6
