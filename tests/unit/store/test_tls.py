"""Each way in which TLS to the store fails has a name: in the log, `/readyz`, answers, `tidegate health`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import trustme

from tests.support.gate import START_SECONDS, GateProcess, gate_process, has_port, started
from tests.support.named_failures import assert_named
from tests.support.processes import wait_until
from tests.support.servers import cluster_server, redis_server, valkey_server
from tests.support.tls import TlsFiles, issue

pytestmark = pytest.mark.server

LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)


@dataclass
class Machine:
    """A Redis with TLS whose certificate can be changed, and certificates for it."""

    node: redis.Redis
    place: str
    good: TlsFiles
    expired: TlsFiles
    other_host: TlsFiles
    stranger: TlsFiles

    def shows(self, files: TlsFiles) -> None:
        """Have it show this certificate from now on."""
        _show(files, self.node)

    def url(self, scheme: str = "rediss", **options: Path | str) -> str:
        """The store's URL with these options."""
        query = "&".join(f"{name}={quote(str(value))}" for name, value in options.items())
        return f"{scheme}://{self.place}{'?' if query else ''}{query}"

    def cut_all(self) -> None:
        """Break every connection but that of `node`, as a restart with another certificate does."""
        self.node.client_kill_filter(_type="normal", skipme=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    good = issue(authority, folder / "good", "127.0.0.1")
    with redis_server(tls=good) as server, server.nodes()[0] as node:
        node.ping()
        yield Machine(
            node,
            server.url.partition("://")[2].partition("/")[0],
            good,
            issue(authority, folder / "expired", "127.0.0.1", not_after=LONG_AGO),
            issue(authority, folder / "other", "store.example"),
            issue(trustme.CA(), folder / "stranger", "127.0.0.1"),
        )


@pytest.fixture(autouse=True)
def _as_it_was(machine: Machine) -> Iterator[None]:
    yield
    machine.node.config_set("tls-auth-clients", "no", "tls-protocols", "")
    machine.shows(machine.good)


def _wrong_authority(machine: Machine) -> str:
    return machine.url(ssl_ca_certs=machine.stranger.ca)


def _no_authority(machine: Machine) -> str:
    return machine.url()


def _expired(machine: Machine) -> str:
    machine.shows(machine.expired)
    return machine.url(ssl_ca_certs=machine.good.ca)


def _other_host(machine: Machine) -> str:
    machine.shows(machine.other_host)
    return machine.url(ssl_ca_certs=machine.good.ca)


def _no_client_certificate(machine: Machine) -> str:
    machine.node.config_set("tls-auth-clients", "yes")
    return machine.url(ssl_ca_certs=machine.good.ca)


def _no_client_certificate_before_tls_1_3(machine: Machine) -> str:
    machine.node.config_set("tls-auth-clients", "yes", "tls-protocols", "TLSv1.2")
    return machine.url(ssl_ca_certs=machine.good.ca)


def _strange_client_certificate(machine: Machine) -> str:
    machine.node.config_set("tls-auth-clients", "yes")
    shown = machine.stranger
    return machine.url(ssl_ca_certs=machine.good.ca, ssl_certfile=shown.cert, ssl_keyfile=shown.key)


def _plain(machine: Machine) -> str:
    return machine.url("redis")


def _plain_where_clients_need_certificates(machine: Machine) -> str:
    machine.node.config_set("tls-auth-clients", "yes")
    return machine.url("redis")


def _no_file(machine: Machine) -> str:
    return machine.url(ssl_ca_certs="/nowhere/ca.pem")


def _key_of_another(machine: Machine) -> str:
    return machine.url(
        ssl_ca_certs=machine.good.ca, ssl_certfile=machine.good.cert, ssl_keyfile=machine.stranger.key
    )


ROWS: dict[str, tuple[Callable[[Machine], str], str, str]] = {
    "wrong authority": (_wrong_authority, "tls_untrusted", "not signed by an authority that the gate trusts"),
    "no authority": (_no_authority, "tls_untrusted", "ssl_ca_certs"),
    "expired": (_expired, "tls_expired", "is expired or not valid yet"),
    "wrong host": (_other_host, "tls_other_host", "not for the host"),
    "no client certificate": (_no_client_certificate, "tls_client_refused", "asks for a client certificate"),
    "none, TLS 1.2": (_no_client_certificate_before_tls_1_3, "tls_client_refused", "ssl_certfile"),
    "strange client certificate": (_strange_client_certificate, "tls_client_refused", "ssl_certfile"),
    "plain to TLS": (_plain, "tls_needed", "speaks TLS only; write rediss://"),
    "plain to TLS with clients": (_plain_where_clients_need_certificates, "tls_needed", "rediss://"),
    "no file": (_no_file, "tls_files", "cannot be used"),
    "key of another": (_key_of_another, "tls_files", "cannot be used"),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_way_in_which_tls_fails_is_named_everywhere(machine: Machine, row: str) -> None:
    prepare, kind, sentence = ROWS[row]
    with started(store_url=prepare(machine), store_deadline_seconds=5) as gate:
        assert_named(gate, kind, sentence)


OF_SENTINELS: dict[str, tuple[Callable[[Machine], str], str, str]] = {
    "wrong authority": (_wrong_authority, "tls_untrusted", "a sentinel's certificate is not signed by"),
    "expired": (_expired, "tls_expired", "a sentinel's certificate is expired"),
    "wrong host": (_other_host, "tls_other_host", "a sentinel's certificate is not for the host"),
    "no client certificate": (_no_client_certificate, "tls_client_refused", "a sentinel asks for a client"),
    "plain to TLS": (_plain, "tls_needed", "write rediss+sentinel://"),
    "no file": (_no_file, "tls_files", "cannot be used"),
}


@pytest.mark.parametrize("row", OF_SENTINELS)
def test_each_way_in_which_tls_to_the_sentinels_fails_is_named_everywhere(machine: Machine, row: str) -> None:
    """None of them answers, so that nobody sees that this server is no sentinel."""
    prepare, kind, sentence = OF_SENTINELS[row]
    with started(store_url=_with_sentinels(prepare(machine)), store_deadline_seconds=5) as gate:
        assert_named(gate, kind, sentence)


def _with_sentinels(url: str) -> str:
    """A URL that takes the server of this one for the only sentinel it knows."""
    scheme, _, rest = url.partition("://")
    place, question, query = rest.partition("?")
    return f"{scheme}+sentinel://{place}/gate{question}{query}"


@pytest.mark.parametrize("with_sentinels", [False, True])
def test_tls_to_a_store_without_is_named_everywhere(with_sentinels: bool) -> None:
    with valkey_server() as server:
        url = server.url.replace("redis://", "rediss://").removesuffix("/0")
        url = _with_sentinels(url) if with_sentinels else url
        with started(store_url=url, store_deadline_seconds=1) as gate:
            assert_named(gate, "tls_not_spoken", "does not answer TLS")


@pytest.mark.parametrize("row", ["expired", "wrong host", "no client certificate"])
def test_what_fails_once_the_store_was_given_another_certificate_is_named_everywhere(
    machine: Machine, row: str
) -> None:
    prepare, kind, sentence = ROWS[row]
    with gate_process(store_url=machine.url(ssl_ca_certs=machine.good.ca), store_deadline_seconds=5) as gate:
        prepare(machine)
        machine.cut_all()
        assert wait_until(lambda: not gate.is_ready(), START_SECONDS)
        assert_named(gate, kind, sentence)
        machine.node.config_set("tls-auth-clients", "no")
        machine.shows(machine.good)
        assert wait_until(gate.is_ready, START_SECONDS)


def test_a_gate_is_ready_once_its_store_shows_a_good_certificate(machine: Machine) -> None:
    with started(store_url=_expired(machine), store_deadline_seconds=5) as gate:
        assert_named(gate, "tls_expired", "renew it")
        machine.shows(machine.good)
        assert wait_until(gate.is_ready, START_SECONDS)


def test_a_client_certificate_that_the_store_takes_is_shown(machine: Machine) -> None:
    machine.node.config_set("tls-auth-clients", "yes")
    good = machine.good
    url = machine.url(ssl_ca_certs=good.ca, ssl_certfile=good.cert, ssl_keyfile=good.key)
    with started(store_url=url, store_deadline_seconds=5) as gate:
        assert wait_until(lambda: has_port(gate) and gate.is_ready(), START_SECONDS)


def test_an_expired_certificate_of_a_cluster_is_named_and_that_of_one_master_costs_its_partitions(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    good = issue(authority, tmp_path / "good", "127.0.0.1")
    expired = issue(authority, tmp_path / "expired", "127.0.0.1", not_after=LONG_AGO)
    lenient = ("--cluster-require-full-coverage", "no")
    with cluster_server(kind="redis", options=lenient, tls=good) as server:
        nodes = server.nodes()
        assert all(node.ping() for node in nodes)  # their connections stand
        _show(expired, *nodes)
        with started(store_url=server.url, store_deadline_seconds=5) as gate:
            assert_named(gate, "tls_expired", "renew it")
            _show(good, *nodes)
            assert wait_until(gate.is_ready, START_SECONDS)
            _show(expired, nodes[0])
            nodes[0].client_kill_filter(_type="normal", skipme=True)
            assert wait_until(lambda: "(tls_expired): the store's" in _warnings(gate), START_SECONDS)
            assert gate.is_ready()
            _show(good, nodes[0])
            assert wait_until(lambda: _warnings(gate) == "[]", START_SECONDS)
        for node in nodes:
            node.close()


def _show(files: TlsFiles, *nodes: redis.Redis) -> None:
    for node in nodes:
        node.config_set("tls-cert-file", str(files.cert), "tls-key-file", str(files.key))


def _warnings(gate: GateProcess) -> str:
    with gate.client() as client:
        return str(client.get("/readyz").json()["warnings"])
