"""The fields by which a document's shape is recognised, read in one go.

A parser that knows their names keeps of each only where its value stands, and passes over all others, so that
it costs little more than finding the document's end.
"""

import re
from collections import Counter
from collections.abc import Generator, Iterable

import msgspec
from msgspec import Raw, field

from app.decode import error_messages
from app.decode.item import InvalidItem
from app.feeds.json_values import Member, Values

NULL = b"null"
_MISSING = Raw()


class Fields(msgspec.Struct, gc=False):
    """The values of an object's members as they stand, empty where there is no such member."""

    signature: Raw = _MISSING
    slot: Raw = _MISSING
    type: Raw = _MISSING
    fee: Raw = _MISSING
    fee_payer: Raw = field(default=_MISSING, name="feePayer")
    account_data: Raw = field(default=_MISSING, name="accountData")
    native_transfers: Raw = field(default=_MISSING, name="nativeTransfers")
    token_transfers: Raw = field(default=_MISSING, name="tokenTransfers")
    instructions: Raw = _MISSING
    events: Raw = _MISSING
    transaction_error: Raw = field(default=_MISSING, name="transactionError")
    transaction: Raw = _MISSING
    meta: Raw = _MISSING
    version: Raw = _MISSING
    signatures: Raw = _MISSING
    message: Raw = _MISSING
    payload: Raw = _MISSING
    blockhash: Raw = _MISSING
    transactions: Raw = _MISSING
    jsonrpc: Raw = _MISSING
    id: Raw = _MISSING
    result: Raw = _MISSING
    method: Raw = _MISSING
    params: Raw = _MISSING
    error: Raw = _MISSING
    context: Raw = _MISSING
    value: Raw = _MISSING
    data: Raw = _MISSING
    metadata: Raw = _MISSING
    logs: Raw = _MISSING
    err: Raw = _MISSING
    index: Raw = _MISSING
    is_vote: Raw = field(default=_MISSING, name="isVote")
    is_vote_snake: Raw = field(default=_MISSING, name="is_vote")
    filters: Raw = _MISSING
    created_at: Raw = field(default=_MISSING, name="createdAt")
    created_at_snake: Raw = field(default=_MISSING, name="created_at")
    update_oneof: Raw = field(default=_MISSING, name="updateOneof")
    update_oneof_snake: Raw = field(default=_MISSING, name="update_oneof")
    account: Raw = _MISSING
    block: Raw = _MISSING
    block_meta: Raw = field(default=_MISSING, name="blockMeta")
    block_meta_snake: Raw = field(default=_MISSING, name="block_meta")
    transaction_status: Raw = field(default=_MISSING, name="transactionStatus")
    transaction_status_snake: Raw = field(default=_MISSING, name="transaction_status")
    deshred: Raw = field(default=_MISSING, name="deshredTransaction")
    deshred_snake: Raw = field(default=_MISSING, name="deshred_transaction")
    entry: Raw = _MISSING
    ping: Raw = _MISSING
    pong: Raw = _MISSING


_decoder = msgspec.json.Decoder(Fields)
_attributes = {item.encode_name: item.name for item in msgspec.structs.fields(Fields)}
NO_FIELDS = Fields()
# Of a longer value only its beginning is kept where members are found one by one: it is gone into by place.
_KEPT_BYTES = 64 * 1024


def parsed_fields(text: bytes) -> Fields:
    """Return the fields of an object.

    Raises:
        ValueError, RecursionError: the parser refuses it.
    """
    return _decoder.decode(text)


def fields_of(text: bytes | Raw) -> Fields:
    """Return the fields of an object; of any other value, or of one that the parser refuses, none."""
    if not is_object(text):
        return NO_FIELDS
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):
        return NO_FIELDS


def fields_at(fields: Fields, values: Values, member: Member) -> None:
    """Take over a member that was found by itself."""
    name = _attributes.get(member.name)
    if name is not None:
        end = min(member.end, member.start + _KEPT_BYTES)
        setattr(fields, name, Raw(bytes(values.text[member.start : end])))


def is_object(raw: bytes | Raw) -> bool:
    """Tell whether a value begins like an object."""
    return _first(raw) == b"{"


def is_array(raw: bytes | Raw) -> bool:
    """Tell whether a value begins like an array."""
    return _first(raw) == b"["


def is_given(raw: bytes | Raw) -> bool:
    """Tell whether there is a value, and not null."""
    return len(raw) > 0 and not (len(raw) == len(NULL) and bytes(raw) == NULL)


# Where envelopes have transactions, `{"data":[…]}`.
_PLACES = ("transactions", "data", "result")


def refuse_beside(fields: Fields, taken: str) -> None:
    """Refuse an envelope that is read at one of its members if another may have transactions, too.

    Raises:
        InvalidItem: of `{"data":[],"transactions":[{…}]}` no reader can say which of the two is meant.
    """
    for name in _PLACES:
        if name != taken and _may_hold_transactions(getattr(fields, name)):
            raise InvalidItem(f"it has {name} beside {taken}, and either may hold transactions; send one")


def _may_hold_transactions(raw: bytes | Raw) -> bool:
    """Tell whether a value has a signature in it, or is so long that only its begin is known."""
    return _first(raw) in (b"[", b"{") and (b'"signature' in bytes(raw) or len(raw) >= _KEPT_BYTES)


def _first(raw: bytes | Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def refuse_twice(text: bytes, *names: str, inside: Raw = _MISSING) -> Generator[None, None, None]:
    """Refuse an object of which two readers could read two things, since it has one of these names twice.

    A name that stands once in the whole text stands once in its object; so does one that stands there twice,
    once of it inside of a member's value, `inside`. Only of an object with more of them, or which may have
    names written with escapes, the members are looked through: 24,000 take a seventh of a second.

    A generator: it yields wherever others may be served, and once for a long text, of which every look takes
    a millisecond or two.

    Raises:
        InvalidItem: it has a name twice.
    """
    if len(text) > _KEPT_BYTES:
        yield
    if has_plain_names(text) and all(occurrences(text, name, inside) <= 1 for name in names):
        return
    values, given = Values(text), Counter[str]()
    values.is_tolerant = True
    try:
        for member in values.members(0, len(text)):
            if member is None:
                yield
            elif member.name in names:
                given[member.name] += 1
    except (ValueError, RecursionError):
        return  # whoever reads it says what is wrong
    twice = [name for name in names if given[name] > 1]
    if twice:
        raise InvalidItem(error_messages.KEY_TWICE.format(", ".join(twice)))


def has_plain_names(text: bytes) -> bool:
    r"""Tell whether no name of ASCII letters can be written with escapes: an s would be \u0073."""
    return b"\\" not in text or b"\\u00" not in text  # one byte is found ten times as fast


def occurrences(text: bytes, name: str, inside: Raw) -> int:
    """Return how often a quoted name stands in a text outside of a value that is in it."""
    quoted = b'"%s"' % name.encode()
    count = text.count(quoted)
    return count - bytes(inside).count(quoted) if count > 1 and len(inside) else count


_NOT_SHOWN = re.compile(r"[^!-~]")
_MOST_NAMED, _MOST_NAME_CHARS = 8, 32


def named(names: Iterable[str]) -> str:
    """Return some of the names of members, for an error."""
    listed = [_NOT_SHOWN.sub("?", name[:_MOST_NAME_CHARS]) for name in names]
    more = ", …" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
