"""How old is what is read of an incident: at partners, at introduced members, in the views (docs/incidents.md, "Measured"); see scripts/measure-incidents.

alpha leads; bravo and charlie are its partners, and none of each other before `incident trust`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import Company, Partner, ended, wait_until
from p2pshare.cli.session import connect
from p2pshare.operations.incidents import SayInIncident

PATIENCE_SECONDS = 300.0
FRESH = "SELECT 1 FROM v1_incidents WHERE id = '{}' AND is_current"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/measure-incidents", description="measure how old incidents are"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=1_100, metavar="N", help="entries of a large incident")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="p2pshare-times-") as folder,
        ended(Company(Path(folder))) as company,
    ):
        Times(company, arguments.rounds, arguments.large).measure()
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


class Times:
    def __init__(self, company: Company, rounds: int, large: int) -> None:
        self.rounds, self.large = rounds, large
        self.alpha, self.bravo, self.charlie = (company.found(name) for name in ("alpha", "bravo", "charlie"))
        for one in (self.bravo, self.charlie):
            self.alpha.trust(one)
            one.trust(self.alpha)
        for one in (self.alpha, self.bravo, self.charlie):
            one.configure("reconcile_seconds", "60")  # as it is shipped
            one.start()
        self.case = self._opened("Times")

    def _opened(self, title: str) -> str:
        words = (
            "--title",
            title,
            "--type",
            "x",
            "--tlp",
            "green",
            "--invite",
            "bravo",
            "--invite",
            "charlie",
            "--yes",
        )
        case = str(self.alpha.cli_json("incident", "open", *words, "--json")["incident"])
        for one in (self.bravo, self.charlie):
            wait_until(
                lambda one=one: one.cli("incident", "join", case, codes=(0, 3, 5)).code == 0,
                "joins",
                PATIENCE_SECONDS,
            )
        for one in (self.alpha, self.bravo, self.charlie):
            wait_until(
                lambda one=one: (
                    sum(member["status"] == "joined" for member in self.shown(one, case)["members"]) == 3
                ),
                "all have joined",
                PATIENCE_SECONDS,
            )
        return case

    def shown(self, partner: Partner, case: str) -> Any:
        return partner.cli_json("incident", "show", case, "--json")

    def measure(self) -> None:
        self._several("an indicator of a partner in v1_indicators", self._of_a_partner)
        self._several("a value of an introduced member in `incident show`", self._of_an_introduced)
        self._several(
            "a note of our own in v1_incident_timeline",
            lambda number: self._note(self.alpha, self.alpha, number, self.case),
        )
        self._several(
            "a note of a partner in v1_incident_timeline",
            lambda number: self._note(self.alpha, self.bravo, number, self.case),
        )
        self._several(
            "v1_incidents is current again behind it", lambda number: self._current(number, self.case)
        )
        print(
            f"an introduced member's values in v1_indicators after `incident trust` on both sides: {self._trusted():.1f} s",
            flush=True,
        )
        large = self._opened("Large")
        for one in (self.alpha, self.bravo):  # each less than 600 an hour, which it may hand over unasked
            with connect(one.home) as session:
                for number in range(self.large // 2):
                    session.run(SayInIncident(large, "note", b"note %d" % number))
        for one in (self.alpha, self.bravo):
            count = f"SELECT 1 FROM v1_incident_timeline WHERE incident = '{large}' GROUP BY incident HAVING count(*) >= {self.large}"
            wait_until(
                lambda one=one, count=count: one.query(count), "the large one is read", PATIENCE_SECONDS
            )
        self._several(
            f"of {self.large} entries: a note of our own in the view",
            lambda number: self._note(self.alpha, self.alpha, number, large),
        )
        self._several(
            f"of {self.large} entries: a note of a partner in the view",
            lambda number: self._note(self.alpha, self.bravo, number, large),
        )
        self._several(
            f"of {self.large} entries: a task (a deciding entry) in v1_tasks",
            lambda number: self._task(number, large),
        )
        for name, case in (("of some entries", self.case), (f"of {self.large} entries", large)):
            self._several(
                f"{name}: a text gone from the view of a partner behind its redaction",
                lambda number, case=case: self._redacted(number, case),
            )

    def _redacted(self, number: int, case: str) -> float:
        """An authority entry: all effects are found anew, which keeps a pause in a large incident."""
        entry = self.alpha.cli_json("incident", "note", case, f"to be redacted {number}", "--json")["entry"]
        row = f"SELECT text FROM v1_incident_timeline WHERE entry = '{entry}'"
        self._until(lambda: bool(self.bravo.query(row)))
        self.alpha.cli("incident", "redact", case, entry, "--yes")
        return self._until(lambda: self.bravo.query(row) == [(None,)])

    def _several(self, name: str, measured: Callable[[int], float]) -> None:
        found = sorted(measured(number) for number in range(self.rounds))
        print(
            f"{name}: median {statistics.median(found):.1f} s, longest {found[-1]:.1f} s, of {len(found)}",
            flush=True,
        )

    def _until(self, happened: Callable[[], Any]) -> float:
        start = time.monotonic()
        wait_until(happened, "it is there", PATIENCE_SECONDS)
        return time.monotonic() - start

    def _of_a_partner(self, number: int) -> float:
        value = f"partner{number}.test.org"
        self.alpha.cli("incident", "ioc", "add", self.case, value, "--yes")
        return self._until(
            lambda: self.bravo.query(f"SELECT 1 FROM v1_indicators WHERE active AND value = '{value}'")
        )

    def _of_an_introduced(self, number: int) -> float:
        value = f"introduced{number}.test.org"
        self.charlie.cli("incident", "ioc", "add", self.case, value, "--yes")
        return self._until(
            lambda: value in [one["value"] for one in self.shown(self.bravo, self.case)["observables"]]
        )

    def _trusted(self) -> float:
        for one, other in ((self.bravo, self.charlie), (self.charlie, self.bravo)):
            one.cli("incident", "trust", self.case, other.partner_id, "--fingerprint", other.fingerprint)
        found = "SELECT count(*) FROM v1_indicators WHERE active AND value LIKE 'introduced%'"
        return self._until(lambda: self.bravo.query(found) == [(self.rounds,)])

    def _note(self, author: Partner, reader: Partner, number: int, case: str) -> float:
        text = f"note {number} for {reader.name} at {time.monotonic()}"
        author.cli("incident", "note", case, text, "--json")
        return self._until(
            lambda: reader.query(
                f"SELECT 1 FROM v1_incident_timeline WHERE incident = '{case}' AND text = '{text}'"
            )
        )

    def _current(self, number: int, case: str) -> float:
        self.alpha.cli("incident", "note", case, f"current {number}", "--json")
        return self._until(lambda: self.alpha.query(FRESH.format(case)))

    def _task(self, number: int, case: str) -> float:
        title = f"task {number}"
        self.alpha.cli("incident", "task", "add", case, title, "--json")
        return self._until(
            lambda: self.alpha.query(
                f"SELECT 1 FROM v1_tasks WHERE incident = '{case}' AND title = '{title}'"
            )
        )


if __name__ == "__main__":
    sys.exit(main())
