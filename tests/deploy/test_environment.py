"""What a gate makes of the environment it starts in: misspelt, empty and foreign variables, and locales."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.auth import Access
from app.errors import ConfigError
from app.settings.environment import is_service_link, wrong_variables
from app.settings.model import Settings, env_name, load_settings
from tests.support.faulty_gates import refused
from tests.support.gate import GateProcess, await_gate, started, tidegate_command
from tests.support.processes import free_port, wait_until

KNOWN = [env_name(field) for field in Settings.model_fields]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIDEGATE_DEDUP_WINDOW", "TIDEGATE_DEDUP_WINDOW_SECONDS"),
        ("TIDEGATE_MAX_CONECTIONS", "TIDEGATE_MAX_CONNECTIONS"),
        ("TIDEGATE_MEMORY_LIMIT", "TIDEGATE_MEMORY_LIMIT_BYTES"),
        ("TIDEGATE_STORE", "TIDEGATE_STORE_URL"),
        ("TIDEGATE_ADMIN_TOKEN", "TIDEGATE_ADMIN_TOKENS"),
        ("tidegate_admin_token", "TIDEGATE_ADMIN_TOKENS"),
    ],
)
def test_a_misspelt_setting_ends_the_start_and_names_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "3")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value) == f"unknown setting {name.upper()}; did you mean {meant}?"


def test_a_variable_like_no_setting_ends_the_start_too_beside_what_else_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIDEGATE_XYZZY", "3")
    monkeypatch.setenv("TIDEGATE_PORT", "many")
    with pytest.raises(
        ConfigError, match=r"TIDEGATE_PORT: .*; unknown setting TIDEGATE_XYZZY; .*settings\.md"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "dedup_window",
            "unknown setting TIDEGATE_DEDUP_WINDOW; did you mean TIDEGATE_DEDUP_WINDOW_SECONDS?",
        ),
        ("admin_tokens_file", "TIDEGATE_ADMIN_TOKENS_FILE: 5 cannot be read: No such file or directory"),
    ],
)
def test_the_command_ends_with_2_and_that_sentence(name: str, sentence: str) -> None:
    done = refused(**{name: "5"})
    assert (done.returncode, done.stderr) == (2, f"tidegate: {sentence}\n")


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The sentence that a gate with this variable ends with, without a process of its own."""

    def make(name: str, value: object) -> str:
        monkeypatch.setenv(env_name(name), str(value))
        with pytest.raises(ConfigError) as caught:
            Access(load_settings())
        return str(caught.value)

    return make


def test_the_variables_of_clients_are_known_and_so_are_all_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDEGATE_URL", "TIDEGATE_TOKEN", *KNOWN):
        monkeypatch.setenv(name, "x")
    assert wrong_variables(KNOWN) == []


@pytest.mark.parametrize("field", Settings.model_fields)
def test_an_empty_variable_means_unset(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(env_name(field), "")
    assert load_settings() == Settings.model_construct()
    assert field not in load_settings().model_fields_set


def test_a_gate_all_of_whose_variables_are_empty_starts_with_an_embedded_store() -> None:
    with started(**dict.fromkeys(set(Settings.model_fields) - {"port", "log_format"}, "")) as gate:
        await_gate(gate)
        [event] = [event for event in gate.events() if event["event"] == "listening"]
        assert (event["host"], event["store"]) == ("127.0.0.1", "embedded Valkey")


@pytest.mark.parametrize("name", ["ingest_tokens", "admin_tokens"])
@pytest.mark.parametrize("value", [",", " ", " , ,"])
def test_a_list_of_tokens_without_one_is_refused_rather_than_open(
    refusal: Callable[..., str], name: str, value: str
) -> None:
    assert refusal(name, value).startswith(f"{env_name(name)}: holds no token")


def break_file(file: Path, how: str) -> None:
    contents = {
        "empty": b"",
        "blank": b"\xef\xbb\xbf\r\n \n",
        "utf-16": "redis://127.0.0.1:1\n".encode("utf-16"),
        "two lines": b"redis://127.0.0.1:1\nredis://127.0.0.1:2\n",
    }
    if how in contents:
        file.write_bytes(contents[how])
    elif how == "folder":
        file.mkdir()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("empty", "has to hold one line, the URL; it holds 0"),
        ("blank", "has to hold one line, the URL; it holds 0"),
        ("two lines", "has to hold one line, the URL; it holds 2"),
        ("utf-16", "cannot be read: it is not UTF-8"),
        ("folder", "cannot be read: Is a directory"),
        ("missing", "cannot be read: No such file or directory"),
    ],
)
def test_a_file_without_the_stores_url_ends_the_start_with_a_sentence(
    tmp_path: Path, refusal: Callable[..., str], how: str, sentence: str
) -> None:
    file = tmp_path / "store_url"
    break_file(file, how)
    assert refusal("store_url_file", file) == f"TIDEGATE_STORE_URL_FILE: {file} {sentence}"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("empty", "holds no token"),
        ("blank", "holds no token"),
        ("utf-16", "cannot be read: it is not UTF-8"),
        ("folder", "cannot be read: Is a directory"),
        ("missing", "cannot be read: No such file or directory"),
    ],
)
@pytest.mark.parametrize("name", ["ingest_tokens_file", "admin_tokens_file"])
def test_a_file_without_tokens_ends_the_start_with_a_sentence(
    tmp_path: Path, refusal: Callable[..., str], name: str, how: str, sentence: str
) -> None:
    file = tmp_path / "tokens"
    break_file(file, how)
    assert refusal(name, file) == f"{env_name(name)}: {file} {sentence}"


def test_the_stores_url_may_stand_behind_a_byte_order_mark_and_before_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "store_url"
    file.write_bytes(b"\xef\xbb\xbfredis://user:p%C3%A0ss@127.0.0.1:1/0 \r\n\r\n")
    assert load_settings(store_url_file=file).store_url == "redis://user:p%C3%A0ss@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("name", "value", "is_link"),
    [
        ("TIDEGATE_PORT", "tcp://10.1.2.3:8000", True),
        ("TIDEGATE_PORT", "udp://[fd00::1]:8000", True),
        ("TIDEGATE_SERVICE_HOST", "10.1.2.3", True),
        ("TIDEGATE_SERVICE_HOST", "fd00::1", True),
        ("TIDEGATE_SERVICE_PORT_HTTP_METRICS", "8000", True),
        ("TIDEGATE_STORE_PORT_6379_TCP_ADDR", "10.1.2.4", True),
        ("TIDEGATE_PORT", "8000", False),
        ("TIDEGATE_PORT", "many", False),
        ("TIDEGATE_HOST", "10.1.2.3", False),
        ("TIDEGATE_STORE_URL", "tcp://10.1.2.3:8000", False),
        ("OTHER_PORT", "tcp://10.1.2.3:8000", False),
    ],
)
def test_an_address_of_a_service_is_told_from_a_setting(name: str, value: str, is_link: bool) -> None:
    assert is_service_link(name, value) is is_link


# The environment of cron and `env -i`, Python's own remedy for it (PEP 538, PEP 540) switched off.
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def no_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is started by this test has a locale in which only ASCII can be said."""
    for name, value in NO_UTF8.items():
        monkeypatch.setenv(name, value)


def posted(gate: GateProcess, token: bytes) -> int:
    """The status of a transaction with letters of several scripts in it, sent with this token."""
    body = {"signature": "s1", "payload": {"memo": "ñandú 名前"}}
    headers = {b"Authorization": b"Bearer " + token}
    return httpx.post(
        f"{gate.url}/transactions", headers=headers, json=body, trust_env=False, timeout=30
    ).status_code


@pytest.mark.usefixtures("no_utf8")
@pytest.mark.parametrize(("workers", "log_format"), [(1, "json"), (2, "console")])
def test_a_gate_reads_tokens_and_paths_beyond_ascii_in_any_locale(
    tmp_path: Path, workers: int, log_format: str
) -> None:
    folder = tmp_path / "é"
    folder.mkdir()
    file = folder / "admin"
    file.write_text("voilà\n", encoding="utf-8")
    port = free_port()
    with started(
        ingest_tokens="à,schlüssel",
        admin_tokens_file=file,
        diagnosis_dir=folder,
        workers=workers,
        log_format=log_format,
        port=port,
    ) as gate:
        gate.url = f"http://127.0.0.1:{port}"
        # It is ready with its first worker; one that starts later refuses a file without tokens.
        assert wait_until(lambda: "listening" in gate.log.read_text(errors="replace"), 60)
        for token in ("à", "schlüssel"):
            assert [posted(gate, token.encode(coding)) for coding in ("utf-8", "latin-1")] == [200, 200]
        assert posted(gate, b"schlussel") == 401
        file.write_text("", encoding="utf-8")
        assert wait_until(lambda: "token file shuts" in gate.log.read_text(errors="replace"), 30)
        assert gate.terminate() == 0
        assert "Traceback" not in gate.log.read_text(errors="replace")


@pytest.mark.usefixtures("no_utf8")
def test_the_commands_that_ask_a_gate_work_in_any_locale(tmp_path: Path) -> None:
    lines = tmp_path / "é.ndjson"
    lines.write_text('{"signature":"s1","payload":"ñandú"}\n', encoding="utf-8")
    with started() as gate:
        await_gate(gate)
        for arguments, code in (
            (("send", str(lines)), 0),
            (("send", "--source", "é", str(lines)), 1),
            (("send", str(tmp_path / "ö")), 2),
            (("stats",), 0),
            (("report",), 0),
        ):
            done = subprocess.run(
                [tidegate_command(), *arguments, "--url", gate.url],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr


def test_a_variable_that_is_not_utf_8_ends_the_start_and_is_named(tmp_path: Path) -> None:
    done = refused(ingest_tokens="schl\udcfcssel", diagnosis_dir=f"{tmp_path}/\udcff")
    assert done.returncode == 2
    assert done.stderr == (
        "tidegate: TIDEGATE_DIAGNOSIS_DIR: is not UTF-8; TIDEGATE_INGEST_TOKENS: is not UTF-8\n"
    )
