"""The parts of the OpenAPI document that handlers reading raw bodies cannot declare themselves."""

from typing import Any

from fastapi import FastAPI

from app.api.addresses import ADDRESSES, TRANSACTIONS, Call, Token
from app.models import CONSUMER_PATTERN, SIGNATURE_PATTERN, SOURCE_PATTERN

SIGNATURE = {
    "type": "string",
    "pattern": SIGNATURE_PATTERN.replace(r"\Z", "$"),
    "examples": ["5BNbFfw7JkPECRkEgz3q"],
}
SOURCE = {"type": "string", "pattern": SOURCE_PATTERN.replace(r"\Z", "$"), "examples": ["helius-a"]}
CONSUMER_NAME = {"type": "string", "pattern": CONSUMER_PATTERN.replace(r"\Z", "$"), "examples": ["bot"]}
COUNT = {"type": "integer", "minimum": 0}

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
    """Describe responses that are problem documents, by status (`s503="…"`)."""
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {int(key[1:]): {"description": text, "content": content} for key, text in by_status.items()}


def json_response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a response that is JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


STORE_DOWN = problems(
    s503="The store is down or full, or too much is under way; nothing more was acknowledged."
)
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


def document_checks(api: FastAPI) -> None:
    """Add to each call of the control plane what the checks ahead of its handler may answer."""
    document = api.openapi

    def openapi() -> dict[str, Any]:
        whole = document()
        for path, operations in whole["paths"].items():
            address = ADDRESSES.get(path)
            if address is None or path == TRANSACTIONS:
                continue
            for method, operation in operations.items():
                _add_responses(operation["responses"], method, address.calls[method.upper()])
        return whole

    api.openapi = openapi  # type: ignore[method-assign]  # as its documentation has it


def _add_responses(responses: dict[str, Any], method: str, call: Call) -> None:
    texts = {}
    if call.token is not Token.NONE:
        texts["s401"] = "No valid token"
    if call.parameters is not None:
        texts["s422"] = "An unknown parameter"
    if method != "get":
        texts |= {
            "s400": "The body was cut off",
            "s408": "The body did not come in time",
            "s413": "The body is too large",
            "s503": "Too much is under way; nothing was done",
        }
    for status, text in problems(**texts).items():
        responses.setdefault(str(status), text)
