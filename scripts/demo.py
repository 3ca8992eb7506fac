"""The story that scripts/demo tells: every line starting with `$` is a command that you could type."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
HOMES = TOP / "demo-home"
SAMPLE = TOP / "config" / "demo"
PROGRAM = str(Path(sys.executable).with_name("p2pshare"))
PATIENCE_SECONDS = 60
NAMES = ("alpha", "bravo", "charlie")
LOOK_INSIDE = (
    "import sqlite3; db = sqlite3.connect('file:{store}?mode=ro', uri=True); "
    "print(*db.execute('SELECT type, count(*) FROM v1_indicators GROUP BY type'), sep='\\n')"
)


def main(arguments: Sequence[str]) -> int:
    own_file = Path(arguments[0]) if arguments else None
    if own_file is not None and not own_file.is_file():
        print(f"error: no file at {own_file}\nhint: scripts/demo [FILE]", file=sys.stderr)
        return 2
    # commands write to the same pipe: each line must be out before the next command speaks
    sys.stdout.reconfigure(line_buffering=True)
    daemons: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        found_partners()
        daemons += [start(name) for name in NAMES]
        tell_story(own_file)
    finally:
        stop(daemons)
    tell_how_to_look_inside()
    return 0


def found_partners() -> None:
    """Three homes, cards exchanged; alpha and charlie trust one another but have no link."""
    shutil.rmtree(HOMES, ignore_errors=True)
    HOMES.mkdir()
    title("three partners, each with its own keys")
    fingerprints: dict[str, str] = {}
    for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True):
        run(name, "init", "--name", name.capitalize() + " CERT", "--url", f"https://127.0.0.1:{port}")
        run(name, "card", "export", str(card_of(name)), quiet=True)
        fingerprints[name] = run_json(name, "card", "show")["fingerprint"]  # in life: told by telephone
    title("they exchange cards; alpha - bravo - charlie are linked, alpha and charlie only trust one another")
    for us, them, more in (
        ("alpha", "bravo", ()),
        ("bravo", "alpha", ()),
        ("bravo", "charlie", ()),
        ("charlie", "bravo", ()),
        ("alpha", "charlie", ("--no-link",)),
        ("charlie", "alpha", ("--no-link",)),
    ):
        run(
            us,
            "partner",
            "add",
            str(card_of(them)),
            "--alias",
            them,
            *more,
            "--fingerprint",
            fingerprints[them],
        )


def tell_story(own_file: Path | None) -> None:
    title("alpha publishes to everybody, and one bundle to charlie alone")
    if own_file is None:
        run("alpha", "publish", str(SAMPLE / "campaign.json"), "--yes")
        run("alpha", "publish", str(SAMPLE / "blocklist.txt"), "--tlp", "clear", "--yes")
    else:
        run(
            "alpha",
            "publish",
            str(own_file),
            *marking_for(own_file),
            "--to",
            "bravo",
            "--to",
            "charlie",
            "--yes",
        )
    public = first_value()
    run("alpha", "publish", str(SAMPLE / "for-charlie.json"), "--to", "charlie", "--yes")

    title("it travels by itself: alpha -> bravo -> charlie")
    wait_for_charlie()

    secret = only_for_charlie()
    title("charlie, who is two hops away, knows what was for charlie alone")
    run("charlie", "lookup", secret)
    title("bravo carried it, and cannot read it (exit code 3: not found)")
    run("bravo", "lookup", secret, expect=3)
    if public:
        title("what was for everybody is known at bravo, under any spelling")
        run("bravo", "lookup", public.replace(".", "[.]"))
    envelopes = run_json("bravo", "status")["envelopes"]
    print(f"envelopes at bravo: {envelopes['opened']} opened, {envelopes['relayed']} carried unopened")
    run("charlie", "status")


def wait_for_charlie() -> None:
    """Shows both stores filling up until charlie holds every envelope of alpha's, and both have read theirs: that begins after
    a pause, which hides for whom they are."""
    wanted = run_json("alpha", "status")["envelopes"]["held"]
    began = time.monotonic()
    told: list[str] = []

    def counts() -> dict[str, dict[str, int]]:
        found = {name: run_json(name, "status")["envelopes"] for name in ("bravo", "charlie")}
        line = "envelopes: " + "  ".join(
            f"{name} {count['held']} of {wanted}, {count['unread']} to be read"
            for name, count in found.items()
        )
        if line not in told[-1:]:
            told.append(line)
            print(line)
        return found

    wait_until(lambda: all(one["held"] >= wanted for one in counts().values()), "charlie has everything")
    print(f"everything arrived within {time.monotonic() - began:.1f} s")
    wait_until(lambda: not any(one["unread"] for one in counts().values()), "everything is read")


def tell_how_to_look_inside() -> None:
    title("the daemons are stopped; the stores stay, and any SQLite client reads them")
    for name in NAMES:
        print(f"{name:<8} {shown(HOMES / name / 'store.sqlite')}")
    store = shown(HOMES / "charlie" / "store.sqlite")
    command = LOOK_INSIDE.format(store=store)
    print(f'$ python3 -c "{command}"')
    subprocess.run([sys.executable, "-c", command], check=True, cwd=TOP)
    print(f"$ sqlite3 -readonly {store} 'SELECT * FROM v1_claims LIMIT 5'    (where sqlite3 is installed)")


def marking_for(path: Path) -> tuple[str, ...]:
    """Your own file may say nothing about its marking: the demo shares it with its own three partners as GREEN."""
    done = subprocess.run(
        [*program("alpha"), "publish", str(path), "--to", "charlie", "--dry-run"],
        capture_output=True,
        check=False,
    )
    return () if done.returncode in (0, 6) else ("--tlp", "green")


def only_for_charlie() -> str:
    """A domain of the bundle that went to charlie alone."""
    text = (SAMPLE / "for-charlie.json").read_text()
    return text.partition("[domain-name:value = '")[2].partition("'")[0]


def first_value() -> str:
    """A value of what went to everybody: the first that alpha's store shows, one with a dot where there is one, for
    that can be written in another way; nothing when it shows none."""
    listed = subprocess.run(
        [*program("alpha"), "export", "--format", "list"], check=True, capture_output=True
    )
    values = listed.stdout.decode().splitlines()
    return next((value for value in values if "." in value), values[0] if values else "")


# --- the machinery beneath the story ---


def start(name: str) -> subprocess.Popen[bytes]:
    """Starts a daemon and waits until it answers."""
    print(f"$ p2pshare --home {shown(HOMES / name)} run &")
    with (HOMES / f"{name}.log").open("wb") as log:
        daemon = subprocess.Popen([*program(name), "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_up() -> bool:
        if daemon.poll() is not None:
            raise SystemExit(f"error: {name} did not start\n{(HOMES / f'{name}.log').read_text()}")
        return (HOMES / name / "run" / "control.sock").is_socket()

    try:
        wait_until(is_up, f"{name} answers")
    except BaseException:
        daemon.terminate()
        raise
    return daemon


def stop(daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    for daemon in daemons:
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def run(name: str, *arguments: str, expect: int = 0, quiet: bool = False) -> None:
    """Runs a command as it is shown; ends the demo when it answers with another exit code than expected."""
    command = [*program(name), *arguments]
    if not quiet:
        print("$ p2pshare --home", shown(HOMES / name), shlex.join(shown(one) for one in arguments))
    # 6 is "partly done": your own file may hold values that are refused, and says so
    output = subprocess.DEVNULL if quiet else None
    code = subprocess.run(command, check=False, stderr=output).returncode
    if code not in (expect, 6):
        raise SystemExit(f"error: p2pshare {arguments[0]} answered with exit code {code}")


def run_json(name: str, *arguments: str) -> Any:
    done = subprocess.run([*program(name), *arguments, "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def program(name: str) -> list[str]:
    return [PROGRAM, "--home", str(HOMES / name)]


def card_of(name: str) -> Path:
    return HOMES / f"{name}.p2pcard"


def shown(path: Path | str) -> str:
    """A path as it is typed from the checkout's top."""
    return str(path).removeprefix(f"{TOP}{os.sep}")


def title(text: str) -> None:
    print(f"\n# {text}")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all held until the last is found so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
