"""What happens to consumers in a state machine: each move is the name of a method, and its arguments."""

from typing import Any

import hypothesis.strategies as st

from app.store.cleanup_severity import Severity

NAMES = st.sampled_from(["bot", "bot", "bot", "other"])


def _moves(
    move: str, /, **arguments: st.SearchStrategy[Any]
) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(move), st.fixed_dictionaries(arguments | {"gate": st.integers(0, 1)}))


ACCEPT = _moves("accept", first=st.integers(-4, 0), count=st.integers(1, 9))
LEASE = _moves(
    "lease",
    name=NAMES,
    limit=st.sampled_from([1, 4, 7, 100]),
    most_bytes=st.sampled_from([1, 400, 1 << 20]),
    lease_ms=st.sampled_from([10_000, 40_000]),
    start=st.sampled_from(["oldest", "now"]),
)
COMMIT = _moves("commit", name=NAMES, back=st.integers(0, 5))
MOVE_CLOCK = _moves("move_clock", seconds=st.sampled_from([1, 3, 11, 11, 45, -1, -4, -15]))
SEEK = _moves("seek", name=NAMES, to=st.sampled_from(["oldest", "now", "position"]))
CLEAN_UP = _moves("clean_up", severity=st.sampled_from(Severity))
RARE = st.one_of(SEEK, CLEAN_UP, _moves("note"), _moves("tick"), _moves("forget", name=NAMES))
DRAIN = _moves("drain", name=NAMES)
HOARD = _moves("hoard", name=NAMES, limit=st.sampled_from([4, 7, 12]), again=st.sampled_from([1, 4]))
OFTEN = [ACCEPT, ACCEPT, ACCEPT, LEASE, LEASE, LEASE, LEASE, COMMIT, COMMIT, MOVE_CLOCK, MOVE_CLOCK]
MOVES = st.sampled_from([*OFTEN, RARE, DRAIN, HOARD]).flatmap(lambda moves: moves)
