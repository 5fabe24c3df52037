"""The data plane's part of the OpenAPI document: its routes are plain ASGI, which a framework cannot read."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from app.api.openapi.common import COUNT, SIGNATURE, SOURCE, STORE_DOWN, json_response, problems
from app.ingest.admission import NDJSON

_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["signature"],
    "additionalProperties": False,
    "properties": {
        "signature": SIGNATURE,
        "source": {"anyOf": [SOURCE, {"type": "null"}], "description": "The feed that delivered it."},
        "slot": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, {"type": "null"}]},
        "payload": {"description": "Any JSON up to 256 KiB, kept verbatim."},
    },
}
SUMMARY: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "duplicate", "invalid", "duplicates", "errors"],
    "properties": {
        "accepted": COUNT,
        "duplicate": COUNT,
        "invalid": COUNT,
        "duplicates": {
            "type": "array",
            "items": COUNT,
            "description": "Indices; what is not listed was accepted.",
        },
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": COUNT, "detail": {"type": "string"}}},
        },
        "truncated": {
            "type": "boolean",
            "description": "True when a list stopped at 10,000; the counts are exact.",
        },
    },
}
_ONE: dict[str, Any] = {
    "type": "object",
    "required": ["status", "signature", "first_seen_ms"],
    "properties": {
        "status": {"enum": ["accepted", "duplicate"]},
        "signature": SIGNATURE,
        "first_seen_ms": COUNT,
    },
}
_STORED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "signature": SIGNATURE,
        "source": SOURCE,
        "slot": {"type": ["integer", "null"]},
        "first_seen_ms": COUNT,
        "payload": {},
        "observations": {
            "type": "array",
            "items": {"type": "object", "properties": {"source": SOURCE, "delay_ms": COUNT}},
        },
    },
}
_POST: dict[str, Any] = {
    "tags": ["transactions"],
    "operationId": "post_transactions",
    "summary": "Post Transactions",
    "description": "Let each transaction through once: one object, an array, or NDJSON read as it arrives.",
    "parameters": [
        {
            "name": "source",
            "in": "query",
            "required": False,
            "schema": SOURCE,
            "description": "Default source of the items; wins over X-Source.",
        },
        {"name": "X-Source", "in": "header", "required": False, "schema": SOURCE},
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_ITEM, {"type": "array", "items": _ITEM, "maxItems": 10_000}]}
            },
            **{name: {"schema": {"type": "string", "description": "One item a line."}} for name in NDJSON},
        },
    },
    "responses": {
        200: json_response("One answer, or a summary of the batch", {"anyOf": [_ONE, SUMMARY]}),
        **problems(
            s400="Not JSON, not gzip, or cut off",
            s401="No valid token",
            s408="The body did not come in time",
            s413="Body, inflated body or batch past its limit",
            s415="Media type or coding not supported",
            s422="The object, or every item of the batch, is invalid",
        ),
        **STORE_DOWN,
    },
}
_LOOKUP: dict[str, Any] = {
    "tags": ["transactions"],
    "operationId": "get_transaction",
    "summary": "Get Transaction",
    "description": "Look a transaction up, with who delivered it and how long after the first.",
    "parameters": [
        {
            "name": "signature",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "As it was posted.",
        }
    ],
    "responses": {
        200: json_response("The transaction and who saw it when", _STORED),
        **problems(s401="No valid token", s404="Not kept", s422="Not a signature"),
        **STORE_DOWN,
    },
}


def document_data_plane(api: FastAPI, others: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """Put the data plane into the API's document, before everything else.

    `others` has further operations of it, by method and path.
    """
    document = api.openapi
    paths = {
        "/transactions": {"post": _keyed(_POST)},
        "/transactions/{signature}": {"get": _keyed(_LOOKUP)},
        **{path: {method: _keyed(operation)} for (method, path), operation in others.items()},
    }

    def openapi() -> dict[str, Any]:
        whole = document()
        whole["paths"] = paths | whole["paths"]
        return whole

    api.openapi = openapi  # type: ignore[method-assign]  # as its documentation has it


def _keyed(operation: dict[str, Any]) -> dict[str, Any]:
    """Key the responses by their status as text, since the keys of JSON are text."""
    return operation | {"responses": {str(status): text for status, text in operation["responses"].items()}}
