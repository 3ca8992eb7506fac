"""A Chromium without a window, driven over its own protocol (DevTools): a page is opened, and scripts run in it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

START_SECONDS = 60  # a cold start on a busy machine
ANSWER_SECONDS = 60
MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # of one answer: a page's text


def find_chromium() -> str | None:
    """Returns the program, or None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page. What it says to its console as an error is kept in `errors`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Ask the browser for something; returns its answer."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": arguments})
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                answer = json.loads(await self._socket.receive_str())
                if answer.get("method") == "Runtime.exceptionThrown":
                    details = answer["params"]["exceptionDetails"]
                    self.errors.append(str(details.get("exception", details).get("description", details)))
                if answer.get("id") == self._number:
                    if "error" in answer:
                        raise RuntimeError(f"{method}: {answer['error']}")
                    result: dict[str, Any] = answer["result"]
                    return result

    async def run(self, script: str) -> Any:
        """Run a script in the page, and wait for what it promises; returns its value."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"].get("exception", {}).get("description")))
        return answer["result"].get("value")

    async def wait_for(self, script: str) -> Any:
        """Run a script until what it gives is true; returns that."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not (value := await self.run(script)):  # noqa: ASYNC110 - another program's, which tells nobody
                await asyncio.sleep(0.1)
            return value


class _Browser:
    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="p2pshare-chromium-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Path:
        profile = Path(self._folder.name)
        words = [self._program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        words += ["--remote-debugging-port=0", "--disable-background-networking", "--no-first-run"]
        words += [
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)
        return profile

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()


@asynccontextmanager
async def opened_page(program: str, address: str) -> AsyncIterator[Page]:
    """Yields a page of a fresh browser that has loaded `address`, of this machine: it reaches no other."""
    with _Browser(program) as profile:
        async with asyncio.timeout(START_SECONDS):
            port_file = profile / "DevToolsActivePort"
            while not port_file.exists() or not port_file.read_text().strip():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.1)
            port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                place = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(place, max_msg_size=MESSAGE_BYTES_MAX) as socket:
                page = Page(socket)
                await page.call("Runtime.enable")
                await page.call("Page.enable")
                await page.call("Page.navigate", url=address)
                await page.wait_for("document.readyState === 'complete'")
                yield page
