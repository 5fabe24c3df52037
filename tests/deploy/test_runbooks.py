"""Runbooks are true: their commands run against a real gate and store, and what they name exists."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.routes import transactions
from app.cli.main import tidegate
from app.main import create_api
from app.runtime import Runtime
from app.settings.model import Settings, env_name
from tests.support.deployed_rules import RUNBOOKS
from tests.support.gate import gate_process, tidegate_command
from tests.support.pages import leads_somewhere, links
from tests.support.servers import redis_server

PAGES = sorted(RUNBOOKS.glob("*.md"))
TOKEN = "runbook-token"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLLOWED = re.compile(r"Followed once for real: over [1-9]\d* s after the alert\.\n")
CHOICE = re.compile(r"(tidegate_\w+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
OF_PROMETHEUS = {"namespace", "job", "instance"}
CODE = re.compile(r"`([^`\n]+)`")
STORES = RUNBOOKS.parents[1] / "docs" / "stores.md"
PASSWORD_WARNING = (
    "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"
)
# Of the client, not of the gate.
CLIENT = {"TIDEGATE_URL", "TIDEGATE_TOKEN"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands() -> list[str]:
    """Every command of every page, once."""
    text = "\n".join(block for page in PAGES for block in blocks(page, "sh")).replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def inline(page: Path) -> list[str]:
    return CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Of somebody at the terminal of a gate, whose store has the user `operator` of docs/stores.md."""
    [user] = re.findall(r"^    (ACL SETUSER operator .*)$", STORES.read_text(encoding="utf-8"), re.MULTILINE)
    with (
        redis_server() as store,
        gate_process(
            store_url=store.url, admin_tokens=TOKEN, ingest_tokens=TOKEN, memory_limit_bytes=2**30
        ) as gate,
    ):
        with store.nodes()[0] as node:
            node.execute_command(*user.split())
        inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        yield inherited | {
            "PATH": f"{Path(tidegate_command()).parent}:{os.environ['PATH']}",
            "TIDEGATE_URL": gate.url,
            "TIDEGATE_TOKEN": TOKEN,
            "TIDEGATE_STORE_URL": store.url.replace("redis://", "redis://operator:another-password@"),
        }


@pytest.mark.parametrize("command", commands())
def test_a_command_of_a_runbook_runs(command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-euc", command],
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    assert (done.returncode, done.stderr.replace(PASSWORD_WARNING, "")) == (0, "")


@each_page
def test_the_queries_of_a_runbook_are_promql(page: Path) -> None:
    for query in "".join(blocks(page, "promql")).splitlines():
        promql_parser.parse(query)


@pytest.fixture(scope="module")
def label_names(environment: dict[str, str]) -> dict[str, set[str]]:
    """The labels of each series that a gate has from its start, by its name."""
    text = httpx.get(f"{environment['TIDEGATE_URL']}/metrics", trust_env=False, verify=False).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@each_page
def test_the_queries_of_a_runbook_choose_by_labels_that_there_are(
    page: Path, label_names: dict[str, set[str]]
) -> None:
    for name, chosen in CHOICE.findall("".join(blocks(page, "promql"))):
        if name in label_names:
            assert set(LABEL.findall(chosen)) <= label_names[name] | OF_PROMETHEUS, name


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS.parent / "README.md"], ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


@pytest.fixture(scope="module")
def paths() -> dict[str, dict[str, object]]:
    """The calls of the gate: by path, by method in lower case."""
    runtime = Runtime(Settings())
    api = create_api(runtime, transactions.routes(runtime.plane))
    found: dict[str, dict[str, object]] = api.openapi()["paths"]
    return found


@each_page
def test_a_page_of_an_alert_ends_with_what_shows_that_it_is_over(page: Path) -> None:
    if page.stem not in {"README", "TidegateWatchdog"}:
        last = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[-1]
        assert last == "It is over when"


@each_page
def test_a_page_was_followed_and_says_so_in_its_last_line(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [line for line in lines if FOLLOWED.fullmatch(line)]
    assert told == ([] if page.stem == "README" else lines[-1:])


@each_page
def test_settings_calls_and_commands_named_in_a_runbook_exist(
    page: Path, paths: dict[str, dict[str, object]]
) -> None:
    text, settings = page.read_text(encoding="utf-8"), {env_name(name) for name in Settings.model_fields}
    assert set(re.findall(r"TIDEGATE_[A-Z_]*[A-Z]\b", text)) <= settings | CLIENT
    for code in inline(page):
        call = re.fullmatch(r"(GET|POST|PATCH) (/\S*)", code)
        assert call is None or call[1].lower() in paths[call[2]], code
        command = re.match(r"tidegate ([a-z]+)", code)
        assert command is None or command[1] in tidegate.commands, code
