"""What `GET` and `PATCH /settings` answer: settings with their values and where these come from."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from app.models import JsonModel
from app.process.made_once import MadeOnce
from app.runtime_settings.settings_document import StoredSettings
from app.settings.descriptions import descriptions
from app.settings.environment import given_variables
from app.settings.model import CHANGEABLE, Settings, env_name
from app.store.settings_in_force import LiveSettings
from app.store.store_url import normal_url, safe_url

SettingSource = Literal["default", "environment", "argument", "store", "run time"]
Value = int | float | str | None
SET = "set"
_descriptions = MadeOnce(descriptions)
_SECRETS = frozenset({"ingest_tokens", "admin_tokens"})
# What a limit counts that is none of a map.
_LIMITED = {"consumers_limit": "consumers", "stream_readers_limit": "readers"}
_UNITS = ("seconds", "bytes", "entries", "items", "requests", "connections", "sources", "depth", "ratio")


class SettingView(JsonModel):
    """One setting; of tokens only whether there are any, of an address neither user nor password."""

    value: Value
    start_value: Value = Field(description="What it goes back to when it is changed to null.")
    gate_value: Value = Field(
        description="What this gate was started with; another value holds if it is not start_value."
    )
    source: SettingSource
    unit: str | None
    description: str
    changeable: bool = Field(description="At run time, by PATCH.")


class SettingsDocument(JsonModel):
    """Settings by their names, as this gate uses them now."""

    version: int = Field(description="How many changes were made at run time, by any gate of the store.")
    ignored: str | None = Field(description="Why this gate does not follow the store, should that be so.")
    settings: dict[str, SettingView]


async def settings_document(
    live: LiveSettings, document: StoredSettings, names: Iterable[str] = Settings.model_fields
) -> SettingsDocument:
    """Return the document with these settings; the sentences on them are read in a thread the first time."""
    told = await _descriptions.get()
    views = {name: _view(name, live, document, told[name]) for name in names}
    return SettingsDocument(version=document.version, ignored=live.ignored, settings=views)


def unit_of(name: str) -> str:
    """The unit of a setting by its name, empty when it has none."""
    if name.endswith("_bytes_per_hour"):
        return "bytes an hour"
    for ending in _UNITS:
        if name.endswith(f"_{ending}"):
            return {"depth": "levels", "ratio": "share"}.get(ending, ending)
    if name in _LIMITED:
        return _LIMITED[name]
    return "entries" if name.endswith("_limit") else ""


def _view(name: str, live: LiveSettings, document: StoredSettings, description: str) -> SettingView:
    return SettingView(
        value=_value_to_tell(name, live.settings),
        start_value=_value_to_tell(name, live.base),
        gate_value=_value_to_tell(name, live.start),
        source="run time" if name in document.values else _start_source(name, live),
        unit=unit_of(name) or None,
        description=description,
        changeable=name in CHANGEABLE,
    )


def _value_to_tell(name: str, settings: Settings) -> Value:
    value = getattr(settings, name)
    if name in _SECRETS:
        return SET if value else None
    if name == "store_url" and value:
        return safe_url(normal_url(value))
    return value if value is None or isinstance(value, int | float) else str(value)


def _start_source(name: str, live: LiveSettings) -> SettingSource:
    if getattr(live.base, name) != getattr(live.start, name):
        return "store"
    if name not in live.start.model_fields_set:
        return "default"
    given = given_variables()
    is_variable = env_name(name) in given or env_name(f"{name}_file") in given
    return "environment" if is_variable else "argument"
