"""A rule from idea to production: four organisations write it, each tries it on data that stays in its house, and all see the same verdict."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing

from demos import stage

PORT, GRID, RAIL, WATER = NAMES = ("port", "grid", "rail", "water")
HERE = stage.SAMPLE / "lab"
TITLE = "Download By Certutil"
LOOK_INSIDE = (
    "import sqlite3; db = sqlite3.connect('file:{file}?mode=ro', uri=True); "
    "print(*db.execute('SELECT title, status, author_name, licence, level FROM v1_rules'), sep='\\n')"
)


class Told:
    """The story as it goes: the lab."""

    def __init__(self) -> None:
        self.id = ""

    def wait_until_equal(self) -> None:
        """Wait until all hold the same: as many entries everywhere, in a lab where nobody writes meanwhile."""
        stage.wait_until(lambda: len({entries(name) for name in NAMES}) == 1, "all four hold the same")

    def canonical(self, name: str) -> str:
        command = [*stage.program(name), "lab", "show", self.id, "--canonical"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def tell(arguments: Sequence[str]) -> int:
    """Tells the story; returns the exit code."""
    told = Told()
    found()
    with stage.running(NAMES):
        tell_opening(told)
        tell_first_text(told)
        tell_what_stays(told)
        tell_better_text(told)
        tell_production(told)
    tell_what_the_siem_sees()
    return 0


def lab(name: str, *words: str, expect: int = 0) -> None:
    """Runs a command of labs as it is shown, with what it says on stderr."""
    command = [*stage.program(name), "lab", *words]
    print("$ p2pshare --home", stage.shown(stage.HOMES / name), "lab", shlex.join(map(stage.shown, words)))
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    if done.returncode != expect:
        raise SystemExit(f"error: p2pshare lab {words[0]} answered with exit code {done.returncode}")


def entries(name: str) -> int:
    with closing(sqlite3.connect(f"file:{stage.HOMES / name / 'store.sqlite'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM space_entry").fetchone()[0])


def found() -> None:
    """Four homes that are partners of each other; their SIEMs read rules from `test` on."""
    stage.clear()
    fingerprints = {}
    for name, port in zip(NAMES, stage.free_ports(len(NAMES)), strict=True):
        init = ("init", "--name", name.capitalize(), "--url", f"https://127.0.0.1:{port}", "--json")
        done = subprocess.run([*stage.program(name), *init], check=True, capture_output=True)
        fingerprints[name] = json.loads(done.stdout)["fingerprint"]
        config = stage.HOMES / name / "config.toml"
        config.write_text(
            config.read_text().replace('siem_status_min = "stable"', 'siem_status_min = "test"')
        )
    for name in NAMES:
        for other in NAMES:
            if name != other:
                own_card = str(stage.HOMES / other / "card.p2pcard")
                card = ("partner", "add", own_card, "--alias", other)
                stage.run(name, *card, "--fingerprint", fingerprints[other], quiet=True)


def tell_opening(told: Told) -> None:
    stage.title("the port asks three others: who else is attacked with certutil?")
    invited = [word for name in (GRID, RAIL, WATER) for word in ("--invite", name)]
    lab(
        PORT,
        "open",
        "--title",
        "Certutil",
        "--question",
        "Which downloads by certutil are attacks?",
        *invited,
    )
    told.id = stage.run_json(PORT, "lab", "list")[0]["lab"]
    for name in (GRID, RAIL, WATER):
        stage.wait_until(lambda name=name: entries(name) > 0, f"{name} is invited")
        lab(name, "join", told.id[:10])
    told.wait_until_equal()


def tell_first_text(told: Told) -> None:
    stage.title("a rule names its author and its licence, or it does not come in")
    lab(PORT, "rule", "add", str(HERE / "certutil.yml"), expect=5)
    lab(PORT, "rule", "add", str(HERE / "certutil.yml"), "--licence", "DRL-1.1")
    stage.title("what it must match, and what it must not; these two events may be handed over")
    lab(PORT, "sample", "add", str(HERE / "attack.json"), "--positive", "--with-content")
    lab(PORT, "sample", "add", str(HERE / "quiet.json"), "--negative", "--with-content")
    told.wait_until_equal()
    stage.title("the others find the same, each on its own machine, in a child without network")
    for name in (PORT, GRID, RAIL):
        lab(name, "test")
    told.wait_until_equal()


def tell_what_stays(told: Told) -> None:
    stage.title("the grid tries it on its own log, of which nobody is told anything, and disagrees")
    lab(GRID, "sample", "add", str(HERE / "own-log.jsonl"), "--negative", "--local")
    lab(GRID, "test", "--samples", "own", "--dry-run")
    lab(GRID, "review", TITLE, "--disagree", "-m", "revocation lists are fetched so, too")
    lab(GRID, "rule", "propose", str(HERE / "better.yml"), "-m", "leaves revocation lists out")
    told.wait_until_equal()


def tell_better_text(told: Told) -> None:
    stage.title("the port takes the better text: another byte, another rule, and it begins again")
    lab(PORT, "rule", "adopt", str(HERE / "better.yml"))
    told.wait_until_equal()
    for name in (RAIL, WATER):
        lab(name, "test", TITLE)
        lab(name, "review", TITLE, "--agree")
    told.wait_until_equal()
    stage.title(
        "two others agree, and theirs found the same: it is in test, at all four, and nobody decided it"
    )
    lab(WATER, "status")
    if len({told.canonical(name) for name in NAMES}) != 1:
        raise SystemExit("error: the four do not hold the same")


def tell_production(told: Told) -> None:
    stage.title("from the field come counts, and small ones in buckets")
    lab(RAIL, "field", TITLE, "--hits", "12", "--confirmed", "12", "--benign", "0", "--window", "30d")
    lab(WATER, "field", TITLE, "--hits", "3", "--confirmed", "2", "--benign", "0", "--window", "30d")
    told.wait_until_equal()
    stage.title("thirty days later it can be stable, and not before")
    lab(PORT, "promote", TITLE, expect=5)
    stage.title("for the scanner: the rule with its author and its licence")
    lab(WATER, "export", "--status", "test", "-o", str(stage.HOMES / "rules.yml"))
    stage.wait_until(lambda: rules_at(WATER) == 1, "the view is fresh")


def rules_at(name: str) -> int:
    with closing(sqlite3.connect(f"file:{stage.HOMES / name / 'store.sqlite'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM v1_rules").fetchone()[0])


def tell_what_the_siem_sees() -> None:
    stage.title("the own SIEM reads a view")
    command = LOOK_INSIDE.format(file=stage.shown(stage.HOMES / WATER / "store.sqlite"))
    print(f'$ python3 -c "{command}"')
    subprocess.run([sys.executable, "-c", command], check=True, cwd=stage.TOP)
