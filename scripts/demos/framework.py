"""Five hospitals agree on a playbook: three of five approve one exact content, one works by it, one withdraws, a byte is changed."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing

from demos import stage

NORTH, SOUTH, EAST, WEST, CITY = NAMES = ("north", "south", "east", "west", "city")
PLAYBOOK = stage.TOP / "config" / "playbooks" / "ransomware-in-a-hospital.json"
RANSOMWARE = "221a1897"
# what the story waits for, in the store
ENTRIES = "SELECT count(*) FROM space_entry"
TASKS = "SELECT count(*) FROM v1_tasks"
CASES = "SELECT count(*) FROM space WHERE kind = 'incident'"


def tell(arguments: Sequence[str]) -> int:
    """Tells the story; returns the exit code."""
    found()
    with stage.running(NAMES):
        framework = tell_opening()
        early = tell_approving(framework)
        tell_withdrawing(early, tell_reacting())
        tell_changing(framework)
        tell_exporting()
    return 0


def found() -> None:
    """Five homes: each a partner of the north, which introduces them to each other."""
    stage.clear()
    fingerprints = {}
    for name, port in zip(NAMES, stage.free_ports(len(NAMES)), strict=True):
        address = ("--url", f"https://127.0.0.1:{port}", "--listen", f"127.0.0.1:{port}")
        init = ("init", "--name", f"Hospital {name.capitalize()}", *address, "--json")
        done = subprocess.run([*stage.program(name), *init], check=True, capture_output=True)
        fingerprints[name] = json.loads(done.stdout)["fingerprint"]
    for name in NAMES[1:]:
        for one, other in ((NORTH, name), (name, NORTH)):
            card = str(stage.HOMES / other / "card.p2pcard")
            add = ("partner", "add", card, "--alias", other, "--fingerprint", fingerprints[other])
            subprocess.run([*stage.program(one), *add], check=True, capture_output=True)


def told(name: str, *words: str) -> str:
    """Runs a command as it is shown; returns the first word of its answer."""
    print("$ p2pshare --home", stage.shown(stage.HOMES / name), shlex.join(stage.shown(one) for one in words))
    done = subprocess.run([*stage.program(name), *words], check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"error: p2pshare {words[0]} answered with exit code {done.returncode}")
    return done.stdout.split(" ", 1)[0].strip()


def ask(name: str, question: str) -> int:
    """The number that a store answers with: waiting costs no start of the program."""
    with closing(sqlite3.connect(f"file:{stage.HOMES / name / 'store.sqlite'}?mode=ro", uri=True)) as db:
        return int(db.execute(question).fetchone()[0] or 0)


def wait_for(name: str, approvals: int, what: str) -> None:
    """Wait until so many approve the playbook, as one of them sees it."""
    question = "SELECT json_array_length(approvals) FROM v1_playbooks"
    stage.wait_until(lambda: ask(name, question) == approvals, what)


def tell_opening() -> str:
    stage.title("the north opens a framework with four others, and says: ransomware needs three of us")
    invited = [word for name in NAMES[1:] for word in ("--invite", name)]
    framework = told(
        NORTH, "framework", "new", "--title", "Five hospitals", "--tlp", "amber", *invited, "--yes"
    )
    for name in NAMES[1:]:
        stage.wait_until(lambda name=name: ask(name, "SELECT count(*) FROM space") > 0, f"{name} is invited")
        told(name, "framework", "join", framework[:10])
    stage.wait_until(lambda: ask(NORTH, ENTRIES) == len(NAMES), "all have joined")
    told(NORTH, "playbook", "import", str(PLAYBOOK), "--review", "2027-06-30")
    told(
        NORTH, "framework", "add", framework[:10], "--playbook", RANSOMWARE, "--type", "ransomware", "--attack", "T1486",
        "--quorum", "3", "--duties", "nis2", "--csf", "RS.MA-01",
    )  # fmt: skip
    return framework


def tell_approving(framework: str) -> str:
    """Returns a case that nobody reacts to, for the playbook has two approvals of three."""
    stage.title(
        "who approves looks at it first, and approves one hash; two of three are not enough, and it is said who is missing"
    )
    told(NORTH, "playbook", "approve", RANSOMWARE, "--yes")
    approve(SOUTH)
    wait_for(NORTH, 2, "the south's approval came")
    told(NORTH, "framework", "adopt", framework[:10], "--yes")
    early = open_case(NORTH, "Encrypted files in ward 3")
    stage.run(NORTH, "framework", "react", early[:10], "--yes", expect=5)
    stage.title("a third approves, and the south adopts the framework as well")
    before = ask(NORTH, ENTRIES)
    approve(EAST)
    told(SOUTH, "framework", "adopt", framework[:10], "--yes")
    wait_for(NORTH, 3, "the east's approval came")
    stage.wait_until(lambda: ask(NORTH, ENTRIES) == before + 2, "the adoption came")
    stage.run(NORTH, "framework", "status", framework[:10])
    return early


def approve(name: str) -> None:
    """Look at the playbook, which notes that a person was shown it, and approve what was shown."""
    look = ["playbook", "show", RANSOMWARE]
    print("$ p2pshare --home", stage.shown(stage.HOMES / name), shlex.join(look), "| less")
    stage.wait_until(
        lambda: (
            subprocess.run([*stage.program(name), *look], check=False, capture_output=True).returncode == 0
        ),
        f"the playbook came to {name}",
    )
    told(name, "playbook", "approve", RANSOMWARE, "--yes")


def open_case(name: str, heading: str, *invited: str) -> str:
    words = [word for one in invited for word in ("--invite", one)]
    return told(
        name,
        "incident",
        "open",
        "--title",
        heading,
        "--type",
        "ransomware",
        "--tlp",
        "amber",
        *words,
        "--yes",
    )


def tell_reacting() -> str:
    stage.title(
        "it happens: the case offers the playbook, which becomes tasks in order; the clocks run from what the case says"
    )
    case = open_case(NORTH, "Encrypted files in ward 7", SOUTH)
    told(
        NORTH,
        "incident",
        "aware",
        case[:10],
        "--at",
        "2026-11-30T21:40",
        "--zone",
        "Europe/Berlin",
        "--under",
        "nis2",
    )
    told(NORTH, "framework", "react", case[:10], "--yes")
    stage.wait_until(lambda: ask(SOUTH, CASES) == 1, "the south is invited")
    told(SOUTH, "incident", "join", case[:10])
    stage.title("the south reacts as well: it is the same set")
    stage.wait_until(lambda: 0 < ask(NORTH, TASKS) == ask(SOUTH, TASKS), "the tasks came")
    print(f"$ p2pshare --home {stage.shown(stage.HOMES / SOUTH)} framework react {case[:10]} --yes --json")
    again = stage.run_json(SOUTH, "framework", "react", case[:10], "--yes")
    print(f"{len(again['tasks'])} tasks, {sum(one['is_new'] for one in again['tasks'])} of them new")
    told(SOUTH, "incident", "task", "claim", case[:10], again["tasks"][3]["task"][:10])
    return case


def tell_withdrawing(early: str, case: str) -> None:
    stage.title("the east takes its approval back: what runs goes on, what has not begun does not begin")
    told(EAST, "playbook", "revoke-approval", RANSOMWARE, "--version", "2026-11-30T08:00:00.000Z", "--yes")
    wait_for(NORTH, 2, "the revocation came")
    print(f"$ p2pshare --home {stage.shown(stage.HOMES / NORTH)} framework react {case[:10]} --yes --json")
    again = stage.run_json(NORTH, "framework", "react", case[:10], "--yes")
    print(
        f"version {again['version']}, {len(again['tasks'])} tasks, approved by {', '.join(again['approvals'])}"
    )
    stage.run(NORTH, "framework", "react", early[:10], "--yes", expect=5)


def tell_changing(framework: str) -> None:
    stage.title(
        "one byte of one step is changed under the same version: no approval is of that, and nobody adopts it"
    )
    raw = PLAYBOOK.read_bytes()
    changed = stage.HOMES / "changed.json"
    changed.write_bytes(raw.replace(b"Photograph", b"photograph", 1))
    stage.run(NORTH, "playbook", "diff", str(PLAYBOOK), str(changed))
    told(NORTH, "playbook", "import", str(changed))
    told(NORTH, "playbook", "list")
    stage.run(NORTH, "framework", "adopt", framework[:10], "--yes", expect=5)


def tell_exporting() -> None:
    stage.title(
        "for a SOAR: what SOARCA would pass over in silence is said; the commands of a playbook are never run here"
    )
    told(
        NORTH,
        "playbook",
        "export",
        str(PLAYBOOK),
        "--for",
        "soarca",
        "-o",
        str(stage.HOMES / "for-soarca.json"),
    )
