"""Tells what a feed may leave out: votes of validators, and transactions that failed."""

from typing import Any

import msgspec
from msgspec import Raw, field

from app.feeds.feed_rules import FAILED, VOTES, FeedRules
from app.feeds.shape_fields import is_given
from app.feeds.solana_wire import WireMessage, wire_bytes

# Solana runs 64 at most, and a vote is one. Of 256 KiB of `{},` the programs would be looked up for 20 ms.
_MOST_INSTRUCTIONS = 256
# With its name and marks, `{"pubkey":"Vote1111…","signer":true,"source":"transaction","writable":true}`.
_MOST_KEY_BYTES = 1024
VOTE_PROGRAM = "Vote111111111111111111111111111111111111111"
COMPUTE_BUDGET_PROGRAM = "ComputeBudget111111111111111111111111111111"


class _Meta(msgspec.Struct, gc=False):
    err: Raw = Raw(b"null")


class _Instruction(msgspec.Struct, gc=False):
    index: int | None = field(default=None, name="programIdIndex")
    program_id: str | None = field(default=None, name="programId")


class _Message(msgspec.Struct, gc=False):
    keys: list[Raw] = field(default_factory=list, name="accountKeys")
    instructions: list[_Instruction] = field(default_factory=list)


class _Transaction(msgspec.Struct, gc=False):
    message: Raw = Raw(b"null")


_key_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_meta_decoder = msgspec.json.Decoder(_Meta)
_instructions_decoder = msgspec.json.Decoder(list[_Instruction])
_message_decoder = msgspec.json.Decoder(_Message | None)
_transaction_decoder = msgspec.json.Decoder(_Transaction)


def reason_to_skip(rules: FeedRules, meta: Raw, transaction: Raw) -> str | None:
    """Return by which rule a Solana transaction is left out, None if it is not."""
    if FAILED in rules.skip and has_failed(meta):
        return FAILED
    return VOTES if VOTES in rules.skip and _is_vote(transaction) else None


def reason_to_skip_written_out(rules: FeedRules, meta: Raw, message: Raw) -> str | None:
    """Return by which rule a Solana transaction with this message is left out, None if it is not."""
    if FAILED in rules.skip and has_failed(meta):
        return FAILED
    return VOTES if VOTES in rules.skip and _has_only_votes(message) else None


def has_failed(meta: Raw) -> bool:
    """Tell whether the meta data of a transaction has an error."""
    if not len(meta):
        return False
    try:
        return is_given(_meta_decoder.decode(meta).err)
    except (ValueError, RecursionError):
        return False


def has_only_votes(instructions: Raw) -> bool:
    """Tell whether instructions that name their programs are votes."""
    if not len(instructions):
        return False
    try:
        found = _instructions_decoder.decode(instructions)
    except (ValueError, RecursionError):
        return False
    return len(found) <= _MOST_INSTRUCTIONS and _are_votes([each.program_id for each in found])


def _is_vote(transaction: Raw) -> bool:
    wire = wire_bytes(transaction)
    if wire is not None:
        return _are_votes(WireMessage(wire).programs())
    try:
        message = _transaction_decoder.decode(transaction).message
    except (ValueError, RecursionError):
        return False
    return _has_only_votes(message)


def _has_only_votes(raw: Raw) -> bool:
    try:
        message = _message_decoder.decode(raw)
        if message is None or len(message.instructions) > _MOST_INSTRUCTIONS:
            return False
        return _are_votes([_program(message, each) for each in message.instructions])
    except (ValueError, RecursionError):
        return False


def _program(message: _Message, instruction: _Instruction) -> str | None:
    if instruction.program_id is not None or instruction.index is None:
        return instruction.program_id
    if not 0 <= instruction.index < len(message.keys):
        return None
    raw = message.keys[instruction.index]
    if len(raw) > _MOST_KEY_BYTES:
        return None
    key = _key_decoder.decode(raw)
    found = key.get("pubkey") if isinstance(key, dict) else key
    return found if isinstance(found, str) else None


def _are_votes(programs: list[str | None]) -> bool:
    """Tell whether, but for those that set a price, there are instructions and all of them vote."""
    return {program for program in programs if program != COMPUTE_BUDGET_PROGRAM} == {VOTE_PROGRAM}
