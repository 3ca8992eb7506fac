"""A zip file of rules: each byte for byte as its author wrote it, and a table with the author and licence of each. The same rules make the same file."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Sequence

from p2pshare.intel.display import spreadsheet_cell
from p2pshare.intel.refusals import Refusals
from p2pshare.intel.rule_record import RuleRecord, one_line

ENDINGS = {"sigma": "yml", "yara": "yar", "suricata": "rules", "snort": "rules"}
NAME_CHARACTERS_MAX = 64  # of a title in a file's name
MADE_AT = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file knows: a file's bytes tell no clock
COLUMNS = ("file", "title", "author", "licence", "status", "level", "sha256", "lab", "agreed by")
_ODD = re.compile(r"[^A-Za-z0-9]+")


def render(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns the archive."""
    made, listed = io.BytesIO(), io.StringIO()
    table = csv.writer(listed, lineterminator="\n")
    table.writerow(COLUMNS)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for rule in rules:
            name = f"{rule.language}/{_slug(rule.title)}-{rule.digest[:12]}.{ENDINGS[rule.language]}"
            archive.writestr(_entry(name), rule.text)
            told = (rule.title, rule.author, rule.licence, rule.status, rule.level, rule.digest, rule.lab)
            table.writerow([name, *map(_cell, (*told, ", ".join(rule.agreed)))])
        archive.writestr(_entry("RULES.csv"), listed.getvalue())
    return made.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, MADE_AT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _slug(title: str) -> str:
    return _ODD.sub("-", title).strip("-")[:NAME_CHARACTERS_MAX] or "rule"


def _cell(text: str) -> str:
    """Returns a cell that no spreadsheet takes for a formula."""
    return spreadsheet_cell(one_line(text))
