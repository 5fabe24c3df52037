"""Lists of an answer that are JSON text from the first item on."""

import tracemalloc

import msgspec

from app.ingest import batch_summary, json_list
from app.ingest.batch_summary import MAX_LISTED, Summary
from app.ingest.json_list import JsonList


def test_a_list_reads_as_if_it_had_been_encoded_at_once() -> None:
    listed = JsonList()
    assert (len(listed), listed.held_bytes, msgspec.json.encode(listed.as_json())) == (0, 0, b"[]")
    for items in ([1], [], range(2, 4), [{"detail": 'a "b"'}]):
        listed.extend(items)
    assert (len(listed), msgspec.json.encode([listed.as_json()])) == (4, b'[[1,2,3,{"detail":"a \\"b\\""}]]')


def test_the_errors_of_a_summary_are_no_objects() -> None:
    """As objects of their own, 10,000 took 30,000 blocks of Python's heap.

    Only what these files allocate counts: other parts of the process may work meanwhile.
    """
    files = (__file__, batch_summary.__file__, json_list.__file__)
    own = [tracemalloc.Filter(inclusive=True, filename_pattern=file) for file in files]
    summary = Summary()
    tracemalloc.start()
    try:
        for index in range(MAX_LISTED):
            summary.note_invalid(index, f"unknown field: x{index}")
        kinds = tracemalloc.take_snapshot().filter_traces(own).statistics("filename")
        blocks = sum(kind.count for kind in kinds)
    finally:
        tracemalloc.stop()
    assert (len(summary.errors), blocks < 100) == (MAX_LISTED, True)
