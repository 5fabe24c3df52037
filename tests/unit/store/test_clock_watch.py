"""What two readings say of a store's clock that was set, and of what left early by that."""

from typing import NamedTuple

from app.models import MapName, MapSizes, Reason
from app.store.clock_watch import MOST_READINGS, ClockWatch
from app.store.data_loss import Setback, SetbackKind
from app.store.partition_sizes import PartitionSizes

PREFIX = "tidegate:{0}"
NOW_MS = 1_700_000_000_000


class Moment(NamedTuple):
    """A reading of one partition: seconds of the gate and of the server, and what has left of each map."""

    gate: float
    server: float
    expired: int = 0
    due: int = 0
    on_time: int = 0
    born_ms: int = NOW_MS

    def reading(self) -> PartitionSizes:
        """Return it as the store would tell it."""
        removed = dict.fromkeys(Reason, 0) | {Reason.EXPIRED: self.expired}
        sizes = MapSizes(5_000 - self.expired, 0, 5_000, removed, None, self.due, self.on_time)
        now_ms = NOW_MS + round(self.server * 1000)
        maps, oldest = dict.fromkeys(MapName, sizes), dict.fromkeys(MapName, 10)
        return PartitionSizes(PREFIX, now_ms, self.born_ms, False, maps, {}, oldest)


def told(*moments: Moment, took_seconds: float = 0.0) -> list[Setback]:
    """Return all that a watch tells of these readings, each of which takes so long."""
    watch, found = ClockWatch(), list[Setback]()
    for moment in moments:
        found += watch.follow([moment.reading()], moment.gate, moment.gate + took_seconds)
    return found


def setback(kind: SetbackKind, lost: int, moved_seconds: float) -> Setback:
    """Say that so many entries of each map left early."""
    return Setback(kind, PREFIX, dict.fromkeys(MapName, lost), round(moved_seconds * 1000))


def test_time_that_passes_is_no_news_whatever_leaves() -> None:
    assert told(Moment(0, 0), Moment(1, 1, 400, 400, 400), Moment(2, 2, 900, 500, 450)) == []


def test_what_was_not_due_is_told_once_it_has_all_left() -> None:
    course = [Moment(0, 7_200), Moment(1, 3_601, 830, 30, 30), Moment(2, 3_602, 992 + 50, 50, 50)]
    assert told(*course) == []
    [found] = told(*course, Moment(3, 3_603, 992 + 60, 60, 60), Moment(4, 3_604, 992 + 70, 70, 60))
    assert found == setback(SetbackKind.CLOCK_BACK, 992, -3_599)


def test_a_clock_set_back_that_cost_nothing_is_not_told() -> None:
    assert told(Moment(0, 7_200), Moment(1, 3_601, 30, 30, 30), Moment(2, 3_602, 60, 60, 0)) == []


def test_all_that_leaves_as_the_clock_is_set_ahead_is_told_and_what_leaves_late_after_it() -> None:
    [found] = told(
        Moment(0, 0),
        Moment(1, 3_601, 800, 800, 10),
        Moment(2, 3_602, 1_000, 1_000, 10),
        Moment(3, 3_603, 1_050, 1_050, 60),
    )
    assert found == setback(SetbackKind.CLOCK_AHEAD, 1_000, 3_600)


def test_a_reading_that_was_long_under_way_is_no_clock_that_was_set_ahead() -> None:
    moments = Moment(0, 0), Moment(1, 10.9, 400, 400, 400), Moment(2, 11.9, 500, 500, 500)
    assert told(*moments, took_seconds=10) == []
    assert len(told(*moments)) == 1


def test_a_store_that_was_away_for_an_hour_has_no_clock_that_was_set() -> None:
    assert told(Moment(0, 0), Moment(3_600, 3_602, 992, 992, 0), Moment(3_601, 3_603, 992, 992, 0)) == []


def test_a_ledger_that_was_begun_anew_has_nothing_to_be_compared_with() -> None:
    assert (
        told(Moment(0, 7_200), Moment(1, 0, 992, 0, 0, NOW_MS + 1), Moment(2, 1, 992, 0, 0, NOW_MS + 1)) == []
    )


def test_a_clock_that_is_set_again_and_again_is_told_in_the_end() -> None:
    moments = [Moment(at, -10 * at, 40 * at) for at in range(MOST_READINGS + 1)]
    [found] = told(*moments)
    assert found == setback(SetbackKind.CLOCK_BACK, 40 * MOST_READINGS, -10 * MOST_READINGS)


def test_a_partition_that_did_not_answer_for_a_while_has_no_clock_that_was_set() -> None:
    """As while its master was replaced; until then its reading of before comes again and again."""
    watch, before = ClockWatch(), Moment(0, 0).reading()
    found = [setback for at in range(10) for setback in watch.follow([before], at, at)]
    for moment in (Moment(10, 10, 400, 400, 400), Moment(11, 11, 400, 400, 400)):
        found += watch.follow([moment.reading()], moment.gate, moment.gate)
    assert found == []
