"""Plays the pack `ransomware-two-hospitals` on three real daemons and looks for a leak (docs/exercises.md, "Walls"); no real space is opened here; see scripts/play-exercise.

alpha leads and is control; bravo is Hospital A, who does what is asked; charlie is Hospital B, who only reads and answers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exercise_exits import EXITS, search

from conftest import Company, Partner, ended, wait_until
from p2pshare.node.home import EXERCISES_NAME

PACK = "ransomware-two-hospitals"
PATIENCE_SECONDS = 120.0
TITLE, INCIDENT, NOTE = "zx-title-of-the-game", "zx-title-of-the-incident", "zx-note: the ward is dark"
SEARCHED_EVERYWHERE = (
    8  # needles with which every command and export is asked as well; all are looked for in files
)
VALUES = re.compile(
    r"\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+\b|\b[a-z0-9.-]+\.example(?:\.(?:org|net|com))?\b|\b[0-9a-f]{32,128}\b"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/play-exercise", description="play a pack on three daemons, and look for a leak"
    )
    parser.add_argument("--speed", type=int, default=60)
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep the lead's report, as HTML")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="p2pshare-play-") as folder,
        ended(Company(Path(folder))) as company,
    ):
        return Played(company, arguments.speed).run(arguments.report)


class Played:
    def __init__(self, company: Company, speed: int) -> None:
        self.speed = speed
        self.three = [company.found(name) for name in ("alpha", "bravo", "charlie")]
        self.alpha, self.bravo, self.charlie = self.three
        for one in self.three:
            for other in self.three:
                if one is not other:
                    one.trust(other)
            one.start()
        self.done: set[tuple[str, int]] = set()
        self.faults: list[str] = []
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def run(self, report: Path | None) -> int:
        players = ("--as", "hospital-a=bravo", "--as", "hospital-b=charlie")
        made = self.alpha.cli_json(
            "exercise", "new", PACK, *players, "--title", TITLE, "--tlp", "green", "--yes", "--json"
        )
        self.id = made["exercise"]
        for one in (self.bravo, self.charlie):
            wait_until(
                lambda one=one: one.cli("exercise", "join", self.id, codes=(0, 3)).code == 0,
                "joined",
                PATIENCE_SECONDS,
            )
        wait_until(
            lambda: all(each["status"] == "joined" for each in self.show(self.alpha)["members"]),
            "both are in",
            PATIENCE_SECONDS,
        )
        wait_until(lambda: self.show(self.charlie)["pack"], "the commitment is there", PATIENCE_SECONDS)
        self.alpha.cli("exercise", "start", self.id, "--speed", str(self.speed), "--yes")
        self.say(f"started at {self.speed} times speed")
        while self.show(self.alpha)["phase"] != "ended":
            for one in (self.bravo, self.charlie):
                for inject in one.cli_json("exercise", "inbox", self.id, "--json"):
                    if (one.name, inject["inject"]) not in self.done:
                        self.done.add((one.name, inject["inject"]))
                        self.act(one, inject)
            time.sleep(1)
        self.say(f"ended by itself; {len(self.done)} injects were read by players")
        for one in self.three:
            wait_until(
                lambda one=one: self.show(one)["phase"] == "ended", f"{one.name} knows", PATIENCE_SECONDS
            )
        wait_until(
            lambda: self.score(self.alpha) == self.score(self.bravo) == self.score(self.charlie),
            "one score",
            PATIENCE_SECONDS,
        )
        for player in self.score(self.alpha)["players"]:
            timed = [each for each in player["expectations"] if each["after_seconds"] is not None]
            self.say(
                f"{player['name']}: {player['score']} %, {len(timed)} of {len(player['expectations'])} expectations have a time"
            )
            self.require(bool(timed), f"{player['name']} has no time")
        self.require(len(self.show(self.alpha)["injects"]) == 12, "not all injects were released")
        for one in self.three:
            page = one.cli("exercise", "report", self.id, "--format", "html").out
            self.require("<svg" in page and "<script" not in page, f"{one.name}'s report")
            if report is not None and one is self.alpha:
                report.write_text(page, encoding="utf-8")
        self.look("after the game", self.needles())
        for one in self.three:
            gone = one.cli_json("exercise", "remove", self.id, "--yes", "--json")
            self.require(gone["left"] == [] and gone["deleted"] != [], f"{one.name} removes it")
            left = [path.name for path in (one.home / EXERCISES_NAME).rglob("*.sqlite*")]
            self.require(left == [], f"{one.name} keeps {left}")
        self.look("after remove", self.needles())
        for fault in self.faults:
            print(f"fault: {fault}")
        self.say("nothing was found outside" if not self.faults else f"{len(self.faults)} faults")
        return 1 if self.faults else 0

    def act(self, one: Partner, inject: dict[str, Any]) -> None:
        there, number = ("--exercise", self.id), inject["inject"]
        one.cli("exercise", "ack", self.id, str(number), codes=(0, 5))
        choice = {4: "isolate", 5: "cut-link"}.get(number)
        said = (
            ("--choice", choice)
            if choice
            else (f"zx-answer {number}: patients are safe, authorities are told",)
        )
        one.cli("exercise", "answer", self.id, str(number), *said, codes=(0, 5))
        if one is self.charlie:
            return
        for value in {1: ["login.example.org"], 3: ["203.0.113.45"]}.get(number, []):
            one.cli("sight", value, *there, codes=(0, 3))
        if number == 3:
            one.publish("zx-published.example\n", *there)
        if number == 4:
            opened = (
                "--title",
                INCIDENT,
                "--type",
                "ransomware",
                "--tlp",
                "green",
                "--invite",
                "charlie",
                *there,
                "--yes",
                "--json",
            )
            incident = one.cli_json("incident", "open", *opened)["incident"]
            one.cli("incident", "note", incident, NOTE, *there)
        self.say(f"{one.name} did what inject {number} asks")

    def show(self, one: Partner) -> Any:
        return one.cli_json("exercise", "show", self.id, "--json")

    def score(self, one: Partner) -> Any:
        """The score without what each calls the others."""
        told = one.cli_json("exercise", "score", self.id, "--json")
        players = [{**each, "name": each["place"]} for each in told["players"]]
        return {**told, "players": sorted(players, key=lambda each: each["name"])}

    def needles(self) -> list[str]:
        """What was played: what players said, and every value and long line of the pack."""
        found = {"zx-published.example", "zx-answer", NOTE, TITLE, INCIDENT}
        for path in (Path("config/exercises") / PACK).rglob("*"):
            if path.is_file() and path.name != "README.md":
                raw = path.read_text(encoding="utf-8")
                found |= set(VALUES.findall(raw))
                found |= {line.strip()[:60] for line in raw.splitlines() if len(line.strip()) > 80}
        return sorted(found)

    def look(self, when: str, needles: Sequence[str]) -> None:
        for one in self.three:
            few = ["zx-published.example", NOTE, TITLE, INCIDENT, "login.example.org", "203.0.113.45"][
                :SEARCHED_EVERYWHERE
            ]
            seen = search(one, few)
            self.require(
                seen.looked_at >= {each.name for each in EXITS} - {"real spaces"},
                f"{one.name}: not all was looked at",
            )
            leaks = {place: list(what) for place, what in seen.leaks.items()}
            files = [
                path
                for path in one.home.rglob("*")
                if path.is_file() and EXERCISES_NAME not in path.relative_to(one.home).parts
            ]
            for path in [*files, one.log_path]:
                raw = path.read_bytes()
                if what := [needle for needle in needles if needle.encode() in raw]:
                    leaks.setdefault(path.name, []).extend(what)
            self.require(not leaks, f"{when}, {one.name}: {json.dumps(leaks)[:400]}")
        self.say(
            f"{when}: {len(needles)} needles looked for in all files of three homes, {len(few)} by every command and export"
        )

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            self.faults.append(what)
            self.say(f"fault: {what}")


if __name__ == "__main__":
    sys.exit(main())
