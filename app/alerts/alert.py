"""One alert as Alertmanager or Grafana delivers it: decoded, and what its labels ask for."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from app.decode.error_messages import printable
from app.models import MapName, Mode

MAX_ALERT_BYTES = 64 * 1024
SHOWN_CHARACTERS = 128

Identity = tuple[str, datetime]

# What the labels ask for by their value; "" is what a label that is not there counts as.
_MODES = {"": Mode.EMERGENCY} | {str(mode): mode for mode in Mode}
_MAPS = {"": frozenset(MapName)} | {str(name): frozenset({name}) for name in MapName}


class Alert(msgspec.Struct, frozen=True):
    """The members of a delivered alert that the gate acts on; it has others, which are ignored."""

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


_alert_decoder = msgspec.json.Decoder(Alert)


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
    return printable(text[:SHOWN_CHARACTERS])
