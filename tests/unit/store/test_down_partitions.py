"""Partitions of a Cluster that cannot be used: how they are counted, told and forgotten."""

import pytest
from structlog.testing import capture_logs

from app.errors import StoreDenied, StoreError, StoreTimeout
from app.store.down_partitions import ARRIVED_SECONDS, DownPartitions, of_those_that_serve
from app.store.server_identity import Server
from app.store.store_errors import StoreSlotMoving
from tests.support.api_calls import events

CLUSTER = Server("valkey", "9.1.2", "cluster", partitions=4)
ONE, TWO, THREE = "tidegate:{1}", "tidegate:{2}", "tidegate:{3}"
A, B = "10.0.0.1:6379", "10.0.0.2:6379"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return what it was set to."""
        return self.seconds


def test_a_partition_that_is_moved_is_down_until_nothing_was_refused_for_a_while() -> None:
    """Of a slot that is half moved some keys are where they are looked for: an answer proves nothing."""
    clock = Clock()
    down = DownPartitions(clock)
    with capture_logs() as logs:
        for _ in range(3):
            down.is_moved(ONE, StoreSlotMoving("slot 1 is being moved"))
            clock.seconds += 0.9 * ARRIVED_SECONDS
            down.came_up(ONE)
            assert (len(down), down.reasons) == (1, {}), "calls go on"
        clock.seconds += 0.2 * ARRIVED_SECONDS
        assert len(down) == 1, "it is answered first"
        down.came_up(TWO)
        assert len(down) == 1
        down.came_up(ONE)
        assert len(down) == 0
    assert [entry["kind"] for entry in events(logs, "store partly down")] == ["slot_moving"]
    assert len(events(logs, "store whole again")) == 1


def test_both_kinds_are_told_and_a_partition_counts_once() -> None:
    down = DownPartitions(Clock())
    assert down.sentence(CLUSTER) is None
    down.is_moved(ONE, StoreSlotMoving("slot 1 is being moved"))
    down.went_down(TWO, StoreTimeout("no answer"), is_store_up=True)
    sentence = down.sentence(CLUSTER) or ""
    assert sentence.startswith("1 of the store's 4 partitions are down (timeout): ")
    assert "; 1 of the store's 4 partitions are down (slot_moving: " in sentence
    assert len(down) == 2
    down.went_down(ONE, StoreTimeout("no answer"), is_store_up=True)
    assert len(down) == 2
    down.clear()
    assert (len(down), down.sentence(CLUSTER)) == (0, None)


def test_each_reason_is_told_with_its_masters_and_what_is_denied_once_of_each_master() -> None:
    def of(master: str, reason: StoreError) -> StoreError:
        reason.master = master
        return reason

    down = DownPartitions(Clock())
    with capture_logs() as logs:
        for prefix, reason in (
            (ONE, of(B, StoreDenied("NOPERM", "HSET"))),
            (TWO, of(A, StoreDenied("NOPERM", "HSET"))),
            (THREE, of(B, StoreTimeout("no answer"))),
            (THREE, of(A, StoreTimeout("no answer"))),
            (ONE, of(B, StoreDenied("NOPERM", "HSET"))),
        ):
            down.went_down(prefix, reason, is_store_up=True)
    told = [(entry["kind"], entry["master"]) for entry in events(logs, "store partly down")]
    assert told == [("denied", B), ("denied", A), ("timeout", B)]
    sentence = down.sentence(CLUSTER, names_masters=True) or ""
    assert f"2 of the store's 4 partitions are down (denied), on {A}, {B}: " in sentence
    assert f"; 1 of the store's 4 partitions are down (timeout), on {A}: " in sentence
    assert A not in (down.sentence(CLUSTER) or "")


def test_while_the_whole_store_is_down_nothing_is_told_and_then_once_what_still_is() -> None:
    down = DownPartitions(Clock())
    with capture_logs() as logs:
        for _ in range(3):  # each probe connects anew
            down.clear()
            for prefix in (ONE, TWO, THREE):
                down.went_down(prefix, StoreTimeout("no answer"), is_store_up=False)
        assert logs == []
        for _ in range(2):
            down.clear()
            down.went_down(ONE, StoreTimeout("no answer"), is_store_up=False)
            down.store_came_up()
        assert len(events(logs, "store partly down")) == 1
        down.clear()
        down.store_came_up()
        down.went_down(ONE, StoreTimeout("no answer"), is_store_up=True)
    assert len(events(logs, "store partly down")) == 2


async def test_calls_to_some_partitions_may_all_fail_where_there_are_others() -> None:
    async def fails() -> int:
        raise StoreTimeout("no answer")

    async def answers() -> int:
        return 1

    assert await of_those_that_serve([answers(), fails()]) == [1, None]
    assert await of_those_that_serve([fails(), fails()], partitions=4) == [None, None]
    for partitions in (None, 2):
        with pytest.raises(StoreTimeout):
            await of_those_that_serve([fails(), fails()], partitions)
