"""An exercise from a pack to its report: three organisations play twenty minutes in twenty seconds, and nothing of it is left outside."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from demos import stage

CERT, CLINIC, PORT = NAMES = ("cert", "clinic", "port")
PACK = "communication-check"
SPEED = "60"  # the pack's twenty minutes in twenty seconds
VALUE = "192.0.2.200"  # what its feed has
SEARCHED = (VALUE, "EXERCISE Exercise control", "disconnect a system of yours")  # and words of its injects
REPORT = stage.HOMES / "report.html"
FOLDER = "exercises"


class Told:
    """The story as it goes: the exercise."""

    def __init__(self) -> None:
        self.id = ""

    def come(self, name: str, number: int) -> None:
        """Wait until so many injects are in somebody's file."""
        stage.wait_until(lambda: entries(name, "inject") >= number, f"inject {number} has come to {name}")


def entries(name: str, kind: str) -> int:
    """How many entries of a kind are in somebody's file: one look, where a command would take a second of a game of twenty."""
    count = 0
    for path in (stage.HOMES / name / FOLDER).glob("*.sqlite"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            in_header = (
                b"\x08" + bytes([0xA0 | len(kind)]) + kind.encode()
            )  # field 8 of a header (docs/spaces.md)
            with suppress(sqlite3.OperationalError):  # its daemon makes the tables this moment: no entry yet
                count += db.execute(
                    "SELECT count(*) FROM space_entry WHERE instr(header, ?)", (in_header,)
                ).fetchone()[0]
    return count


def tell(arguments: Sequence[str]) -> int:
    """Tells the story; returns the exit code."""
    told = Told()
    found()
    with stage.running(NAMES):
        tell_preparing(told)
        tell_playing(told)
        tell_looking_back(told)
        tell_what_is_left(told)
    return 0


def found() -> None:
    """Three homes that are partners of each other."""
    stage.clear()
    fingerprints: dict[str, str] = {}
    ports = dict(zip(NAMES, stage.free_ports(len(NAMES)), strict=True))

    def init(name: str) -> None:
        words = ("init", "--name", name.capitalize(), "--url", f"https://127.0.0.1:{ports[name]}", "--json")
        done = subprocess.run([*stage.program(name), *words], check=True, capture_output=True)
        fingerprints[name] = json.loads(done.stdout)["fingerprint"]

    def trust(name: str) -> None:
        for other in NAMES:
            if name != other:
                card = ("partner", "add", str(stage.HOMES / other / "card.p2pcard"), "--alias", other)
                stage.run(name, *card, "--fingerprint", fingerprints[other], quiet=True)

    with ThreadPoolExecutor(len(NAMES)) as beside:  # each home by itself: half of the time on two cores
        list(beside.map(init, NAMES))
        list(beside.map(trust, NAMES))


def tell_preparing(told: Told) -> None:
    stage.title("a pack is looked at before anything starts")
    stage.run(CERT, "exercise", "lint", PACK)
    stage.title(
        "the CERT makes an exercise of it: who plays where, and what will happen is committed to, unseen"
    )
    places = ("--as", f"partner={CLINIC}", "--as", f"partner={PORT}")
    told.id = stage.run_json(CERT, "exercise", "new", PACK, *places, "--tlp", "green")["exercise"]
    print(f"$ p2pshare exercise new {PACK} {' '.join(places)} --tlp green\n{told.id}")
    for name in (CLINIC, PORT):
        stage.wait_until(lambda name=name: entries(name, "open") > 0, f"{name} is invited")
        stage.run(name, "exercise", "join", told.id[:10])
    stage.wait_until(lambda: entries(CERT, "join") == len(NAMES) - 1, "both have joined")
    for name in (CLINIC, PORT):
        stage.wait_until(lambda name=name: entries(name, "pack") > 0, f"{name} holds the commitment")


def tell_playing(told: Told) -> None:
    stage.title("its clock runs sixty times as fast as the world's; injects come by themselves")
    stage.run(CERT, "exercise", "start", told.id[:10], "--speed", SPEED)
    told.come(CLINIC, 1)
    stage.run(CLINIC, "exercise", "ack", told.id[:10], "1")
    stage.title("players act with the real commands, and say that it is for the exercise")
    told.come(CLINIC, 2)
    stage.run(CLINIC, "sight", VALUE, "--exercise", told.id[:10])
    told.come(CLINIC, 3)
    stage.run(CLINIC, "exercise", "answer", told.id[:10], "3", "--choice", "reached")
    stage.run(CLINIC, "exercise", "inbox", told.id[:10])
    stage.title("the port reads late, and reaches only a deputy")
    told.come(PORT, 3)
    stage.run(PORT, "exercise", "ack", told.id[:10], "1")
    stage.run(PORT, "exercise", "answer", told.id[:10], "3", "--choice", "deputy")
    stage.title("the same value in the port's real store: nobody has heard of it")
    stage.run(PORT, "lookup", VALUE, expect=3)
    stage.run(
        CERT,
        "exercise",
        "rate",
        told.id[:10],
        "S",
        "--of",
        PORT,
        "-m",
        "The roster has no number for the night.",
    )
    stage.wait_until(lambda: entries(PORT, "end") > 0, "it ends by itself")


def tell_looking_back(told: Told) -> None:
    stage.title("what it comes to, the same on every node")
    stage.wait_until(
        lambda: len({json.dumps(result(name, told)) for name in NAMES}) == 1, "all three say the same"
    )
    stage.run(CLINIC, "exercise", "score", told.id[:10])
    stage.run(CERT, "exercise", "report", told.id[:10], "-o", str(REPORT))
    stage.run(CERT, "exercise", "adopt", told.id[:10])
    print(f"(open {stage.shown(REPORT)} in a browser, and print it: the time line is drawn)")


def result(name: str, told: Told) -> list[object]:
    """The score as a node has it, without what it calls itself and the others; empty until it is one."""
    command = [*stage.program(name), "exercise", "score", told.id, "--json"]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        return [name]
    players = json.loads(done.stdout)["players"]
    return sorted(json.dumps(one | {"name": ""}, sort_keys=True) for one in players)


def tell_what_is_left(told: Told) -> None:
    stage.title("every file of the three homes is searched for what was played")
    inside, outside = searched()
    print(f"{inside} files in {FOLDER}/ have it, {len(outside)} outside")
    if outside or not inside:
        raise SystemExit(f"error: found outside: {', '.join(map(stage.shown, outside))}")
    stage.title("and when it is removed, the file is gone")
    for name in NAMES:
        stage.run(name, "exercise", "remove", told.id[:10], "--yes")
    inside, outside = searched()
    print(f"{inside} files in {FOLDER}/ have it, {len(outside)} outside")
    if outside or inside:
        raise SystemExit("error: something is left")


def searched() -> tuple[int, list[Path]]:
    """How many files in the folders of exercises hold what was played, and which others do; of the logs, too."""
    inside, outside = 0, []
    for path in sorted(stage.HOMES.rglob("*")):
        if path == REPORT or not path.is_file() or path.is_symlink():
            continue
        raw = path.read_bytes()
        if any(text.encode() in raw for text in SEARCHED):
            if FOLDER in path.parts:
                inside += 1
            else:
                outside.append(path)
    return inside, outside
