"""The parts of the OpenAPI document that handlers reading raw bodies cannot declare themselves."""

from typing import Any

from app.models import SIGNATURE_PATTERN, SOURCE_PATTERN

_SIGNATURE = {
    "type": "string",
    "pattern": SIGNATURE_PATTERN.replace(r"\Z", "$"),
    "examples": ["5BNbFfw7JkPECRkEgz3q"],
}
_SOURCE = {"type": "string", "pattern": SOURCE_PATTERN.replace(r"\Z", "$"), "examples": ["helius-a"]}
_COUNT = {"type": "integer", "minimum": 0}

_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["signature"],
    "additionalProperties": False,
    "properties": {
        "signature": _SIGNATURE,
        "source": {"anyOf": [_SOURCE, {"type": "null"}], "description": "The feed that delivered it."},
        "slot": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, {"type": "null"}]},
        "payload": {"description": "Any JSON up to 256 KiB, kept verbatim."},
    },
}
_SUMMARY: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "duplicate", "invalid", "duplicates", "errors"],
    "properties": {
        "accepted": _COUNT,
        "duplicate": _COUNT,
        "invalid": _COUNT,
        "duplicates": {
            "type": "array",
            "items": _COUNT,
            "description": "Indices; what is not listed was accepted.",
        },
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": _COUNT, "detail": {"type": "string"}}},
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
        "signature": _SIGNATURE,
        "first_seen_ms": _COUNT,
    },
}
_STORED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "signature": _SIGNATURE,
        "source": _SOURCE,
        "slot": {"type": ["integer", "null"]},
        "first_seen_ms": _COUNT,
        "payload": {},
        "observations": {
            "type": "array",
            "items": {"type": "object", "properties": {"source": _SOURCE, "delay_ms": _COUNT}},
        },
    },
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}

Responses = dict[int | str, dict[str, Any]]


def problems(**by_status: str) -> Responses:
    """Responses that are problem documents, by status (`s503="…"`)."""
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {int(key[1:]): {"description": text, "content": content} for key, text in by_status.items()}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


POST_BODY: dict[str, Any] = {
    "parameters": [{"name": "X-Source", "in": "header", "required": False, "schema": _SOURCE}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_ITEM, {"type": "array", "items": _ITEM, "maxItems": 10_000}]}
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "One item a line."}},
        },
    },
}
STORE_DOWN = problems(
    s503="The store is down or full, or too much is under way; nothing more was acknowledged."
)
POST_RESPONSES: Responses = {
    200: _json("One answer, or a summary of the batch", {"anyOf": [_ONE, _SUMMARY]}),
    **problems(
        s400="Not JSON, not gzip, or cut off",
        s401="No valid token",
        s408="The body did not come in time",
        s413="Body, inflated body or batch past its limit",
        s415="Media type or coding not supported",
        s422="The object, or every item of the batch, is invalid",
    ),
    **STORE_DOWN,
}
LOOKUP_RESPONSES: Responses = {
    200: _json("The transaction and who saw it when", _STORED),
    **problems(s401="No valid token", s404="Not kept", s422="Not a signature"),
    **STORE_DOWN,
}
ALERT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["version", "alerts"],
                    "properties": {
                        "version": {"enum": ["4", "1"], "description": "4 of Alertmanager, 1 of Grafana."},
                        "alerts": {
                            "type": "array",
                            "maxItems": 2000,
                            "items": {
                                "type": "object",
                                "required": ["status", "labels", "startsAt", "fingerprint"],
                                "properties": {
                                    "status": {"enum": ["firing", "resolved"]},
                                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "startsAt": {"type": "string", "format": "date-time"},
                                    "fingerprint": {"type": "string", "pattern": "^[!-~]{1,64}$"},
                                },
                            },
                        },
                    },
                }
            }
        },
    }
}
ALERT_RESPONSES: Responses = problems(
    s400="Not JSON, not gzip, or cut off",
    s401="No valid token",
    s408="The body did not come in time",
    s413="The body or the number of alerts is past its limit",
    s415="Media type or coding not supported",
    s422="Not a webhook of a version that is understood",
    s503="A cleanup is asked for and the store is down; nothing was taken in: send it again.",
)
ADMIN_RESPONSES: Responses = {**problems(s401="No valid token", s422="Unknown map or flag"), **STORE_DOWN}
