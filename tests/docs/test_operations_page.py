"""What the page of operations shows is taken by nginx and Caddy, and its sums are right."""

import re
from pathlib import Path

from tests.support.pages import ROOT
from tests.support.tls import make_tls
from tests.support.tls_proxies import caddy_command, nginx_command, nginx_main, output_of

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_nginx_finds_nothing_to_say_about_the_block(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    site = block("nginx").replace("/etc/tidegate/tls/fullchain.pem", str(tls.cert))
    site = site.replace("/etc/tidegate/tls/privkey.pem", str(tls.key))
    main = nginx_main(tmp_path, site)
    said = output_of(nginx_command(), "-t", "-p", str(tmp_path), "-c", str(main))
    assert "test is successful" in said
    assert "[warn]" not in said


def test_caddy_finds_nothing_to_say_about_the_block(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(block("caddy"), encoding="utf-8")
    folders = {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    said = output_of(caddy_command(), "validate", "--config", str(file), "--adapter", "caddyfile", **folders)
    assert said.endswith("Valid configuration\n")
    assert '"warn"' not in said
    assert output_of(caddy_command(), "fmt", str(file)) == file.read_text(encoding="utf-8")


def test_the_sums_of_the_example_are_right() -> None:
    example = PAGE[PAGE.index("**For example**: three feeds") :].partition("So one gate does it")[0]
    sums = re.findall(r"^    [\w ]+= (.+?) += ([\d.,]+)", example, re.MULTILINE)
    assert len(sums) == 5
    for sum_, result in sums:
        in_mib = re.sub(r"([\d.]+) MB", lambda found: str(float(found[1]) / 1.048576), sum_)
        in_mb = re.sub(r"([\d.]+) KB", r"\1 / 1000", in_mib)
        python = in_mb.replace("×", "*").replace(",", "").replace("MiB", "")
        value, told = eval(python), float(result.replace(",", ""))
        assert round(value, len(result.partition(".")[2])) == told, sum_
