"""Lives two years, a week a step, with three real daemons under faketime; see scripts/live-two-years, and docs/operations/years.md for what came of it."""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from free_port import free_port

import conftest
from conftest import Company, Partner, ended, faked, wait_until
from p2pshare.envelope import age_format

WEEK_SECONDS = 7 * 86_400
NAMES = ("alpha", "bravo", "charlie")
PASSPHRASE = "five random words are here\n"
PATIENCE_SECONDS = 150  # an author whose content cost much rests for up to a minute (sharing.reading), on a machine with much to do
RENEWED_DAYS_MAX = (
    44  # 30 days served, and two weeks: a week is a step, and who is off in it looks in the next
)
NEEDS_NOBODY = frozenset({"clock-jumped"})
"""Alarms that the pages say need nobody: a week passed in a moment for who ran, as for a machine that slept."""
LOOK_SECONDS = 0.2
LOG_LINES = 80  # of each partner that a fault shows
TELL_STACKS = "import faulthandler, signal\nfaulthandler.register(signal.SIGUSR1, all_threads=True)\n"
CLOCK_FILE = "P2PSHARE_LIVED_CLOCK"


class Years:
    """Three partners, linked with one another, and what they have published and withdrawn."""

    def __init__(self, company: Company, clock: Path) -> None:
        self.company, self.clock = company, clock
        self.week = 0
        self._ahead = time.time() - time.monotonic()
        """By how much the clock was ahead of the monotonic one, which is not faked, when they began."""
        self.published: dict[int, tuple[str, str]] = {}
        """Author and value of each week."""
        self.withdrawn: set[str] = set()
        self.alarms_seen: Counter[str] = Counter()
        self.partners: dict[str, Partner] = {}

    def begin(self) -> None:
        """Found the three, and publish what the first weeks withdraw."""
        self.partners = {name: self.company.found(name) for name in NAMES}
        everybody = list(self.partners.values())
        for one in everybody:
            for other in everybody:
                if other is not one:
                    one.trust(other)
        for one in everybody:
            one.preface = TELL_STACKS
            one.start()
        for number, one in enumerate(everybody):
            self._publish(number - len(NAMES) + 1, one)
        self._all_hold()

    def live_a_week(self, *, moves: bool, dies: bool) -> None:
        """Let a week pass; in it one is off for a moment while another one publishes, one withdraws, or the node moves, or is restored."""
        self.week += 1
        self._pass_a_week()
        alpha, off = self.partners["alpha"], self.partners[NAMES[self.week % 3]]
        if dies:
            self._back_up()
            self._publish(self.week, alpha)
            self._withdraw(self.week - len(NAMES))
            self._all_hold()
            self._restore()
        elif moves:
            self._move()
            self._withdraw(self.week - len(NAMES))
        else:
            (off.kill if self.week % 2 else off.stop)()
            self._publish(self.week, self.partners[NAMES[(self.week + 1) % 3]])
            off.start()
            self._withdraw(self.week - len(NAMES))
        self._all_hold()
        self._cards_are_known()
        self._nobody_is_needed(NEEDS_NOBODY | ({"own-card-unsure"} if dies else set()))

    def end(self) -> None:
        """Check what is there after all these weeks: each value and withdrawal, everywhere, and the doctor."""
        values = {value for _, value in self.published.values()}
        for one in self.partners.values():
            held = {row[0] for row in one.query("SELECT value FROM observable")}
            assert values <= held, f"{one.name} lost {sorted(values - held)}"
            active = self._active(one)
            assert not active & self.withdrawn, f"{one.name} shows {sorted(active & self.withdrawn)} again"
            numbers = one.query(
                "SELECT count(*), count(DISTINCT author || '-' || incarnation || '-' || sequence) FROM envelope"
            )
            assert numbers[0][0] == numbers[0][1], f"{one.name} holds two envelopes of one number"
            failed = [check for check in self._doctor(one) if check["level"] == "fail"]
            assert not failed, f"{one.name}: {failed}"
            version = self._version(one)
            least = self.week * 7 // RENEWED_DAYS_MAX
            assert version > least, (
                f"{one.name} renewed {version - 1} times in {self.week} weeks, not {least}"
            )
        for one in self.partners.values():
            assert one.stop() == 0, f"{one.name} did not end well"

    # --- parts of a week ---

    def _pass_a_week(self) -> None:
        self.clock.write_text(f"+{self.week * WEEK_SECONDS}\n")
        ahead = self._ahead + self.week * WEEK_SECONDS
        wait_until(lambda: time.time() - time.monotonic() > ahead - 60, "the week passes")

    def _publish(self, week: int, author: Partner) -> None:
        value = f"week-{week + len(NAMES)}.{author.name}.example"
        author.publish(f"{value}\n")
        self.published[week] = author.name, value

    def _withdraw(self, week: int) -> None:
        author, value = self.published[week]
        self.partners[author].cli("withdraw", value, "--reason", "false-positive", "--yes")
        self.withdrawn.add(value)

    def _all_hold(self) -> None:
        """Everybody shows what was published last, and nothing of what was withdrawn."""
        newest = self.published[max(self.published)][1]
        for one in self.partners.values():
            wait_until(
                lambda one=one: newest in self._active(one), f"{one.name} shows {newest}", PATIENCE_SECONDS
            )
            wait_until(
                lambda one=one: not self._active(one) & self.withdrawn,
                f"{one.name} knows what is withdrawn",
                PATIENCE_SECONDS,
            )

    def _cards_are_known(self) -> None:
        for one in self.partners.values():
            for other in self.partners.values():
                if other is not one:
                    wait_until(
                        lambda one=one, other=other: self._known(one, other.name) == self._version(other),
                        f"{one.name} has the newest card of {other.name}",
                        PATIENCE_SECONDS,
                    )

    def _nobody_is_needed(self, allowed: frozenset[str] | set[str]) -> None:
        for one in self.partners.values():
            with suppress(AssertionError):
                wait_until(
                    lambda one=one: self._alarms(one) <= allowed, "no person is needed", PATIENCE_SECONDS
                )
            alarms = self._alarms(one)
            assert alarms <= allowed, f"{one.name} needs a person: {sorted(alarms - allowed)}"
            self.alarms_seen.update(alarms)

    # --- what a person does, as the pages say ---

    def _move(self) -> None:
        """docs/operations/moving.md."""
        alpha, port = self.partners["alpha"], free_port()
        alpha.cli("card", "set", "--url", f"https://127.0.0.1:{port}")
        self._cards_are_known()
        alpha.stop()
        alpha.cli("backup", "node.age", "--passphrase-file", "backup.pass", "--force")
        old = alpha.home
        self._publish(self.week, self.partners["bravo"])
        alpha.home = old.parent / "new-server"
        alpha.cli("restore", "node.age", "--passphrase-file", "backup.pass")
        alpha.configure("url", f'"https://127.0.0.1:{port}"')
        alpha.configure("listen", f'"127.0.0.1:{port}"')
        self._doctor(alpha)
        alpha.start()
        shutil.rmtree(old)

    def _back_up(self) -> None:
        """docs/operations/backup.md: after each renewal, and once a month."""
        self._cards_are_known()
        self.partners["alpha"].cli("backup", "node.age", "--passphrase-file", "backup.pass", "--force")

    def _restore(self) -> None:
        """docs/operations/restoring.md: the disk dies with all that came since the backup."""
        alpha = self.partners["alpha"]
        alpha.kill()
        shutil.rmtree(alpha.home)
        alpha.cli("restore", "node.age", "--passphrase-file", "backup.pass")
        self._doctor(alpha)
        alpha.start()

    # --- what is there ---

    def _alarms(self, one: Partner) -> set[str]:
        return {alarm["word"] for alarm in one.status()["alarms"]}

    def _active(self, one: Partner) -> set[str]:
        return {row[0] for row in one.query("SELECT value FROM v1_indicators WHERE status = 'active'")}

    def _known(self, one: Partner, other: str) -> int:
        ((version,),) = one.query(f"SELECT card_version FROM partner WHERE alias = '{other}'")
        return int(version)

    def _version(self, one: Partner) -> int:
        return int(one.cli_json("card", "show", "--json")["version"])

    def _doctor(self, one: Partner) -> list[dict[str, str]]:
        told = one.cli("doctor", "--json", codes=(0, 1, 69, 70, 78)).json
        return list(told["checks"] if isinstance(told, dict) else told)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/live-two-years", description="live two years, a week a step"
    )
    parser.add_argument("--weeks", type=int, default=105, choices=range(3, 521), metavar="3..520")
    chosen = parser.parse_args(arguments)
    if CLOCK_FILE not in os.environ:
        try:
            return _under_faketime(arguments)
        except pytest.skip.Exception:
            print("live-two-years: faketime is not installed")
            return 69
    clock = Path(os.environ[CLOCK_FILE])
    folder = clock.parent
    os.chdir(folder)
    Path("backup.pass").write_text(PASSPHRASE)
    Path("backup.pass").chmod(0o600)
    age_format.SCRYPT_LOG_N = 4  # a second a guess is measured elsewhere
    time.sleep = _sleep
    conftest.PATIENCE_SECONDS = PATIENCE_SECONDS  # of whoever starts and ends: nothing here is about time
    wait_until.__defaults__ = (PATIENCE_SECONDS,)
    begun = time.monotonic()
    with ended(Company(folder)) as company:
        years = Years(company, clock)
        try:
            years.begin()
            for week in range(1, chosen.weeks + 1):
                years.live_a_week(
                    moves=week == (chosen.weeks + 2) // 3, dies=week == (2 * chosen.weeks + 2) // 3
                )
                print(f"week {week}: {time.monotonic() - begun:.0f} s", flush=True)
            versions = {name: years._version(one) for name, one in years.partners.items()}
            size = sum(
                file.stat().st_size for file in years.partners["alpha"].home.rglob("*") if file.is_file()
            )
            years.end()
        except AssertionError as fault:
            print(f"fault in week {years.week}: {fault}")
            for one in company.partners:
                if one.process is not None:
                    one.signal(signal.SIGUSR1)  # where each of its threads is
            _sleep(1.0)
            for one in company.partners:
                print(f"--- {one.name}", *one.log().splitlines()[-LOG_LINES:], sep="\n")
            return 1
    processor = os.times()
    print(
        f"{years.week} weeks in {(time.monotonic() - begun) / 60:.1f} minutes, {sum(processor[:4]):.0f} s of the processor; cards {versions}; "
        f"{len(years.published)} published, {len(years.withdrawn)} withdrawn; home of alpha {size / 1e6:.1f} MB; "
        f"alarms {dict(years.alarms_seen) or 'none'}"
    )
    return 0


def _sleep(seconds: float) -> None:
    """Sleep, for `time.sleep`, whose system call faketime answers EINVAL while the monotonic clock is not faked; long enough that to
    look again and again costs little beside three daemons."""
    select.select([], [], [], max(seconds, LOOK_SECONDS))


def _under_faketime(arguments: Sequence[str]) -> int:
    """Start this again with a clock that a file tells; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="p2pshare-years-") as folder:
        clock = Path(folder) / "clock"
        clock.write_text("+0\n")
        environment = os.environ | faked(str(clock)) | {CLOCK_FILE: str(clock)}
        return subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), *arguments], env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
