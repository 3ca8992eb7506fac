"""A daemon of a later version takes over the home of this one, and this one does not take it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import next_schema
import pytest
from next_schema import make_rooms

from p2pshare.database.schema import STORE

if TYPE_CHECKING:
    from conftest import Company

pytestmark = pytest.mark.end_to_end
LATER = """
import sys
sys.path[:0] = [{support!r}]
from pathlib import Path
import next_schema
next_schema.use_rooms(Path({rooms!r}))
object.__setattr__(next_schema.STORE, "number", next_schema.NEXT.number)
"""


def test_a_later_daemon_brings_the_store_forward_and_this_version_is_shown_the_way_back(
    company: Company, tmp_path: Path
) -> None:
    alpha, bravo = company.found("alpha"), company.found("bravo")
    alpha.trust(bravo, "--alias", "bravo")
    alpha.start()
    alpha.publish("from-before.example\n")
    alpha.stop()
    before = STORE.number
    rooms = make_rooms(tmp_path / "rooms")
    alpha.preface = LATER.format(support=str(Path(next_schema.__file__).parent), rooms=str(rooms))
    alpha.start()
    assert f"store.sqlite is brought from schema {before} to {before + 1}" in alpha.log()
    [record] = alpha.cli_json("audit", "list", "--action", "upgrade", "--json")
    assert record["subject"] == f"file=store.sqlite from={before} to={before + 1}"
    assert f"upgrade done {record['subject']}" in alpha.log(), "each record is a line of the journal, too"
    assert alpha.query("SELECT word FROM colour") == [("green",)]
    assert [value for (value,) in alpha.query("SELECT value FROM v1_claims")] == ["from-before.example"]
    alpha.stop()
    alpha.preface = ""
    said = alpha.run_refused(1)
    assert f"mv {alpha.home}/store.sqlite.schema-{before} {alpha.home}/store.sqlite" in said
