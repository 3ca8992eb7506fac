"""The CACAO roaster (Open Cybersecurity Alliance), built from its source and opened in Chromium: it loads what we export, or says why not."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from elsewhere.chromium import Page

BUILD_SECONDS = 600
VALID = "Valid Playbook"
_OPEN = """(() => {
  document.querySelector('.button--paste').click();
  const dialog = [...document.querySelectorAll('dialog')].pop();
  dialog.querySelectorAll('input[type=radio]')[%d].checked = true;
  dialog.querySelector('.cacaoImportTextarea').value = %s;
  dialog.querySelector('.button--primary').click();
})()"""
_DONE = """(() => {
  const said = document.querySelector('.validator-message');
  const alert = [...document.querySelectorAll('dialog')].find(one => one.innerText.startsWith('Error when'));
  if (alert) return JSON.stringify({error: alert.innerText});
  if (!said || !said.textContent) return '';
  return JSON.stringify({
    said: said.textContent,
    steps: document.querySelectorAll('g.djs-element.djs-shape').length,
    edges: document.querySelectorAll('g.djs-element.djs-connection').length,
  });
})()"""
_ERRORS = """(() => {
  document.querySelector('.validator-container').click();
  return [...document.querySelectorAll('.validator-dialog-error-container')].map(one => one.innerText.replace(/\\s+/g, ' ')).join('; ');
})()"""
# What it would hand to the browser as a download is kept instead.
_KEEP = """(() => {
  window.kept = [];
  const make = URL.createObjectURL;
  URL.createObjectURL = blob => { blob.text().then(text => window.kept.push(text)); return make.call(URL, blob); };
  HTMLAnchorElement.prototype.click = () => {};
})()"""
_EXPORT = "document.querySelector('.header__options ' + %s).click()"
_AGREE = "(() => { const ok = [...document.querySelectorAll('dialog .button--primary')].pop(); if (ok) ok.click(); return true; })()"


class Opened(NamedTuple):
    """What the roaster made of a playbook. `error`: why it did not load; `said`: `Valid Playbook`, or how many faults it finds."""

    error: str
    said: str
    steps: int
    edges: int
    faults: str


def find_npm() -> str | None:
    """Returns npm's program, or None where there is none."""
    return shutil.which("npm")


def build(npm: str, source: Path, folder: Path) -> Path:
    """Build the roaster from a copy of its source, with the packages of its own lock; returns the folder of the page."""
    shutil.copytree(
        source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", "node_modules", "dist")
    )
    for words in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([npm, *words], cwd=folder, check=True, capture_output=True, timeout=BUILD_SECONDS)
    return folder / "dist"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of what was asked."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yields the address, of this machine, at which a folder is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


async def open_playbook(page: Page, text: str, *, is_base64: bool = False) -> Opened:
    """Reload the page and give it a playbook as a person does: Import Text, paste, Import."""
    await page.call("Page.reload")
    await page.wait_for(
        "document.readyState === 'complete' && document.querySelector('.button--paste') !== null"
    )
    pasted = base64.b64encode(text.encode()).decode() if is_base64 else text
    await page.run(_OPEN % (int(is_base64), json.dumps(pasted)))
    answer = json.loads(await page.wait_for(_DONE))
    if "error" in answer:
        return Opened(answer["error"].replace("\n", " "), "", 0, 0, "")
    faults = "" if answer["said"] == VALID else str(await page.run(_ERRORS))
    return Opened("", answer["said"], answer["steps"], answer["edges"], faults)


async def exported(page: Page, button: str) -> str:
    """Press one of its export buttons (`.export`, `.export_stix`) for what is open; returns the file that it makes."""
    await page.run(_KEEP)
    await page.run(_EXPORT % json.dumps(button))
    await page.run(_AGREE)
    await page.wait_for("window.kept.length > 0")
    return str(await page.run("window.kept[0]"))
