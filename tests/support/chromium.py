"""Chromium without a window, with a profile of its own."""

import os
import shutil
import subprocess
from pathlib import Path

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--password-store=basic"),
)


def chromium_command() -> str:
    """Where Chromium is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "chromium is missing; run: apt-get install chromium"
    return found


def chromium(folder: Path, address: str, *flags: str) -> str:
    """What Chromium prints about a page."""
    done = subprocess.run(
        [chromium_command(), *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env=os.environ | {"HOME": str(folder)},
    )
    return done.stdout
