"""Chromium without a window, driven over its DevTools protocol.

``--remote-debugging-pipe`` speaks JSON over two pipes: no library is needed.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60


def find_chromium() -> str | None:
    """Returns the browser's path, None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a browser.

    Attributes:
        problems: Errors of the page's scripts, and what it could not load.
        addresses: What the page has asked for.
    """

    def __init__(self, send_handle: int, receive_handle: int):
        self._send, self._receive = send_handle, receive_handle
        self._ids = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.problems: list[str] = []
        self.addresses: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params):
        """Calls a method of the protocol; returns its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Opens a page in a window of this size."""
        self.resize(width, height)
        self.call("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        """Makes the window as large as this."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def run(self, script: str):
        """Returns the value of an expression; a promise's value if it is one."""
        answer = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = SECONDS) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"not within {seconds} s: {condition}"
            time.sleep(0.05)

    def press(self, key: str, **params) -> None:
        """Presses a key, by its DOM name."""
        codes = {
            "Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38,
            "ArrowRight": 39, "ArrowDown": 40, "Escape": 27,
        }  # fmt: skip
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else None)
        common = {"key": key, "code": "Space" if key == " " else key, **params}
        common["windowsVirtualKeyCode"] = codes.get(key, ord(key[0].upper()))
        down = {**common, "text": text} if text else common
        self.call("Input.dispatchKeyEvent", type="keyDown", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Gives files to an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=list(map(str, paths)))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags the mouse between two points of the window."""
        (x, y), button = start, {"button": "left", "clickCount": 1}
        event = "Input.dispatchMouseEvent"
        self.call(event, type="mousePressed", x=x, y=y, **button)
        (x, y) = end
        self.call(event, type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.call(event, type="mouseReleased", x=x, y=y, **button)

    def click(self, x: float, y: float) -> None:
        """Clicks at a point of the window."""
        event, button = "Input.dispatchMouseEvent", {"button": "left", "clickCount": 1}
        self.call(event, type="mousePressed", x=x, y=y, **button)
        self.call(event, type="mouseReleased", x=x, y=y, **button)

    def hover(self, x: float, y: float) -> None:
        """Moves the mouse to a point of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def save_downloads_in(self, folder: Path) -> None:
        """Lets what the page gives to download become files of a folder."""
        self.call(
            "Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder)
        )

    def screenshot(self, path: Path) -> None:
        """Writes what the window shows as a PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], SECONDS)
            assert ready, "the browser does not answer"
            data = os.read(self._receive, 2**16)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.addresses.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(str(params["entry"]))


@contextlib.contextmanager
def browser(executable: str, profile: Path) -> Iterator[Browser]:
    """Runs a browser until the block ends.

    Args:
        executable: Of Chromium.
        profile: An empty folder.
    """
    to_browser, send = os.pipe()
    receive, from_browser = os.pipe()
    flags = (
        "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage "
        "--no-first-run --disable-background-networking --remote-debugging-pipe "
        "--disable-component-update"
    )
    # The browser reads handle 3 and writes handle 4.
    script = 'a=$1 b=$2; shift 2; eval "exec 3<&$a 4>&$b"; exec "$@"'
    process = subprocess.Popen(
        [
            *("bash", "-c", script, "bash", str(to_browser), str(from_browser)),
            *(executable, *flags.split(), f"--user-data-dir={profile}"),
        ],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(send, receive)
    finally:
        # It ends when nobody listens any more.
        os.close(send)
        os.close(receive)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
