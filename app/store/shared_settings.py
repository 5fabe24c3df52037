"""The shared settings: those of what lies in the store, which are the same for all its gates.

They are the window, retentions and limits of the maps, and others (`SHARED`). Whatever the environment of
each gate says, one value holds: choose_shared_settings.lua says which. A gate tells it with each tick what
it was started with itself. For example, eu-1 was started with a window of 5 s, and eu-2, later, with 60 s:
the store answers both `{"dedup_window_seconds":5.0,…}`. What is changed at run time comes on top
(`runtime_settings`).

Beside them stand settings that each gate goes by for itself and that ought to be the same, such as the
replicas it waits for (`COMPARED`). They are told to find the gate that differs, and hold for nobody else.
"""

from dataclasses import dataclass

import msgspec

from app.errors import ConfigError

Value = int | float | None
CHANGES_A_START = 2**32


@dataclass(frozen=True)
class SharedSettings:
    """The version and the values that hold, as they are stored; version 0 until the store was asked."""

    version: int = 0
    text: bytes = b""

    def values(self) -> dict[str, Value]:
        """Return the settings by their names; a newer gate may have others among them than this one has.

        Raises:
            ConfigError: they are none.
        """
        try:
            return msgspec.json.decode(self.text, type=dict[str, Value])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(f"what the store's gates were started with cannot be read ({error})") from None

    def rules_version(self, changes: int) -> int:
        """Return the version of the rules that follow from it and from so many changes at run time.

        It is higher with other shared settings, and with each change.
        """
        return self.version * CHANGES_A_START + changes


def changes_of(version: int) -> int:
    """Return how many changes at run time a version of rules stands for, on top of its shared settings."""
    return version % CHANGES_A_START
