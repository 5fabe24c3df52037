"""The settings' part of the OpenAPI document: made of `Settings`, and only when somebody asks for it."""

from typing import Any

from fastapi import FastAPI

from app.api.routes.settings import MEDIA_TYPES
from app.settings.descriptions import description_of
from app.settings.model import CHANGEABLE, Settings

# Keys of a setting's schema that say nothing on the value.
_NOT_FOR_A_BODY = frozenset({"title", "default", "group", "changeable", "shared"})


def document_settings(api: FastAPI) -> None:
    """Put the body of `PATCH /settings` into the API's document."""
    document = api.openapi

    def openapi() -> dict[str, Any]:
        whole = document()
        content = {kind: {"schema": _change_schema()} for kind in MEDIA_TYPES}
        whole["paths"]["/settings"]["patch"]["requestBody"] = {"required": True, "content": content}
        return whole

    api.openapi = openapi  # type: ignore[method-assign]  # as its documentation has it


def _change_schema() -> dict[str, Any]:
    """Describe a change: any of the settings that can be changed, within its limits, or null."""
    every, members = Settings.model_json_schema()["properties"], {}
    for name in CHANGEABLE:
        schema = {key: value for key, value in every[name].items() if key not in _NOT_FOR_A_BODY}
        kinds = schema.pop("anyOf", [schema, {"type": "null"}])
        members[name] = {"anyOf": kinds, "description": description_of(name)}
    return {"type": "object", "additionalProperties": False, "properties": members}
