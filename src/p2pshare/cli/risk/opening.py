"""The file of `p2pshare risk`, opened by a command: `risk/risk.sqlite` in the home folder, for its owner alone."""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli.options import Function, UsageProblem
from p2pshare.errors import OperatorError

if TYPE_CHECKING:
    from p2pshare.config import Config
    from p2pshare.risk.risk_store import RiskStore

FOLDER_NAME = "risk"
"""A folder of its own: the units hide it from the daemon, and let the worker write nothing else."""
FILE_NAME = "risk.sqlite"
TABLES = ("ssvc-deployer", "cisa-bod-26-04")
DEFAULT_TABLE = TABLES[0]
_AGO = re.compile(r"(\d{1,5})([dwmy])")
_DAYS_OF = {"d": 1, "w": 7, "m": 30, "y": 365}


def risk_path(home: Path) -> Path:
    """Returns where the file of a home is."""
    return home / FOLDER_NAME / FILE_NAME


@contextmanager
def open_own(home: Path) -> Iterator[RiskStore]:
    """Yields the file of `home`, made where there is none. Raises ConfigError without a home, OperatorError, StoreError."""
    from p2pshare.config import CONFIG_NAME, load_config

    with open_with(home, load_config(home / CONFIG_NAME)) as store:
        yield store


@contextmanager
def open_with(home: Path, config: Config) -> Iterator[RiskStore]:
    """Yields the file of `home` under these rules. Raises OperatorError, StoreError."""
    from p2pshare.risk.extra import require_extra
    from p2pshare.risk.risk_store import RiskRules, open_risk

    require_extra()
    due = config.risk.due
    days = {
        "immediate": due.immediate,
        "out-of-cycle": due.out_of_cycle,
        "scheduled": due.scheduled,
        "defer": due.defer,
    }
    rules = RiskRules(
        kev_absence_means=config.risk.kev_absence_means,
        partners_mean_active=config.risk.partners_mean_active,
        due_days={outcome: number or None for outcome, number in days.items()},
    )
    path = risk_path(home)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"cannot make {path.parent}: {(error.strerror or 'unknown').lower()}",
            hint="check the owner and mode of the home folder",
            reason="output",
        ) from None
    store = open_risk(path, rules=rules, free_space_bytes_min=config.free_space_bytes_min)
    try:
        yield store
    finally:
        store.close()


def now_seconds() -> int:
    return int(time.time())


def day_of(instant: int | None) -> str | None:
    """Returns the day (UTC, ISO 8601) of an instant in seconds."""
    return None if instant is None else datetime.fromtimestamp(instant, UTC).date().isoformat()


def person() -> str:
    """Returns who is at this machine, for what is decided in a name; `--by` says it better."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return "unknown"


def parse_end(text: str, now: int) -> int:
    """Returns the instant at which a day ends (`2027-01-31`), or that is so far ahead (`90d`, `6m`). Raises UsageProblem."""
    ahead = _AGO.fullmatch(text)
    try:
        if ahead:
            return now + int(ahead[1]) * _DAYS_OF[ahead[2]] * 86_400
        after = datetime.combine(date.fromisoformat(text) + timedelta(days=1), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        raise UsageProblem("that is no day", hint="as 2027-01-31, or so far ahead: 30d, 6m, 1y") from None
    return int(after.timestamp()) - 1


def parse_begin(text: str, now: int) -> int:
    """Returns the instant at which a day begins (`2026-11-01`), or that long ago (`7d`, `1m`). Raises UsageProblem."""
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return max(0, now - int(ago[1]) * _DAYS_OF[ago[2]] * 86_400)
        return int(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp())
    except (ValueError, OverflowError):
        raise UsageProblem("that is no day", hint="as 2026-11-01, or so long ago: 7d, 3m") from None


def table_option(function: Function) -> Function:
    """Add `--table`: which decision table decides."""
    return click.option(
        "--table",
        type=click.Choice(TABLES),
        default=DEFAULT_TABLE,
        show_default=True,
        help="the decision table: CERT/CC's for who deploys, which knows human impact, or CISA's BOD 26-04",
    )(function)


def by_option(function: Function) -> Function:
    """Add `--by`: in whose name it is decided."""
    return click.option("--by", metavar="NAME", default="", help="who decides; else the account's name")(
        function
    )


def as_told(told: Any) -> list[dict[str, Any]]:
    """Returns places and sentences as JSON has them: [{row, why}]."""
    return [one if isinstance(one, dict) else {"row": one.row, "why": one.why} for one in told]
