"""What the body of a PATCH asks for: settings by name, each with a number, or null for that of the start.

Whether these are within their limits is checked where they are stored: `SettingsSync.change` in changes.py.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from app.errors import InvalidRequest, MalformedBody
from app.runtime_settings.settings_document import Number, is_whole
from app.settings.model import CHANGEABLE, Settings, env_name

# No number that means anything is longer.
MOST_DIGITS = 40
MOST_NAME_LETTERS = 64


def read_changes(body: bytes) -> Mapping[str, Number | None]:
    """Read the body of a PATCH; values are numbers of the right kind, not yet checked against limits.

    Raises:
        MalformedBody: not JSON.
        InvalidRequest: with a sentence for each member that cannot be.
    """
    members = _members(body)
    if len(members) > len(Settings.model_fields):
        raise InvalidRequest(f"{len(members)} members are more than there are settings")
    changes: dict[str, Number | None] = {}
    wrong = []
    for name, raw in members.items():
        try:
            changes[name] = _change(name, bytes(raw))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise InvalidRequest("; ".join(wrong))
    return changes


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidRequest(
            'send a JSON object of settings by their names, as {"leak_growth_bytes": 52428800}'
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise MalformedBody("the body is nested too deeply") from None


def _change(name: str, raw: bytes) -> Number | None:
    if name not in Settings.model_fields:
        raise ValueError(_unknown(name))
    if name not in CHANGEABLE:
        raise ValueError(
            f"{name} cannot be changed at run time: set {env_name(name)} and start the gate again"
        )
    if raw == b"null":
        return None
    return _number(name, raw)


def _number(name: str, raw: bytes) -> Number:
    try:
        number = msgspec.json.decode(raw, type=Number) if len(raw) <= MOST_DIGITS else None
    except msgspec.ValidationError:
        number = None
    if number is None:
        raise ValueError(f"{name}: must be a number within its limits, or null for the value of the start")
    if not is_whole(name):
        return float(number)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError(f"{name}: must be a whole number, not {number}")
    return int(number)


def _unknown(name: str) -> str:
    shown = json.dumps(name[:MOST_NAME_LETTERS])
    if len(name) > MOST_NAME_LETTERS:
        return f"there is no setting {shown}…"
    near = get_close_matches(name.lower().removeprefix("tidegate_"), Settings.model_fields, n=1)
    return f"there is no setting {shown}" + (f"; did you mean {near[0]}?" if near else "")
