"""A partition that knows of fewer acceptances than it had told has gone back; answers may overtake others."""

from app.store.acceptance_count import AcceptanceCount, Fall


def told(added: int, born_ms: int = 1) -> AcceptanceCount:
    """The count of a partition that has told so many, in a reading and then in the answer to a claim."""
    partition = AcceptanceCount()
    partition.reading(partition.snapshot(), born_ms, 0)
    partition.answer(partition.snapshot(), 0, added)
    return partition


def test_a_count_that_grows_has_not_fallen() -> None:
    partition = told(7_000)
    partition.answer(partition.snapshot(), 7_000, 7_040)
    partition.answer(partition.snapshot(), 7_100, 7_100)  # another gate's were 60
    partition.reading(partition.snapshot(), 1, 7_100)
    assert partition.fall.entries == 0


def test_a_claim_that_finds_fewer_than_were_told_shows_how_many_are_gone() -> None:
    partition = told(7_000)
    partition.answer(partition.snapshot(), 5_000, 9_000)
    assert partition.fall == Fall(7_000, 2_000), "also when it adds more than were lost"
    partition.answer(partition.snapshot(), 9_000, 9_001)
    assert partition.fall == Fall(7_000, 2_000)


def test_a_reading_that_finds_fewer_than_a_claim_was_told_shows_it_too() -> None:
    partition = told(7_000)
    partition.reading(partition.snapshot(), 1, 6_999)
    assert partition.fall == Fall(7_000, 1)


def test_falls_add_up() -> None:
    partition = told(7_000)
    partition.answer(partition.snapshot(), 5_000, 5_000)
    partition.answer(partition.snapshot(), 4_000, 4_001)
    assert partition.fall == Fall(5_000, 3_000)


def test_answers_that_overtake_one_another_are_no_fall() -> None:
    partition = told(100)
    early, late = partition.snapshot(), partition.snapshot()
    partition.answer(late, 140, 150)
    partition.answer(early, 100, 140)
    assert partition.fall.entries == 0
    partition.answer(partition.snapshot(), 150, 151)
    assert partition.fall.entries == 0


def test_what_was_asked_before_a_fall_counts_it_once() -> None:
    partition = told(100)
    calls = [partition.snapshot() for _ in range(3)]
    for number, call in enumerate(calls):
        partition.answer(call, 60 + number, 61 + number)
    assert partition.fall == Fall(100, 40)


def test_a_ledger_that_was_begun_anew_counts_from_0_and_leaves_what_it_had_told_as_the_peak() -> None:
    partition = told(100)
    partition.reading(partition.snapshot(), 2, 0)
    assert partition.fall == Fall(100, 0)
    partition.answer(partition.snapshot(), 0, 5)
    assert partition.fall == Fall(100, 0)


def test_a_claim_that_finds_the_new_ledger_before_any_reading_does_not_hide_the_peak() -> None:
    partition = told(100)
    partition.answer(partition.snapshot(), 0, 5)
    partition.reading(partition.snapshot(), 2, 5)
    assert partition.fall.peak == 100
