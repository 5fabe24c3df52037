"""The first sources count under their names, and all that come later as one."""

from app.metrics.source_limit import OTHER_SOURCE, SourceLimit


def test_the_first_sources_keep_their_names_and_later_ones_share_one() -> None:
    limit = SourceLimit(3)
    assert [limit.label(source) for source in "abcdade"] == [
        "a",
        "b",
        "c",
        OTHER_SOURCE,
        "a",
        OTHER_SOURCE,
        OTHER_SOURCE,
    ]


def test_a_source_that_is_named_other_counts_against_the_limit() -> None:
    limit = SourceLimit(1)
    assert (limit.label(OTHER_SOURCE), limit.label("a")) == (OTHER_SOURCE, OTHER_SOURCE)
