"""What is said of a store that is full or near its limit."""

import pytest

from app.store.store_fill import StoreFill, limit_setting

MIB = 1024 * 1024


def test_a_store_that_something_else_fills() -> None:
    fill = StoreFill(48 * MIB, 48 * MIB, int(1.1 * MIB))
    assert fill.sentence("full") == (
        "the store is full (48.0 of 48.0 MiB). The maps hold 1.1 MiB of it: something else fills the store, "
        "and a cleanup does not help. Raise its maxmemory"
    )


def test_an_embedded_store_that_the_maps_fill() -> None:
    fill = StoreFill(44 * MIB, 48 * MIB, 40 * MIB, limit_setting(None))
    assert fill.sentence("near its limit") == (
        "the store is near its limit (44.0 of 48.0 MiB). The maps hold 40.0 MiB of it: run POST "
        "/cleanup/emergency. Raise TIDEGATE_EMBEDDED_STORE_LIMIT_BYTES, or lower "
        "TIDEGATE_TRANSACTIONS_LIMIT_BYTES"
    )


@pytest.mark.parametrize(
    ("limit", "maps", "helps"), [(100, 20, False), (100, 21, True), (0, 16, False), (0, 17, True)]
)
def test_a_cleanup_helps_where_the_maps_hold_more_than_a_fifth(limit: int, maps: int, helps: bool) -> None:
    """Of the limit, or of what is used where a master of the Cluster has none."""
    assert StoreFill(80, limit, maps).cleanup_helps is helps
