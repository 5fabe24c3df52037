"""The order of a flush: nothing is lost or confused, and what is taken for new comes first."""

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.flush_plan import ALONE, moved_back, new_first, runs_of, these_first, zeros
from app.models import Answers

FLAGS = st.lists(st.integers(0, 1), max_size=20).map(bytes)


@given(st.lists(st.integers(1, 2 * ALONE), max_size=12))
def test_runs_lie_one_after_another_and_only_small_requests_are_joined(sizes: list[int]) -> None:
    runs = runs_of(sizes)
    assert [at for run in runs for at in range(run.start, run.stop)] == list(range(sum(sizes)))
    large = {run.stop - run.start for run in runs}
    assert {size for size in sizes if size >= ALONE} <= large
    assert len(runs) <= 2 * sum(size >= ALONE for size in sizes) + 1


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1))
def test_what_is_moved_goes_back_to_its_place(runs: list[bytes]) -> None:
    flags = [bytes(byte % 2 for byte in run) for run in runs]
    order, whole = new_first(flags), b"".join(runs)
    assert sorted(order) == list(range(len(runs)))
    kinds = [(1 in flags[at], 0 not in flags[at]) for at in order]
    assert kinds == sorted(kinds)
    ends = [sum(map(len, runs[: at + 1])) for at in range(len(runs))]
    places = [slice(ends[at] - len(runs[at]), ends[at]) for at in order]
    moved = [byte for place in places for byte in whole[place]]
    back = moved_back(Answers(moved, [byte + 1 for byte in moved]), places)
    assert (back.clocks, back.codes) == (list(whole), [byte + 1 for byte in whole])


@given(FLAGS)
def test_those_that_are_new_come_first_and_are_not_moved_if_they_do_already(flags: bytes) -> None:
    new = zeros(flags)
    assert list(new) == [at for at, flag in enumerate(flags) if not flag]
    order = these_first(new, len(flags))
    assert sorted(order) == list(range(len(flags)))
    assert list(order[: len(new)]) == list(new)
    assert isinstance(order, range) == (flags == bytes(sorted(flags)) or not new)
