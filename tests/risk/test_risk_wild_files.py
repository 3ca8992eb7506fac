"""Files with bytes that are not theirs: every reader answers or refuses, and a refused file leaves nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from advisories_made import written
from risk_cases import NOW, kind_of

from p2pshare.errors import ShareError
from p2pshare.risk.risk_store import RiskStore, open_risk

CASES = Path(__file__).parent / "cases"
FILES = sorted(path for path in CASES.rglob("*") if path.is_file() and kind_of(path))
PIECES = (b"\x00", b"\xff\xfe", b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e999", b"-9" * 40, b"\xed\xa0\x80", b"\\ud800",
          b"<", b">", b"&x;", b"]]>", b"\r", b"\n", b";", b"\xef\xbb\xbf", b"vers:", b"%", b"urn:cdx:")  # fmt: skip


def wild(raw: bytes, draw: random.Random) -> bytes:
    """Returns a file with pieces put in, cut out or doubled."""
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(raw) + 1)
        end = min(len(raw), start + draw.choice((0, 1, 2, 30)))
        put = draw.choice((*PIECES, b"", raw[start:end] * 2))
        raw = raw[:start] + put + raw[end:]
    return raw


def contents(store: RiskStore) -> list[object]:
    tables = (
        "asset",
        "component",
        "asset_component",
        "inventory_file",
        "document",
        "statement",
        "verdict",
        "hit",
    )
    return [store.fetch(f"SELECT count(*) FROM {table}") for table in tables]


@pytest.mark.parametrize("seed", range(4))
def test_wild_files_are_read_or_refused_whole(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    store = open_risk(tmp_path / "risk.sqlite")
    read = refused = 0
    for number in range(60):
        path = draw.choice(FILES)
        made = written(tmp_path, f"{number % 7}-{path.name}", wild(path.read_bytes(), draw))
        kind, before = kind_of(path), contents(store)
        try:
            if kind == "inventory":
                store.import_inventory(made, now=NOW)
            else:
                store.add_source(kind, made, now=NOW)
            read += 1
        except ShareError as error:
            refused += 1
            assert contents(store) == before and error.reason and error.message
        store.rank(now=NOW, with_all=True)
    assert read > 10 and refused > 3
    store.close()


@pytest.mark.parametrize("kind", ["kev", "epss", "vulnrichment", "osv", "csaf", "vex"])
def test_noise_is_no_source(kind: str, tmp_path: Path) -> None:
    store = open_risk(tmp_path / "risk.sqlite")
    draw = random.Random(kind)
    for number in range(20):
        noise = bytes(draw.choice(b'{}[]",:0aC\n<>') for _ in range(draw.randint(0, 200)))
        with pytest.raises(ShareError):
            store.add_source(kind, written(tmp_path, f"{number}", noise), now=NOW)
    store.close()
