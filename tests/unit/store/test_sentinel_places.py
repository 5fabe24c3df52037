"""Where a sentinel is, by what most of the others say."""

from app.store.sentinel_places import named_by_most

OLD, NEW = ("10.0.0.5", 26379), ("10.0.0.9", 26379)


def test_where_a_sentinel_is_most_of_the_others_say() -> None:
    told = {b"a": {b"e": NEW}, b"b": {b"e": NEW}, b"c": {b"e": NEW}, b"d": {b"e": OLD}}
    assert named_by_most(told) == {b"e": NEW}


def test_half_of_them_are_not_most() -> None:
    assert named_by_most({b"a": {b"e": NEW}, b"b": {b"e": OLD}}) == {}
    assert named_by_most({b"a": {b"e": OLD}, b"b": {}}) == {}


def test_a_sentinel_does_not_tell_of_itself_and_is_none_of_the_others() -> None:
    told = {b"a": {b"e": NEW}, b"b": {b"e": NEW}, b"e": {b"a": OLD}}
    assert named_by_most(told) == {b"e": NEW}


def test_one_that_tells_alone_is_believed() -> None:
    assert named_by_most({b"a": {b"b": OLD, b"e": NEW}}) == {b"b": OLD, b"e": NEW}


def test_where_nobody_tells_nobody_is_named() -> None:
    assert named_by_most({}) == {}
