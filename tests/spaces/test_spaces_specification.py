"""docs/spaces.md, and the page of a kind, cannot drift: every code, kind, key and word of the fold's output stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from space_histories import Teller

from p2pshare.envelope.entry import AUTHORITY_KINDS, CONTENT_IN_EVERY_SPACE, DECIDING_IN_EVERY_SPACE
from p2pshare.intel.marking import Tlp
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import fold
from p2pshare.spaces.registry import SPACE_KINDS, load_space_kind

CODE = re.compile(r'"([a-z]+(?:-[a-z]+)+|cut|forked|disowned|unconfirmed|voted|settled|held|later)"')
NO_CODES = {"p2pshare", "utf-8", "already-held", "bad-argument"}
"""`already-held` is what became of something, `bad-argument` what a command says of its own words."""


PAGES = {
    "note": ("spaces.md", "## The kind `note`"),
    "framework": ("frameworks.md", "## Kinds of entry"),
    "incident": ("incidents.md", "## Kinds of entry"),
    "lab": ("labs.md", "## Kinds of entry"),
    "exercise": ("exercises.md", "## Kinds of entry"),
}
"""Where the table of each kind stands."""


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "spaces.md").read_text(encoding="utf-8")


def test_every_code_is_on_the_pages(repository: Path) -> None:
    names = {"spaces.md", "intelligence.md", *(name for name, _ in PAGES.values())}
    page = "".join((repository / "docs" / name).read_text(encoding="utf-8") for name in sorted(names))
    sources = sorted((repository / "src" / "p2pshare" / "spaces").glob("*.py"))
    codes = {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))} - NO_CODES
    assert len(codes) >= 24, "the search itself works"
    assert sorted(code for code in codes if not re.search(rf"`{code}`|  (?:else )?{code}\b", page)) == []


def test_every_kind_has_its_row(page: str) -> None:
    told = {
        kind
        for row in re.findall(r"^\| (`[a-z`, ]+`) \|", page, re.MULTILINE)
        for kind in re.findall(r"[a-z]+", row)
    }
    assert told >= DECIDING_IN_EVERY_SPACE
    listed = re.search(r"\*Authority kinds\* are ((?:`\w+`\s*)+);", page)
    assert listed is not None and set(re.findall(r"`(\w+)`", listed.group(1))) == AUTHORITY_KINDS
    assert all(f"Content `{kind}`" in page for kind in CONTENT_IN_EVERY_SPACE)


@pytest.mark.parametrize("name", SPACE_KINDS)
def test_the_table_of_a_kind_is_the_code_s(name: str, repository: Path) -> None:
    page, heading = PAGES[name]
    text = (repository / "docs" / page).read_text(encoding="utf-8")
    section = text.partition(heading)[2].partition("\n## ")[0]
    kind = load_space_kind(name)
    assert kind is not None
    rows = re.findall(r"^\| (`[a-z`, -]+`) \| (yes|no) \| (.+) \|$", section, re.MULTILINE)
    told = {
        (entry_kind, deciding, bool({"lead", "lead only"} & set(cells.split(" | "))))
        for kinds, deciding, cells in rows
        for entry_kind in re.findall(r"`([a-z-]+)`", kinds)
    }
    assert told == {
        (entry_kind, "yes" if row.is_deciding else "no", row.is_lead_only)
        for entry_kind, row in kind.entry_kinds.items()
    }


def test_every_key_of_the_output_is_on_the_page(page: str) -> None:
    told = Teller("LA")
    told.note("A")
    output = json.loads(canonical(fold(told.entries.values())))
    section = page.partition("### Canonical output")[2].partition("\n## Limits")[0]
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| ", section, re.MULTILINE)
    keys = {key for row in rows for key in re.findall(r"[a-z]+", row)}
    assert keys >= {*output, *output["state"]}
    (note,), entry, member = output["state"]["notes"], output["timeline"][0], output["members"][0]
    for key in (*note, *entry, *member):
        assert f'"{key}"' in section
    assert all(f"`{level.label}`" in section for level in Tlp)
