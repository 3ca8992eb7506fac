"""Three partners on this machine share a sample: alpha - bravo - charlie, where alpha and charlie are not connected."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demos import stage

NAMES = ("alpha", "bravo", "charlie")
LOOK_INSIDE = (
    "import sqlite3; db = sqlite3.connect('file:{store}?mode=ro', uri=True); "
    "print(*db.execute('SELECT type, count(*) FROM v1_indicators GROUP BY type'), sep='\\n')"
)


def tell(arguments: Sequence[str]) -> int:
    """Tells the story with the sample, or with the file that is given; returns the exit code."""
    own_file = Path(arguments[0]) if arguments else None
    if own_file is not None and not own_file.is_file():
        print(f"error: no file at {own_file}\nhint: scripts/demo [FILE]", file=sys.stderr)
        return 2
    found_partners()
    with stage.running(NAMES):
        tell_story(own_file)
    tell_how_to_look_inside()
    return 0


def found_partners() -> None:
    """Three homes, cards exchanged; alpha and charlie trust one another but have no link."""
    stage.clear()
    stage.title("three partners, each with its own keys")
    fingerprints: dict[str, str] = {}
    for name, port in zip(NAMES, stage.free_ports(len(NAMES)), strict=True):
        stage.run(name, "init", "--name", name.capitalize() + " CERT", "--url", f"https://127.0.0.1:{port}")
        stage.run(name, "card", "export", str(stage.card_of(name)), quiet=True)
        fingerprints[name] = stage.run_json(name, "card", "show")["fingerprint"]  # in life: told by telephone
    stage.title(
        "they exchange cards; alpha - bravo - charlie are linked, alpha and charlie only trust one another"
    )
    for us, them, more in (
        ("alpha", "bravo", ()),
        ("bravo", "alpha", ()),
        ("bravo", "charlie", ()),
        ("charlie", "bravo", ()),
        ("alpha", "charlie", ("--no-link",)),
        ("charlie", "alpha", ("--no-link",)),
    ):
        stage.run(
            us,
            "partner",
            "add",
            str(stage.card_of(them)),
            "--alias",
            them,
            *more,
            "--fingerprint",
            fingerprints[them],
        )


def tell_story(own_file: Path | None) -> None:
    stage.title("alpha publishes to everybody, and one bundle to charlie alone")
    if own_file is None:
        stage.run("alpha", "publish", str(stage.SAMPLE / "campaign.json"), "--yes")
        stage.run("alpha", "publish", str(stage.SAMPLE / "blocklist.txt"), "--tlp", "clear", "--yes")
    else:
        stage.run(
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
    stage.run("alpha", "publish", str(stage.SAMPLE / "for-charlie.json"), "--to", "charlie", "--yes")

    stage.title("it travels by itself: alpha -> bravo -> charlie")
    wait_for_charlie()

    secret = only_for_charlie()
    stage.title("charlie, who is two hops away, knows what was for charlie alone")
    stage.run("charlie", "lookup", secret)
    stage.title("bravo carried it, and cannot read it (exit code 3: not found)")
    stage.run("bravo", "lookup", secret, expect=3)
    if public:
        stage.title("what was for everybody is known at bravo, under any spelling")
        stage.run("bravo", "lookup", public.replace(".", "[.]"))
    envelopes = stage.run_json("bravo", "status")["envelopes"]
    print(f"envelopes at bravo: {envelopes['opened']} opened, {envelopes['relayed']} carried unopened")
    stage.run("charlie", "status")


def wait_for_charlie() -> None:
    """Shows both stores filling up until charlie holds every envelope of alpha's, and both have read theirs: that begins after
    a pause, which hides for whom they are."""
    wanted = stage.run_json("alpha", "status")["envelopes"]["held"]
    began = time.monotonic()
    told: list[str] = []

    def counts() -> dict[str, dict[str, int]]:
        found = {name: stage.run_json(name, "status")["envelopes"] for name in ("bravo", "charlie")}
        line = "envelopes: " + "  ".join(
            f"{name} {count['held']} of {wanted}, {count['unread']} to be read"
            for name, count in found.items()
        )
        if line not in told[-1:]:
            told.append(line)
            print(line)
        return found

    stage.wait_until(
        lambda: all(one["held"] >= wanted for one in counts().values()), "charlie has everything"
    )
    print(f"everything arrived within {time.monotonic() - began:.1f} s")
    stage.wait_until(lambda: not any(one["unread"] for one in counts().values()), "everything is read")


def tell_how_to_look_inside() -> None:
    stage.title("the daemons are stopped; the stores stay, and any SQLite client reads them")
    for name in NAMES:
        print(f"{name:<8} {stage.shown(stage.HOMES / name / 'store.sqlite')}")
    store = stage.shown(stage.HOMES / "charlie" / "store.sqlite")
    command = LOOK_INSIDE.format(store=store)
    print(f'$ python3 -c "{command}"')
    subprocess.run([sys.executable, "-c", command], check=True, cwd=stage.TOP)
    print(f"$ sqlite3 -readonly {store} 'SELECT * FROM v1_claims LIMIT 5'    (where sqlite3 is installed)")


def marking_for(path: Path) -> tuple[str, ...]:
    """Your own file may say nothing about its marking: the demo shares it with its own three partners as GREEN."""
    done = subprocess.run(
        [*stage.program("alpha"), "publish", str(path), "--to", "charlie", "--dry-run"],
        capture_output=True,
        check=False,
    )
    return () if done.returncode in (0, 6) else ("--tlp", "green")


def only_for_charlie() -> str:
    """A domain of the bundle that went to charlie alone."""
    text = (stage.SAMPLE / "for-charlie.json").read_text()
    return text.partition("[domain-name:value = '")[2].partition("'")[0]


def first_value() -> str:
    """A value of what went to everybody: the first that alpha's store shows, one with a dot where there is one, for
    that can be written in another way; nothing when it shows none."""
    listed = subprocess.run(
        [*stage.program("alpha"), "export", "--format", "list"], check=True, capture_output=True
    )
    values = listed.stdout.decode().splitlines()
    return next((value for value in values if "." in value), values[0] if values else "")
