from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.guard.leak.floors import Floor, Floors

READINGS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=12, max_size=120)


def test_a_floor_is_the_least_of_its_block_resident_and_explained_apart() -> None:
    floors = Floors(block_seconds=30, blocks=5)
    for number, (resident, explained) in enumerate(
        [(90, 5), (70, 30), (80, 9), (99, 9), (85, 7), (88, 6), (100, 8)]
    ):
        floors.add(5.0 * number, resident, explained)
    assert floors.last(9) == [Floor(15.0, 70, 5, 30)]


def test_only_the_latest_blocks_are_kept() -> None:
    floors = Floors(block_seconds=10, blocks=3)
    for number in range(1000):
        floors.add(5.0 * number, number, 0)
    assert floors.is_full
    assert [one.resident_bytes for one in floors.last(9)] == [992, 994, 996]
    assert [one.resident_bytes for one in floors.last(2)] == [994, 996]


@given(READINGS)
def test_the_least_of_each_block_gives_the_same_floors_as_all_readings(
    readings: list[tuple[int, int]],
) -> None:
    every, least = Floors(30, 50), Floors(30, 50)
    for number, (resident, explained) in enumerate(readings):
        every.add(5.0 * number, resident, explained)
    for start in range(0, len(readings), 6):
        block = readings[start : start + 6]
        least.add(5.0 * start, min(one for one, _ in block), min(one for _, one in block))
    floors = [replace(floor, most_explained_bytes=floor.explained_bytes) for floor in every.last(50)]
    assert floors == least.last(50)


def test_a_pause_of_two_blocks_is_bridged_and_a_longer_one_empties_the_window() -> None:
    floors = Floors(block_seconds=10, blocks=9)
    for at in (0, 5, 10, 15, 35, 40):
        floors.add(at, 1, 0)
    assert [one.at_seconds for one in floors.last(9)] == [5, 15, 35]
    floors.add(61, 1, 0)
    assert len(floors) == 0


def test_a_clock_set_back_empties_the_window() -> None:
    floors = Floors(block_seconds=10, blocks=9)
    for at in (100, 110, 120, 115):
        floors.add(at, 1, 0)
    assert len(floors) == 0
    floors.add(125, 1, 0)
    assert [one.at_seconds for one in floors.last(9)] == [120]
