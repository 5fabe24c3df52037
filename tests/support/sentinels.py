"""Sentinels for tests: three of them, a primary and two replicas, local and short-lived."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import redis

from tests.support.processes import (
    Launch,
    StoreStartError,
    free_port,
    kill_all,
    pause_all,
    resume_all,
    start_all,
    stop_all,
    wait_until,
)
from tests.support.servers import redis_binary, valkey_binary
from tests.support.tls import TlsFiles

SERVICE = "gate"
SENTINELS, SERVERS, QUORUM = 3, 3, 2
DOWN_AFTER_MS, FAILOVER_TIMEOUT_MS = 2_000, 5_000
SETTLED_SECONDS = 60.0
ANOTHER_PASSWORD = "another"
BINARIES = {"valkey": valkey_binary, "redis": redis_binary}


@dataclass(frozen=True)
class Secrets:
    """How one logs in at the servers and at the sentinels, and the TLS of all of them."""

    password: str = ""
    sentinel_password: str = ""
    tls: TlsFiles | None = None


@dataclass
class Watched:
    """Servers by their numbers, of which one is the primary, and the sentinels that watch them."""

    folder: Path
    secrets: Secrets
    servers: list[Launch]
    sentinels: list[Launch]
    server_processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sentinel_processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The store's URL, for a gate."""
        secrets = self.secrets
        scheme = "redis+sentinel" if secrets.tls is None else "rediss+sentinel"
        login = f":{secrets.password}@" if secrets.password else ""
        options = [f"sentinel_password={secrets.sentinel_password}"] if secrets.sentinel_password else []
        options += [f"ssl_ca_certs={secrets.tls.ca}"] if secrets.tls else []
        places = ",".join(f"127.0.0.1:{_port(launch)}" for launch in self.sentinels)
        return f"{scheme}://{login}{places}/{SERVICE}{'?' if options else ''}{'&'.join(options)}"

    def start(self) -> None:
        """Start all; on return the replicas follow, and the sentinels know each other and them."""
        self.server_processes = start_all(self.servers)
        self.sentinel_processes = start_all(self.sentinels)
        self.settle()

    def stop(self) -> None:
        """End every process, and remove the temporary folder."""
        stop_all([*self.sentinel_processes, *self.server_processes])
        shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        """Wait until every sentinel sees one primary with two replicas that follow it, and the others."""
        if not wait_until(self._is_settled, SETTLED_SECONDS):
            raise StoreStartError(f"not settled within {SETTLED_SECONDS:.0f} s: {self._views()}")

    def primary(self) -> int:
        """The number of the server that a majority of the sentinels names to clients now; -1 if none does."""
        named = [port for number in range(SENTINELS) if (port := self._named_by(number))]
        found = [port for port in named if named.count(port) > SENTINELS // 2]
        return next((at for at, launch in enumerate(self.servers) if _port(launch) in found), -1)

    def masters(self) -> list[redis.Redis]:
        """Open a plain client for the server that a majority of the sentinels names; the caller closes it."""
        return [self.client(self.primary())]

    def primary_of(self, sentinel: int) -> int:
        """The number of the server that one sentinel names."""
        with self.sentinel(sentinel) as client:
            port = client.sentinel_master(SERVICE)["port"]
        return next(at for at, launch in enumerate(self.servers) if _port(launch) == port)

    def kill_server(self, number: int) -> None:
        """`kill -9` of a server."""
        kill_all([self.server_processes[number]])

    def kill_sentinel(self, number: int) -> None:
        """`kill -9` of a sentinel."""
        kill_all([self.sentinel_processes[number]])

    def move_sentinel(self, number: int) -> None:
        """Kill a sentinel, and start it at another port, with what it knew; from the main thread."""
        self.kill_sentinel(number)
        launch, port, old = self.sentinels[number], free_port(), _port(self.sentinels[number])
        config = launch.folder / "sentinel.conf"
        config.write_text(config.read_text().replace(f"port {old}\n", f"port {port}\n"))
        moved = self.sentinels[number] = replace(launch, url=launch.url.replace(f":{old}", f":{port}"))
        [self.sentinel_processes[number]] = start_all([moved])

    def restart_server(self, number: int, primary: int | None = None) -> None:
        """Start a server that was killed, without data, as a primary or a replica; from the main thread."""
        launch = self.servers[number]
        role = () if primary is None else ("--replicaof", f"127.0.0.1 {_port(self.servers[primary])}")
        command = (*_without(launch.command, "--replicaof"), *role)
        [self.server_processes[number]] = start_all([replace(launch, command=command)])

    def fail_over(self, sentinel: int = 0) -> None:
        """Order a failover, as before the maintenance of a healthy primary; it goes on when this returns."""
        with self.sentinel(sentinel) as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)

    def keep_to_themselves(self) -> None:
        """Let no sentinel tell the others any more what it knows."""
        self._each("ACL", "SETUSER", "default", "-publish")

    def tell_again(self) -> None:
        """Let the sentinels tell each other again, which they do every two seconds."""
        self._each("ACL", "SETUSER", "default", "+publish")

    def cut_from_sentinels(self, number: int) -> None:
        """Let the sentinels log in at a server no more; all others stay connected, replicas too."""
        with self.client(number) as client:
            client.config_set("requirepass", ANOTHER_PASSWORD)
            names = [one for one in client.client_list() if one["name"].startswith("sentinel-")]
            for one in names:
                client.client_kill_filter(_id=one["id"])

    def cut_from_replicas(self, number: int) -> None:
        """Let the replicas log in at a primary no more; all others stay connected, sentinels too."""
        with self.client(number) as client:
            client.config_set("requirepass", ANOTHER_PASSWORD)
            client.client_kill_filter(_type="replica")

    def promoted_ms(self, number: int) -> int:
        """When a server last became the primary by its own log, in milliseconds since the epoch."""
        lines = self.servers[number].log.read_text(errors="replace").splitlines()
        line = next(line for line in reversed(lines) if " MODE enabled (" in line)
        day, month, year, clock = line.split(" ", 1)[1].split(" ")[:4]
        moment = datetime.strptime(f"{day} {month} {year} {clock}", "%d %b %Y %H:%M:%S.%f").astimezone()
        return round(moment.timestamp() * 1000)

    def pause_sentinels(self, *numbers: int) -> None:
        """SIGSTOP of sentinels."""
        pause_all([self.sentinel_processes[number] for number in numbers])

    def resume_sentinels(self) -> None:
        """Let all frozen sentinels go on."""
        resume_all(self.sentinel_processes)

    def pause_server(self, number: int) -> None:
        """SIGSTOP of a server: its connections stay open, and nothing answers."""
        pause_all([self.server_processes[number]])

    def resume_server(self, number: int) -> None:
        """Let a frozen server go on."""
        resume_all([self.server_processes[number]])

    def client(self, number: int, **options: object) -> redis.Redis:
        """A plain client of a server; the caller closes it."""
        return self.servers[number].connect(socket_timeout=5, **options)

    def sentinel(self, number: int) -> redis.Redis:
        """A plain client of a sentinel; the caller closes it."""
        return self.sentinels[number].connect(socket_timeout=5)

    def _each(self, *command: str) -> None:
        for launch in (*self.servers, *self.sentinels):
            with launch.connect(socket_timeout=5) as client:
                client.execute_command(*command)

    def _named_by(self, number: int) -> int | None:
        """The port of the primary that a sentinel names to clients: the new one as soon as it took over."""
        try:
            with self.sentinel(number) as client:
                named = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        except redis.RedisError:
            return None
        return int(named[1]) if named else None

    def _views(self) -> list[dict[str, object]]:
        views: list[dict[str, object]] = []
        for number in range(SENTINELS):
            try:
                with self.sentinel(number) as client:
                    views.append(client.sentinel_master(SERVICE))
            except redis.RedisError:
                views.append({})
        return views

    def _is_settled(self) -> bool:
        views = self._views()
        if not all(view and _is_whole(view) for view in views) or len({view["port"] for view in views}) > 1:
            return False
        with self.client(self.primary()) as client:
            told = client.info("replication")
        return bool(told["role"] == "master" and told["connected_slaves"] == SERVERS - 1)


def _is_whole(view: dict[str, object]) -> bool:
    known = view["num-slaves"] == SERVERS - 1 and view["num-other-sentinels"] == SENTINELS - 1
    return bool(known and view["flags"] == "master")


@contextmanager
def watched_servers(kind: str = "redis", secrets: Secrets = Secrets()) -> Iterator[Watched]:
    """Servers and sentinels that are started, and stopped in the end."""
    folder, binary = Path(tempfile.mkdtemp(prefix="tidegate-")), BINARIES[kind]()
    ports = [free_port() for _ in range(SERVERS)]
    servers = [_server(binary, folder / f"server-{at}", ports, at, secrets) for at in range(SERVERS)]
    sentinels = [_sentinel(binary, folder / f"sentinel-{at}", ports[0], secrets) for at in range(SENTINELS)]
    watched = Watched(folder, secrets, servers, sentinels)
    with ExitStack() as stack:
        stack.callback(watched.stop)
        watched.start()
        yield watched


def _server(binary: str, folder: Path, ports: list[int], at: int, secrets: Secrets) -> Launch:
    options = [
        *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--dir", "."),
        *_listening(ports[at], secrets.tls, "--"),
    ]
    if secrets.password:
        options += ["--requirepass", secrets.password, "--masterauth", secrets.password]
    if at:
        options += ["--replicaof", f"127.0.0.1 {ports[0]}"]
    return Launch(_url(ports[at], secrets.password, secrets.tls), (binary, *options), folder)


def _sentinel(binary: str, folder: Path, primary: int, secrets: Secrets) -> Launch:
    port = free_port()
    folder.mkdir()
    listening = _listening(port, secrets.tls)
    lines = [f"{name} {value}" for name, value in zip(listening[::2], listening[1::2], strict=True)]
    lines += [
        f"dir {folder}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {QUORUM}",
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}",
    ]
    if secrets.password:
        lines.append(f"sentinel auth-pass {SERVICE} {secrets.password}")
    if secrets.sentinel_password:
        lines += [
            f"requirepass {secrets.sentinel_password}",
            f"sentinel sentinel-pass {secrets.sentinel_password}",
        ]
    config = folder / "sentinel.conf"
    config.write_text("\n".join([*lines, ""]))
    url = _url(port, secrets.sentinel_password, secrets.tls)
    return Launch(url, (binary, str(config), "--sentinel"), folder)


def _listening(port: int, tls: TlsFiles | None, dashes: str = "") -> list[str]:
    options = {"bind": "127.0.0.1", "port": str(port)}
    if tls is not None:
        options = {
            "bind": "127.0.0.1",
            "port": "0",
            "tls-port": str(port),
            "tls-ca-cert-file": str(tls.ca),
            "tls-cert-file": str(tls.cert),
            "tls-key-file": str(tls.key),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }
    return [part for name, value in options.items() for part in (f"{dashes}{name}", value)]


def _url(port: int, password: str, tls: TlsFiles | None) -> str:
    login = f":{password}@" if password else ""
    if tls is None:
        return f"redis://{login}127.0.0.1:{port}"
    return f"rediss://{login}127.0.0.1:{port}?ssl_ca_certs={tls.ca}"


def _without(command: tuple[str, ...], option: str) -> tuple[str, ...]:
    at = command.index(option) if option in command else len(command)
    return command[:at] + command[at + 2 :]


def _port(launch: Launch) -> int:
    return int(launch.url.rpartition(":")[2].partition("?")[0])
