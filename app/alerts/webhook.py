"""Decodes the body of a webhook into alerts, each by itself: one that cannot be read costs no other.

Alertmanager's payload is version 4; Grafana sends the same with members of its own, as version 1. What is not
named here is ignored.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from app.decode.array_scanner import SPACE
from app.decode.arrays import array_items
from app.decode.surrogates import shown_as_replaced
from app.errors import BodyTooLarge, InvalidRequest, MalformedBody
from app.models import MapName, Mode

MAX_ALERTS = 2_000
MAX_ALERT_BYTES = 64 * 1024
SHOWN_CHARACTERS = 128

Identity = tuple[str, datetime]

# What the labels ask for by their value; "" is what a label that is not there counts as.
_MODES = {"": Mode.EMERGENCY} | {str(mode): mode for mode in Mode}
_MAPS = {"": frozenset(MapName)} | {str(name): frozenset({name}) for name in MapName}


class Alert(msgspec.Struct, frozen=True):
    """What is needed to act of one alert as it was delivered."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    fingerprint: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}\Z")]
    starts_at: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="startsAt")

    @property
    def identity(self) -> Identity:
        """What tells one firing from another: every delivery of a firing has the same."""
        return self.fingerprint, self.starts_at

    @property
    def name(self) -> str:
        """The label `alertname`, escaped and cut to 128 characters."""
        return shown(self.labels.get("alertname", ""))

    @property
    def asks_for_cleanup(self) -> bool:
        """Whether its labels ask the gate to act."""
        return self.labels.get("action") == "cleanup"

    def wanted(self) -> tuple[Mode, frozenset[MapName]]:
        """Return what the labels `mode` and `map` ask for: without them an emergency cleanup of all maps.

        Raises:
            InvalidAlert: one of them has a value that is none of ours.
        """
        return _MODES[self._label("mode", _MODES)], _MAPS[self._label("map", _MAPS)]

    def _label(self, label: str, allowed: Collection[str]) -> str:
        value = self.labels.get(label, "")
        if value not in allowed:
            names = ", ".join(filter(None, allowed))
            raise InvalidAlert(f"label {label}: '{shown(value)}' is not one of {names}")
        return value


class InvalidAlert(ValueError):
    """One alert cannot be acted on; `str()` says what is wrong with it."""


class _Webhook(msgspec.Struct):
    version: Literal["4", "1"]
    alerts: msgspec.Raw


_webhook_decoder = msgspec.json.Decoder(_Webhook)
_alert_decoder = msgspec.json.Decoder(Alert)


async def decode_webhook(body: bytes) -> Sequence[bytes | int]:
    """Split a webhook into its alerts, each as JSON; one that is too long is its length in bytes instead.

    Lone surrogates, such as of an annotation that was cut within an emoji, are U+FFFD in them.

    Raises:
        MalformedBody: not JSON.
        InvalidRequest: JSON, but no webhook of a version that is understood.
        BodyTooLarge: more than 2,000 alerts.
    """
    if not body.strip(SPACE):
        raise MalformedBody("the body is empty; send an Alertmanager webhook, version 4")
    body = await shown_as_replaced(body)
    try:
        body.decode()
        alerts = bytes(_webhook_decoder.decode(body).alerts)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"not an Alertmanager webhook of version 4: {error}") from None
    except RecursionError:
        raise MalformedBody("JSON is nested too deeply") from None
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    if not alerts.startswith(b"["):
        raise InvalidRequest("not an Alertmanager webhook of version 4: `alerts` is not an array")
    try:
        return await array_items(alerts, MAX_ALERT_BYTES, MAX_ALERTS)
    except BodyTooLarge:
        raise BodyTooLarge(f"more than {MAX_ALERTS} alerts: set max_alerts in Alertmanager") from None


def decode_alert(raw: bytes | int) -> Alert:
    """Decode one alert, or refuse the one that is too long, of which only the length in bytes is given.

    Raises:
        InvalidAlert: it is not one, with the member at fault.
    """
    if isinstance(raw, int):
        raise InvalidAlert(f"the alert has {raw} bytes, {MAX_ALERT_BYTES} are allowed")
    try:
        return _alert_decoder.decode(raw)
    except RecursionError:
        raise InvalidAlert("nested too deeply") from None
    except ValueError as error:
        raise InvalidAlert(shown(str(error))) from None


def shown(text: str) -> str:
    """Cut text of others to 128 characters, and escape what is not printable, line ends among it."""
    cut = text[:SHOWN_CHARACTERS]
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
