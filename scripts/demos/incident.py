"""Ransomware at a port: three organisations work one case, the network is cut and heals, the lead is lost, and another one closes the case."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from demos import stage

PORT, RAIL, CUSTOMS = NAMES = ("port", "rail", "customs")
LOOK_INSIDE = (
    "import sqlite3; db = sqlite3.connect('file:{file}?mode=ro', uri=True); "
    "print(*db.execute('SELECT status, determination, late FROM v1_incidents'), sep='\\n'); "
    "print(*db.execute('SELECT title, outcome FROM v1_tasks'), sep='\\n')"
)


class Told:
    """The story as it goes: the daemons that run, the roads between them, and the case."""

    def __init__(self) -> None:
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.roads = {name: stage.Road() for name in NAMES}
        self.case = ""

    def start(self, name: str) -> None:
        self.daemons[name] = stage.start(name)

    def end(self) -> None:
        stage.stop(list(self.daemons.values()))
        for road in self.roads.values():
            road.close()

    def case_at(self, name: str) -> str:
        """The canonical output at one of them, the same at all who hold the same."""
        command = [*stage.program(name), "incident", "show", self.case, "--canonical"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def recurrences_at(self, name: str) -> list[Any]:
        found: list[Any] = stage.run_json(name, "incident", "show", self.case)["recurrences"]
        return found

    def wait_until_equal(self, *names: str) -> None:
        """Wait until they hold the same; entries are counted first, for that costs nothing."""
        count = "SELECT count(*) FROM space_entry"
        stage.wait_until(
            lambda: (
                len({ask_store(name, count) for name in names}) == 1
                and len({self.case_at(name) for name in names}) == 1
            ),
            f"{', '.join(names)} hold the same",
        )


def tell(arguments: Sequence[str]) -> int:
    """Tells the story; returns the exit code."""
    told = Told()
    try:
        found(told)
        for name in NAMES:
            told.start(name)
        tell_opening(told)
        tell_cut(told, tell_working(told))
        tell_lost_lead(told)
        tell_closing(told)
        tell_recurrence(told)
    finally:
        told.end()
    tell_what_the_siem_sees()
    return 0


def incident(name: str, *words: str) -> str:
    """Runs a command of incidents as it is shown; returns the id that its answer begins with."""
    command = [*stage.program(name), "incident", *words]
    print("$ p2pshare --home", stage.shown(stage.HOMES / name), "incident", shlex.join(words))
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"error: p2pshare incident {words[0]} answered with exit code {done.returncode}")
    return done.stdout.split(" ", 1)[0].strip()


def found(told: Told) -> None:
    """Three homes that are partners of each other, each behind a road that can be cut."""
    stage.clear()
    fingerprints = {}
    for name, port in zip(NAMES, stage.free_ports(len(NAMES)), strict=True):
        road = told.roads[name]
        road.leads_to(port)
        url, listen = f"https://127.0.0.1:{road.port}", f"127.0.0.1:{port}"
        stage.run(name, "init", "--name", name.capitalize(), "--url", url, "--listen", listen, quiet=True)
        stage.run(name, "card", "export", str(stage.card_of(name)), quiet=True)
        fingerprints[name] = stage.run_json(name, "card", "show")["fingerprint"]
    for name in NAMES:
        for other in NAMES:
            if name != other:
                card = ("partner", "add", str(stage.card_of(other)), "--alias", other)
                stage.run(name, *card, "--fingerprint", fingerprints[other], quiet=True)


def tell_opening(told: Told) -> None:
    stage.title("ransomware at the port, which opens a case with those whom it may hit next")
    told.case = incident(
        PORT, "open", "--title", "Ransomware at the port", "--type", "ransomware", "--tlp", "amber",
        "--invite", RAIL, "--invite", CUSTOMS, "--yes",
    )  # fmt: skip
    for name in (RAIL, CUSTOMS):
        stage.wait_until(lambda name=name: is_invited(name, told.case), f"{name} is invited")
        incident(name, "join", told.case[:10])
    told.wait_until_equal(*NAMES)


def is_invited(name: str, case: str) -> bool:
    listed = stage.run_json(name, "incident", "list")
    return any(one["incident"] == case and one["members"] for one in listed)


def tell_working(told: Told) -> str:
    stage.title("no id is needed as long as one case is open; only the port starts the clocks of the law")
    incident(
        PORT, "aware", "--at", "2027-02-12T09:00", "--zone", "Europe/Berlin", "--under", "nis2",
    )  # fmt: skip
    incident(
        PORT, "event", "add", "--start", "2027-02-11T22:10:00Z", "--text", "12 GB left by HTTPS, then all was encrypted"
    )  # fmt: skip
    incident(PORT, "ioc", "add", "evil.example", "198.51.100.7")
    incident(PORT, "impact", "add", "availability", "availability_impact=70", "--count", "computers-server=7")
    task = incident(PORT, "task", "add", "Block evil.example")
    told.wait_until_equal(*NAMES)
    return task


def tell_cut(told: Told, task: str) -> None:
    stage.title("the network is cut: everybody goes on alone, and two take the same task")
    for road in told.roads.values():
        road.cut()
    for name in (RAIL, CUSTOMS):
        incident(name, "task", "claim", task[:10])
    incident(RAIL, "note", "198.51.100.7 called our mail server at 03:12")
    incident(CUSTOMS, "ioc", "add", "203.0.113.9", "--text", "the same certificate")
    incident(PORT, "note", "The backup of Sunday is good")
    stage.title("it heals, and all three hold the same, byte for byte")
    for road in told.roads.values():
        road.mend()
    told.wait_until_equal(*NAMES)
    stage.run(CUSTOMS, "incident", "show")


def tell_lost_lead(told: Told) -> None:
    stage.title("the port is lost (SIGKILL): one of three proposes itself, a second makes it the lead")
    told.daemons[PORT].kill()
    told.daemons[PORT].wait()
    incident(CUSTOMS, "takeover", "--yes")
    stage.wait_until(lambda: is_proposed(told), "rail sees the proposal")
    incident(RAIL, "ack", "--yes")
    told.wait_until_equal(RAIL, CUSTOMS)


def is_proposed(told: Told) -> bool:
    shown = stage.run_json(RAIL, "incident", "show", told.case)
    return any(one["kind"] == "takeover" for one in shown["timeline"])


def tell_closing(told: Told) -> None:
    stage.title("the new lead says what it is, and closes with a lesson")
    incident(CUSTOMS, "determine", "confirmed", "--text", "the port's machines, and no others")
    [task] = stage.run_json(CUSTOMS, "incident", "show", told.case)["tasks"]
    incident(CUSTOMS, "task", "assign", told.case[:10], task["task"][:10], RAIL)
    told.wait_until_equal(RAIL, CUSTOMS)
    incident(RAIL, "task", "done", task["task"][:10])
    incident(
        CUSTOMS, "lesson", "add", "Segment the office network", "--owner", PORT, "--due", "2027-03-31T00:00:00Z",
        "--link", "https://tracker.example/17",
    )  # fmt: skip
    told.wait_until_equal(RAIL, CUSTOMS)
    incident(CUSTOMS, "close", "--text", "Restored from the backup of Sunday")
    stage.title("the port comes back, and reads how its case ended")
    told.start(PORT)
    told.wait_until_equal(*NAMES)
    stage.run(PORT, "incident", "show", told.case[:10])
    stage.title("what it owes the authority: the report is filled in as far as the case says it")
    stage.run(PORT, "incident", "sitrep", told.case[:10], "--nis2", "72h")
    stage.wait_until(lambda: is_current(PORT), "the views are fresh")


def tell_recurrence(told: Told) -> None:
    stage.title("weeks later rail sees one of its values again: all are told, and the lead opens the case")
    stage.run(RAIL, "sight", "evil.example")
    stage.wait_until(lambda: all(told.recurrences_at(name) for name in NAMES), "all are told of it")
    stage.run(RAIL, "incident", "watch", "list", told.case[:10])
    incident(CUSTOMS, "reopen", told.case[:10], "--text", "evil.example is back at rail")
    told.wait_until_equal(*NAMES)
    stage.wait_until(lambda: is_current(PORT), "the views are fresh")


def is_current(name: str) -> bool:
    return ask_store(name, "SELECT is_current FROM v1_incidents") == 1


def ask_store(name: str, question: str) -> int:
    """The number that a store answers with."""
    with closing(sqlite3.connect(f"file:{stage.HOMES / name / 'store.sqlite'}?mode=ro", uri=True)) as db:
        return int(db.execute(question).fetchone()[0])


def tell_what_the_siem_sees() -> None:
    stage.title("the own SIEM reads views")
    command = LOOK_INSIDE.format(file=stage.shown(stage.HOMES / PORT / "store.sqlite"))
    print(f'$ python3 -c "{command}"')
    subprocess.run([sys.executable, "-c", command], check=True, cwd=stage.TOP)
