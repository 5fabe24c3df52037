"""Changes settings at run time, and keeps this gate in step with what other gates have changed.

Changed settings are stored by `settings.lua`. From its next tick on, each gate hands over the rules of the
maps that follow from them with `sizes.lua`, and so they hold for all gates (`put_in_force.lua`). They are
changes to the shared settings that gates were started with (`choose_shared_settings.lua`), which take the
place of this gate's own.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from app.errors import ConfigError, Conflict, InvalidRequest, Overloaded, PreconditionFailed, StoreError
from app.metrics.catalogue import Metrics
from app.runtime_settings.settings_document import (
    FromNewerGate,
    Number,
    StoredSettings,
    UnusableSettings,
    read_document,
    with_changes,
)
from app.settings.model import CHANGEABLE, COMPARED, SHARED, Settings
from app.store.maps import Maps
from app.store.settings_in_force import LiveSettings, compared_values
from app.store.shared_settings import Value

log = structlog.get_logger()

ATTEMPTS = 10
_UNREAD = (
    "The settings that hold for all gates of the store are not known to this gate, since the master of a "
    "Cluster that keeps them has been down since it was started. It shows those that it was started with; "
    "what lies in the store goes by those that hold. Bring that master back."
)


class SettingsSync:
    """Stores the settings that differ from the start's, and puts in force what is stored.

    The store decides between gates that change settings at the same moment: what one wrote the other reads
    first, so no change is lost.
    """

    def __init__(
        self, live: LiveSettings, maps: Maps, metrics: Metrics, applied: Callable[[Settings], object]
    ) -> None:
        self.live = live
        self._maps = maps
        self._metrics = metrics
        metrics.settings_changes_total.start(("api",), ("store",))
        self._applied = applied
        self._one_at_a_time = asyncio.Lock()
        self._followed: bytes | None = None
        self.document = StoredSettings()

    async def change(self, changes: Mapping[str, Number | None], if_match: str | None = None) -> None:
        """Change settings for all gates of the store; None stands for the value of the start.

        Raises:
            InvalidRequest: they do not fit one another, or are outside their limits; nothing is changed.
            PreconditionFailed: `if_match` is not the entity tag of what is stored.
            Conflict: a newer Tidegate has stored settings this one cannot read.
            StoreError: whether they were stored is unknown.
        """
        async with self._one_at_a_time:
            for _ in range(ATTEMPTS):
                if await self._change_once(changes, if_match):
                    return
        raise Overloaded("others change the settings all the time; send this again")

    async def follow(self) -> None:
        """Put in force what the latest tick found stored: the shared settings, and what was changed since.

        A store that has lost it, or went back to an earlier state, is given this gate's settings.

        Raises:
            StoreError: they could not be given back.
        """
        if not self._maps.has_read_settings:
            self.live.ignored = _UNREAD
            return
        if self.live.ignored == _UNREAD:
            self.live.ignored = None
        if self._is_followed():
            return
        async with self._one_at_a_time:
            # A change that was waited for has read the store anew: what lay there before it says nothing now.
            if self._is_followed():
                return
            stored, ignored = self._maps.stored_settings, self._take_shared()
            try:
                found = read_document(stored) if stored is not None else StoredSettings()
                if found.version < self.document.version:
                    await self._maps.replace_settings(stored, self.document.encoded())
                    found, stored = self.document, None
                settings, unfit = self._with_what_fits(found.values)
                await self._apply(found, settings, "store")
                ignored = ignored or unfit
            except (UnusableSettings, ConfigError) as error:
                if self.live.has_new_shared_settings:
                    await self._apply(StoredSettings(), self.live.base, "store")
                ignored = ignored or _ignored(error)
            self.live.ignored, self._followed = ignored, stored

    def _is_followed(self) -> bool:
        stored, shared = self._maps.stored_settings, self._maps.shared_settings
        is_lost = stored is None and self.document.version > 0
        return stored == self._followed and not is_lost and shared in (None, self.live.shared)

    def _take_shared(self) -> str | None:
        """Take over the shared settings; returns a sentence on why this gate cannot."""
        shared = self._maps.shared_settings
        if shared in (None, self.live.shared):
            return None
        try:
            start, told = self.live.start, shared.values()
            others = {name: v for name, v in told.items() if name in SHARED and v != getattr(start, name)}
            base = with_changes(start, others)
        except ConfigError as error:
            return f"What gates of this store were started with is ignored by this gate: {error}."
        self.live.base, self.live.shared, self.live.told = base, shared, told
        return None

    def _with_what_fits(self, values: Mapping[str, Number]) -> tuple[Settings, str | None]:
        """Return the settings with stored changes, and a sentence when some contradict this gate's own.

        Then it takes those that are shared, by which the store goes in any case, and keeps its other ones.

        Raises:
            ConfigError: those that are shared contradict each other or what they change.
        """
        try:
            return with_changes(self.live.base, values), None
        except ConfigError as error:
            shared = {name: value for name, value in values.items() if name in SHARED}
            others = {name: getattr(self.live.settings, name) for name in CHANGEABLE if name not in SHARED}
            return with_changes(self.live.base, others | shared), _partly_ignored(error)

    async def _change_once(self, changes: Mapping[str, Number | None], if_match: str | None) -> bool:
        stored, in_force = await self._maps.read_settings()
        base = self._base(stored)
        if if_match is not None and not _matches(if_match, base.etag):
            raise PreconditionFailed(f"the settings have been changed: they are now {base.etag}")
        values = {name: value for name, value in ({**base.values, **changes}).items() if value is not None}
        try:
            settings = with_changes(self.live.base, values)
        except ConfigError as error:
            raise InvalidRequest(str(error)) from None
        if values == base.values and stored in (None, base.encoded()):
            await self._apply(base, settings, "store")
            return True
        document = StoredSettings(max(base.version, in_force) + 1, values)
        if not await self._maps.replace_settings(stored, document.encoded()):
            return False
        await self._apply(document, settings, "api")
        return True

    def _base(self, stored: bytes | None) -> StoredSettings:
        """What a change starts from: what is stored, or this gate's own if that is lost or broken."""
        if stored is None:
            return self.document
        try:
            found = read_document(stored)
        except FromNewerGate as error:
            raise Conflict(f"the store holds settings that this gate cannot take: {error}") from None
        except UnusableSettings:
            return self.document
        return found if found.version >= self.document.version else self.document

    async def _apply(self, document: StoredSettings, settings: Settings, source: str) -> None:
        self.live.ignored, self._followed = None, document.encoded()
        if document == self.document and not self.live.has_new_shared_settings:
            return
        before = self.live.settings
        self.document = document
        self.live.replace(settings, document.version)
        self.live.differing = _differing(self.live, document)
        for name in CHANGEABLE:
            old, new = getattr(before, name), getattr(settings, name)
            if old != new:
                self._metrics.settings_changes_total.labels(source).inc()
                log.info(
                    "setting changed", setting=name, old=old, new=new, source=source, version=document.version
                )
        self._applied(settings)
        # The tick does the same should this fail: it puts the new rules in force in the store.
        with suppress(StoreError):
            await self._maps.sizes()


def _matches(if_match: str, etag: str) -> bool:
    return any(tag.strip() in ("*", etag) for tag in if_match.split(","))


def _differing(live: LiveSettings, document: StoredSettings) -> Mapping[str, tuple[Value, Value]]:
    """Return this gate's own value and the store's, of settings where they differ and none was changed."""
    own, told = compared_values(live.start), live.told
    return {
        name: (own[name], told[name])
        for name in COMPARED
        if name in told and own[name] != told[name] and name not in document.values
    }


def _partly_ignored(error: ConfigError) -> str:
    return (
        f"Some settings changed at run time are ignored by this gate: {error}. It follows those that gates "
        "of a store share, and goes on with the others that it had. Change one of them by PATCH /settings, "
        "or this gate's environment."
    )


def _ignored(error: Exception) -> str:
    match error:
        case FromNewerGate():
            advice = "Update this gate"
        case UnusableSettings():
            advice = "Any PATCH /settings replaces them"
        case _:
            advice = "Change one of them by PATCH /settings"
    return (
        f"The settings changed at run time are ignored by this gate: {error}. It goes on with those it had. "
        f"{advice}."
    )
