"""Transactions, gaps and leases are read from what a gate writes, whatever a payload holds."""

import json

import pytest

from tests.support.handing_out import gap, lease, line
from tidegate.records import Gap, Lag, Lease, Transaction

STRANGE = {
    "half of an emoji": r'"\ud83d"',
    "a number that Python reads no integer of": "1" * 5000,
    "a number beyond all": "1e999",
    "a fraction that no float holds": "1.00000000000000000001",
    "an escaped quote and a bracket": r'["]","\"transactions\":[",{}]',
    "deep": "[" * 127 + "]" * 127,
    "space": '{ "a" : [ 1 , 2 ] }',
}


def _leased(*lines: str, gaps: tuple[str, ...] = ()) -> Lease:
    return Lease.of("bot", str(lease("l-1", lines, gaps, (7, 1.5)).document))


@pytest.mark.parametrize("payload", STRANGE.values(), ids=STRANGE)
def test_a_line_is_kept_byte_for_byte_and_read(payload: str) -> None:
    text = line(1, payload=payload)
    leased = _leased(text, line(2), text)
    assert leased.lines == [text.encode(), line(2).encode(), text.encode()]
    one, two, three = leased.transactions
    assert (one.signature, two.signature, three.line) == ("s-1", "s-2", text.encode())
    assert two.payload == {"fee": 25000}


def test_a_transaction_has_the_members_of_its_line_and_no_payload_where_there_is_none() -> None:
    head = json.loads(line(3)) | {"slot": 5, "signature": 'a"b\\c'}
    del head["payload"]
    read = Transaction.of(json.dumps(head).encode())
    assert (read.cursor, read.signature, read.source, read.slot) == ("c-3", 'a"b\\c', "helius-a", 5)
    assert (read.first_seen_ms, read.payload) == (1_795_399_557_582, None)


def test_a_lease_has_its_gaps_and_its_lag() -> None:
    leased = _leased(gaps=(gap(3), gap(None)))
    assert (leased.identity, leased.lines, leased.lag) == ("l-1", [], Lag(7, 1.5))
    assert [found.transactions for found in leased.gaps] == [3, None]


def test_a_lease_may_be_written_with_space_and_its_members_in_any_order() -> None:
    text = (
        ' { "lag" : {"transactions": 1, "seconds": 0}, "gaps": [], "missed": 0,\n "transactions" : [ '
        f'{line(1)} ,\n{line(2)} ] , "lease" : "x" }}'
    )
    assert Lease.of("bot", text).lines == [line(1).encode(), line(2).encode()]
    assert Lease.of("bot", text).identity == "x"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"transactions":[', '{"transactions":[]}'])
def test_what_is_no_lease_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        Lease.of("bot", text)


def test_a_gap_is_a_line_and_a_sentence() -> None:
    some, unknown = Gap.of_line(gap(1234).encode()), Gap.of_line(gap(None).encode())
    assert some.line == gap(1234).encode()
    assert str(some) == (
        "a gap: 1,234 transactions left before they were read, "
        "accepted 2026-11-23 02:05:00 to 2026-11-23 02:06:00 UTC"
    )
    assert "nobody knows how many" in str(unknown)
    assert str(Gap(1, None, None)).endswith("before they were read")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1796007830874989", "accepted 1796007830874989 ms after 1970-01-01 to 2026-11-23 02:06:00 UTC"),
        ("-99999999999999", "accepted -99999999999999 ms after 1970-01-01 to 2026-11-23 02:06:00 UTC"),
        ("9" * 400, f"accepted {'9' * 400} ms after 1970-01-01 to"),
        ("1" * 5000, "accepted 2026-11-23 02:06:00 UTC"),
        ('"yesterday"', "accepted 2026-11-23 02:06:00 UTC"),
        ("null", "accepted 2026-11-23 02:06:00 UTC"),
        ("1e999", "accepted 2026-11-23 02:06:00 UTC"),
    ],
    ids=["microseconds", "before all years", "beyond all floats", "unreadable", "text", "null", "infinite"],
)
def test_a_gap_of_whatever_time_is_a_sentence(number: str, said: str) -> None:
    told = gap(3).replace('"from_ms":1795399500000', f'"from_ms":{number}')
    assert told != gap(3)
    assert said in str(Gap.of_line(told.encode()))


@pytest.mark.parametrize("count", ['"some"', "[1]", "1.5"])
def test_a_gap_of_whatever_size_is_a_sentence(count: str) -> None:
    told = f'{{"gap":{{"transactions":{count},"from_ms":null,"to_ms":null}}}}'
    assert "nobody knows how many" in str(Gap.of_line(told.encode()))
