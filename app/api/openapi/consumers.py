"""The part of the OpenAPI document on streams and consumers, whose routes are plain ASGI."""

from typing import Any

from app.api.addresses import CONSUMER, CONSUMERS, STREAM
from app.api.openapi.common import (
    CONSUMER_NAME,
    COUNT,
    SIGNATURE,
    SOURCE,
    STORE_DOWN,
    json_response,
    problems,
)

_TAGS = ["consumers"]
_CURSOR: dict[str, Any] = {"type": "string", "examples": ["8d3f0a61-019d2b6a3f4-00000000002a"]}
_UNKNOWN: dict[str, Any] = {"anyOf": [COUNT, {"type": "null"}], "description": "Null where nobody knows."}
_LINE: dict[str, Any] = {
    "type": "object",
    "required": ["cursor", "signature", "source", "slot", "first_seen_ms"],
    "properties": {
        "cursor": {"anyOf": [_CURSOR, {"type": "null"}]},
        "signature": SIGNATURE,
        "source": SOURCE,
        "slot": {"type": ["integer", "null"]},
        "first_seen_ms": COUNT,
        "payload": {},
    },
}
_GAP: dict[str, Any] = {
    "type": "object",
    "required": ["transactions", "from_ms", "to_ms"],
    "properties": {"transactions": _UNKNOWN, "from_ms": COUNT, "to_ms": COUNT},
}
_LAG: dict[str, Any] = {
    "type": "object",
    "required": ["transactions", "seconds"],
    "properties": {"transactions": COUNT, "seconds": {"type": "number", "minimum": 0}},
}
_LEASED: dict[str, Any] = {
    "type": "object",
    "required": ["lease", "transactions", "lag", "missed", "gaps", "new"],
    "properties": {
        "lease": {"type": ["string", "null"], "description": "Null when there is nothing."},
        "transactions": {"type": "array", "items": _LINE},
        "lag": _LAG,
        "missed": _UNKNOWN,
        "gaps": {"type": "array", "items": _GAP},
        "new": {
            "type": "boolean",
            "description": "Whether this call made the consumer: there was none, or it had been forgotten.",
        },
    },
}
_FIGURES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": CONSUMER_NAME,
        "position": {"anyOf": [_CURSOR, {"type": "null"}]},
        "lag": _LAG,
        **dict.fromkeys(("leases", "delivered", "redelivered", "missed", "unknown_gaps", "called_ms"), COUNT),
    },
}
_NAME: dict[str, Any] = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": CONSUMER_NAME,
    "description": "The consumer; callers under one name share its work.",
}


def _parameter(name: str, schema: dict[str, Any], description: str, where: str = "query") -> dict[str, Any]:
    return {"name": name, "in": where, "required": False, "schema": schema, "description": description}


_FROM = {"anyOf": [{"enum": ["oldest", "now"]}, {"type": "integer", "minimum": 0, "maximum": 10**16 - 1}]}
_STREAM: dict[str, Any] = {
    "tags": _TAGS,
    "operationId": "get_stream",
    "summary": "Get Stream",
    "description": "Everything that is accepted, as it comes, a line each, or a server-sent event.",
    "parameters": [
        _parameter("from", _FROM, "Where to begin: `now` unless it is given, `oldest`, or a moment."),
        _parameter("after", _CURSOR, "Begin behind the line that had this cursor."),
        _parameter("source", {"type": "array", "items": SOURCE}, "Only of this source; may be repeated."),
        _parameter("payload", {"type": "boolean", "default": True}, "Whether lines have the payload."),
        _parameter("limit", {"type": "integer", "minimum": 1}, "End after so many lines."),
        _parameter(
            "Last-Event-ID", _CURSOR, "As `after`; it counts instead of `from` and `after`.", "header"
        ),
    ],
    "responses": {
        200: {
            "description": "Lines, without end; an empty one, or one with only a cursor, every 15 seconds",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **problems(
            s401="No valid token",
            s410="The cursor is not one of this store",
            s422="A parameter cannot be taken",
            s503="The store is down, or too many streams are open",
        ),
    },
}
_SECONDS = {"type": "number", "minimum": 1, "maximum": 3600}
_LEASE: dict[str, Any] = {
    "tags": _TAGS,
    "operationId": "lease",
    "summary": "Lease",
    "description": "Lease the next transactions; those of a lease that was not committed in time come first.",
    "parameters": [
        _NAME,
        _parameter(
            "limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 500}, "At most so many."
        ),
        _parameter(
            "wait_seconds",
            {"type": "number", "minimum": 0, "maximum": 60, "default": 0},
            "Wait so long for something if there is nothing.",
        ),
        _parameter(
            "lease_seconds", _SECONDS, "How long the lease holds; TIDEGATE_LEASE_SECONDS unless given."
        ),
        _parameter("from", _FROM, "Where a consumer begins that is new: `oldest` unless it is given."),
    ],
    "responses": {
        200: json_response("What was leased", _LEASED),
        **problems(
            s400="The body was cut off",
            s401="No valid token",
            s408="The body did not come in time",
            s409="There are too many consumers, or the consumer has too many leases",
            s413="The body is too large",
            s422="A parameter cannot be taken",
        ),
        **STORE_DOWN,
    },
}


def _post(name: str, description: str, member: dict[str, Any], status: str, **more: str) -> dict[str, Any]:
    """Describe a call with a body of one member, which is answered by a status."""
    [required] = member
    body = {"type": "object", "required": [required], "additionalProperties": False, "properties": member}
    answer = {"type": "object", "properties": {"status": {"enum": status.split()}}}
    texts = {
        "s400": "The body is not JSON, or was cut off",
        "s401": "No valid token",
        "s408": "The body did not come in time",
        "s413": "The body is too large",
        "s415": "Not application/json, or in a coding that is not supported",
        "s422": "The body, or the name, cannot be taken",
    }
    return {
        "tags": _TAGS,
        "operationId": name,
        "summary": name.capitalize(),
        "description": description,
        "parameters": [_NAME],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {200: json_response("It is done", answer), **problems(**(texts | more)), **STORE_DOWN},
    }


_COMMIT = _post(
    "commit",
    "Commit a lease: what it has is done. It may be sent again.",
    {"lease": {"type": "string"}},
    "committed repeated",
    s404="There is no such lease",
    s409="It ran out and went to another caller, or is that of another consumer",
)
_SEEK = _post(
    "seek",
    "Move the consumer back or forth, inside what is kept; its leases are void.",
    {"to": {"anyOf": [_FROM, _CURSOR]}},
    "moved",
    s404="There is no such consumer",
    s410="The cursor is not one of this store",
)
_LIST: dict[str, Any] = {
    "tags": _TAGS,
    "operationId": "get_consumers",
    "summary": "Get Consumers",
    "description": "Every consumer: where it is, how far behind, and what it has leased.",
    "responses": {
        200: json_response(
            "All consumers, the one first that will be forgotten first",
            {"type": "object", "properties": {"consumers": {"type": "array", "items": _FIGURES}}},
        ),
        **problems(s401="No valid token", s422="An unknown parameter"),
        **STORE_DOWN,
    },
}
_FORGET: dict[str, Any] = {
    "tags": _TAGS,
    "operationId": "forget",
    "summary": "Forget",
    "description": "Forget a consumer, with its position and its leases.",
    "parameters": [_NAME],
    "responses": {
        200: json_response(
            "It is forgotten", {"type": "object", "properties": {"status": {"enum": ["forgotten"]}}}
        ),
        **problems(
            s400="The body was cut off",
            s401="No valid token",
            s404="There is no such consumer",
            s408="The body did not come in time",
            s413="The body is too large",
            s422="The name, or a parameter, cannot be taken",
        ),
        **STORE_DOWN,
    },
}
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", STREAM): _STREAM,
    ("get", CONSUMERS): _LIST,
    ("post", CONSUMER["/lease"].path): _LEASE,
    ("post", CONSUMER["/commit"].path): _COMMIT,
    ("post", CONSUMER["/seek"].path): _SEEK,
    ("delete", CONSUMER[""].path): _FORGET,
}
"""What can be read, by method and path."""
