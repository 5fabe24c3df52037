"""A page in a running Chromium: what it shows, which keys are pressed, what it asks for.

Commands go through a pipe by the DevTools protocol (`--remote-debugging-pipe`: JSON, each followed by a zero
byte), so that no port has to be opened and no library is needed.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tests.support.chromium import FLAGS, chromium_command
from tests.support.processes import wait_until

# Chromium reads commands from the descriptor 3 and writes to 4.
_START = "import os, sys; os.dup2({reads}, 3); os.dup2({writes}, 4); os.execv(sys.argv[1], sys.argv[1:])"
WAIT_SECONDS = 30.0
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Page:
    """One page; `requests` are the addresses it has asked for, `messages` the errors in its console."""

    def __init__(self, answers: BinaryIO, commands: BinaryIO) -> None:
        self._answers, self._commands = answers, commands
        self._number, self._session = 0, ""
        self.requests: list[str] = []
        self.messages: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str, width: int = 1240, height: int = 900, *, dark: bool = False) -> None:
        """Open an address in a window of this size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run_scripts(self, *, enabled: bool) -> None:
        """Say whether pages that are opened after this may run scripts; `evaluate` works all the same."""
        self._call("Emulation.setScriptExecutionDisabled", value=not enabled)

    def evaluate(self, expression: str) -> Any:
        """What JavaScript says of the page; a promise is waited for."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        seen = wait_until(lambda: bool(self.evaluate(expression)), WAIT_SECONDS)
        assert seen, f"never true: {expression}; the console: {self.messages}"

    def text(self, selector: str) -> str:
        """The text of the first element that a selector finds."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, key: str) -> None:
        """Press a key, one of `KEYS`."""
        press = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        typed = {"text": "\r" if key == "Enter" else key} if key != "Tab" else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", **press, **typed)
        self._call("Input.dispatchKeyEvent", type="keyUp", **press)

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self._call("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """Write what is seen as a PNG."""
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        file.write_bytes(base64.b64decode(data))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        command = {"id": self._number, "method": method, "params": parameters, **session}
        self._commands.write(json.dumps(command).encode() + b"\0")
        self._commands.flush()
        while (message := self._next()).get("id") != self._number:
            self._note(message)
        assert "error" not in message, message["error"]
        result: dict[str, Any] = message["result"]
        return result

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            text += byte
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.messages.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(parameters["exceptionDetails"]))


@contextmanager
def browser_page(folder: Path) -> Iterator[Page]:
    """A page in a Chromium of its own, which ends with it."""
    commands, answers = os.pipe(), os.pipe()
    start = _START.format(reads=commands[0], writes=answers[1])
    flags = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}")
    process = subprocess.Popen(
        [sys.executable, "-c", start, chromium_command(), *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(commands[0], answers[1]),
        env=os.environ | {"HOME": str(folder)},
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        with os.fdopen(answers[0], "rb") as written, os.fdopen(commands[1], "wb") as read:
            yield Page(written, read)
    finally:
        process.terminate()  # so that it ends its own children
        process.wait(WAIT_SECONDS)
