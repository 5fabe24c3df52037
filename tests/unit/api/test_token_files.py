"""Files of tokens: read again when they change, shut when they are emptied, in every encoding clients use."""

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.auth import Access
from app.errors import ConfigError
from app.runtime import Runtime
from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, open_api
from tests.support.pipes import piped
from tests.support.servers import StoreServer
from tests.support.tokens import (
    ADMIN,
    CLEANUPS,
    INGEST,
    NEXT_INGEST,
    POST,
    SECRETS,
    call,
    status_of,
)


def _write(file: Path, text: str, age: int) -> None:
    """Write a secret that was changed `age` seconds before all others."""
    file.write_text(text)
    os.utime(file, (1_800_000_000 - age, 1_800_000_000 - age))


async def test_a_token_file_that_changes_is_valid_without_a_restart(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    ingest, admin = tmp_path / "ingest", tmp_path / "admin"
    _write(ingest, f"{INGEST}\n", 9)
    _write(admin, f"\n  {ADMIN}  \r\n\n", 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=ingest, admin_tokens_file=admin)) as api:
        assert [await status_of(api, POST, t) for t in SECRETS] == [200, 401, 401]
        assert await status_of(api, CLEANUPS[0], ADMIN) == 200
        _write(ingest, f"{INGEST}\n{NEXT_INGEST}\n", 8)
        assert await status_of(api, POST, NEXT_INGEST) == 401, "not before it is read"
        await api.runtime.plane.access.reload()
        assert [await status_of(api, POST, t) for t in SECRETS] == [200, 200, 401]
        _write(ingest, NEXT_INGEST, 7)
        await api.runtime.plane.access.reload()
        assert [await status_of(api, POST, t) for t in SECRETS] == [401, 200, 401]


async def test_a_token_file_is_read_again_by_itself_within_seconds(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.schedule.TOKEN_RELOAD_SECONDS", 0.02)
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file)) as api:
        _write(file, NEXT_INGEST, 8)
        for _ in range(200):
            if await status_of(api, POST, NEXT_INGEST) == 200:
                break
            await asyncio.sleep(0.01)
        assert [await status_of(api, POST, t) for t in SECRETS] == [401, 200, 401]


def _break(file: Path, how: str) -> None:
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "utf-16":
        file.write_bytes(f"{NEXT_INGEST}\n".encode("utf-16"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["gone", "folder", "pipe", "utf-16"])
async def test_a_token_file_that_cannot_be_read_leaves_the_tokens_read_before_valid_and_warns_once(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file, **QUIET)) as api:
        _break(file, how)
        with capture_logs() as logs:
            for _ in range(3):
                await api.runtime.plane.access.reload()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            ("warning", "tokens not read again")
        ]
        assert [await status_of(api, POST, t) for t in SECRETS] == [200, 401, 401]
        assert (await call(api, POST)).status_code == 401, "never open because a file broke"


@pytest.mark.parametrize("empty", ["", "\n \n", "\ufeff\r\n"])
async def test_a_token_file_that_is_emptied_shuts_says_so_and_opens_with_its_next_token(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, empty: str
) -> None:
    ingest, admin = tmp_path / "ingest", tmp_path / "admin"
    _write(ingest, INGEST, 9)
    _write(admin, ADMIN, 9)
    async with open_api(
        settings_for(valkey, ingest_tokens_file=ingest, admin_tokens_file=admin, **QUIET)
    ) as api:
        _write(ingest, empty, 8)
        with capture_logs() as logs:
            for _ in range(3):
                await api.runtime.plane.access.reload()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [("warning", "token file shuts")]
        assert [await status_of(api, POST, t) for t in (*SECRETS, "")] == [401] * 4
        assert (await call(api, POST)).status_code == 401
        [warning] = (await api.http.get("/stats")).json()["warnings"]
        assert "TIDEGATE_INGEST_TOKENS_FILE" in warning
        unready = await api.http.get("/readyz")
        assert unready.status_code == 503
        assert "TIDEGATE_INGEST_TOKENS_FILE" in unready.text
        assert await status_of(api, CLEANUPS[0], ADMIN) == 200, "the other kind of access stays as it was"
        _write(ingest, NEXT_INGEST, 7)
        await api.runtime.plane.access.reload()
        assert [await status_of(api, POST, t) for t in SECRETS] == [401, 200, 401]
        assert (await api.http.get("/readyz")).status_code == 200


async def test_a_token_file_rewritten_within_one_tick_of_the_clock_is_read_again(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file, **QUIET)) as api:
        _write(file, "", 8)
        await api.runtime.plane.access.reload()
        _write(file, NEXT_INGEST, 8)
        await api.runtime.plane.access.reload()
        assert [await status_of(api, POST, t) for t in SECRETS] == [401, 200, 401]


@pytest.mark.parametrize("name", ["ingest_tokens_file", "admin_tokens_file"])
@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xff\xfe\n", None])
def test_a_token_file_without_tokens_is_refused_at_start_by_the_name_of_its_setting(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    settings = Settings(store_url="redis://127.0.0.1:1", **{name: file})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"TIDEGATE_{name.upper()}"):
        Runtime(settings)


@pytest.mark.parametrize("token", ["voilà", "schlüssel", "\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}", "名前"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_a_token_beyond_ascii_is_taken_from_file_and_list_in_each_encoding_clients_use(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, token: str, mark: str
) -> None:
    file = tmp_path / "ingest"
    file.write_text(f"{mark}{token}\n", encoding="utf-8")
    forms = {token.encode(), token.encode("latin-1", "ignore") or token.encode()}
    settings = settings_for(valkey, ingest_tokens_file=file, admin_tokens=f" {token},", **QUIET)
    async with open_api(settings) as api:
        for form in forms:
            assert (await call(api, POST, b"Bearer " + form)).status_code == 200
            assert (await call(api, CLEANUPS[0], b"Bearer  " + form + b" ")).status_code == 200
            for wrong in (form[:-1], form + b"\xa0", form + b"x"):
                assert (await call(api, POST, b"Bearer " + wrong)).status_code == 401


@pytest.mark.timeout(120)
def test_a_pipe_is_read_at_the_start_by_one_process_and_never_again(tmp_path: Path) -> None:
    """So a shell gives what a command prints: `TIDEGATE_INGEST_TOKENS_FILE=<(pass gate)`."""
    file = tmp_path / "tokens"
    with piped(file, f"{INGEST}\n"):
        access = Access(Settings(ingest_tokens_file=file))
    asyncio.run(access.reload())
    access.check_ingest(f"Bearer {INGEST}")
    with pytest.raises(ConfigError, match=r"TIDEGATE_INGEST_TOKENS_FILE: .* it is no regular file"):
        Access(Settings(ingest_tokens_file=file, workers=2))
