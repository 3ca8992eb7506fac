"""Real inputs, published into a real store: read = stored + merged + refused, and what is stored is what an independent
script finds. Read again, or in parts, nothing is added.

The independent script is `plainly`: a few lines of `str`, `re`, `ipaddress` and `urllib`, which share nothing with the
readers. For each kind of input the counts stand beside it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from whole_drafts import draft_file
from whole_nodes import NOW, World, befriend, publish, quiet

from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.sharing.drafting import Author, Draft, nothing_before
from p2pshare.sharing.screening import Confirmed

HASHES = {32: "md5", 40: "sha1", 64: "sha256"}


@pytest.fixture
def alpha(world: World) -> Node:
    node = world.found("alpha")
    befriend(node, world.found("bravo"))
    return node


def share(node: Node, path: Path, *, now: int = NOW, format_name: str = "auto") -> Draft:
    """Reads and publishes a file; checks that nothing was lost on the way to the store."""
    with path.open("rb") as stream:
        draft = draft_file(
            stream,
            name=path.name,
            format_name=format_name,
            tlp=Tlp.GREEN,
            author=Author(node.identity.partner_id, "alpha"),
            now=now,
            first_created=nothing_before,
            progress=quiet,
        )
    kept = sum(part.objects - part.repeats for part in draft.parts)
    assert draft.read == kept + draft.merged + draft.refusals.total
    confirmed = Confirmed(private=True, listed=True)
    report = publish(node, draft.parts, names=[], ttl_class=4, is_dry_run=False, now=now, progress=quiet, confirmed=confirmed)  # fmt: skip
    assert (report.published, report.refusals.total) == (kept, 0)
    return draft


def stored(node: Node) -> set[tuple[str, str]]:
    return {(one.type, one.value) for _, one in node.store.knowledge.observables_after(0, 1_000_000)}


def plainly(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What a person who reads a list aloud would say, line by line."""
    for line in lines:
        text = re.split(r"\s#|\(#|#\s", line.strip().lstrip("\ufeff"))[0].split("\t")[0].strip()
        if not text or text.startswith(("#", "/")) or " " in text:
            continue
        text = text.replace("[.]", ".")
        if re.fullmatch(r"[0-9A-Fa-f]+", text) and len(text) in HASHES:
            yield HASHES[len(text)], text.lower()
        elif "://" in text or ("/" in text and not re.fullmatch(r"[\d.]+/\d+", text)):
            yield "url", plain_url(text if "://" in text else f"http://{text}")
        elif "@" in text:
            yield "email", text
        else:
            yield plain_host(re.sub(r":\d+$", "", text))


def plain_host(host: str) -> tuple[str, str]:
    if re.fullmatch(r"[\d.]+", host):
        return "ipv4", str(ipaddress.ip_address(host))
    if re.fullmatch(r"[\d.]+/\d+", host):
        network = ipaddress.ip_network(host, strict=False)
        return (
            ("ipv4", str(network.network_address)) if network.prefixlen == 32 else ("ipv4-net", str(network))
        )
    return "domain", host.lower().rstrip(".").encode(
        "idna"
    ).decode() if not host.isascii() else host.lower().rstrip(".")


def plain_url(text: str) -> str:
    parts = urlsplit(text)
    netloc = parts.netloc.lower().removesuffix(":80" if parts.scheme == "http" else ":443")
    return parts._replace(netloc=netloc, path=parts.path or "/").geturl()


# folder or pattern -> values, refused
LISTS = {
    "lists/ipsum/levels/*.txt": (5_354, 0),
    "lists/maltrail/malware/*.txt": (20_481, 203),  # 201 paths, two sentences
    "misp-events/eset/**/samples.*": (2_727, 0),
    "stix21/amnesty/**/domains.txt": (845, 0),
}


@pytest.mark.parametrize("pattern", LISTS)
def test_lists(alpha: Node, shared_data: Path, pattern: str) -> None:
    paths = sorted(shared_data.glob(pattern))
    drafts = [share(alpha, path) for path in paths]
    assert {draft.format for draft in drafts} == {"list"}
    expected = {pair for path in paths for pair in plainly(path.read_text().splitlines())}
    assert stored(alpha) == expected
    assert (len(expected), sum(draft.refusals.total for draft in drafts)) == LISTS[pattern]


# How many observables the 15 events hold under to_ids, as tests/importers/test_importers_misp.py computes file by file.
MISP_OBSERVABLES = 688


def test_misp_events_and_their_subsets_again(alpha: Node, shared_data: Path, tmp_path: Path) -> None:
    paths = [
        path
        for path in sorted((shared_data / "misp-events/eset").glob("*/*.json"))
        if "rqz-" not in path.name
    ]
    assert len(paths) == 15
    drafts = [share(alpha, path) for path in paths]
    assert {draft.format for draft in drafts} == {"misp"}
    assert (
        sum(draft.read for draft in drafts) == 1_964
    )  # 15 events, 1,680 attributes, 134 objects, 135 references
    assert sum(draft.refusals.total + draft.merged for draft in drafts) == 0
    once = claims(alpha)
    assert len(once) == MISP_OBSERVABLES
    both = tmp_path / "both.json"
    both.write_bytes(b"[" + paths[0].read_bytes() + b"," + paths[4].read_bytes() + b"]")
    share(alpha, both, now=NOW + 60)
    assert claims(alpha) == once


def claims(node: Node) -> dict[tuple[str, str], list[str]]:
    """The objects that claim each observable."""
    observables = [one for _, one in node.store.knowledge.observables_after(0, 1_000_000)]
    return {
        (one.type, one.value): sorted(claim.object_id for claim in found)
        for one, found in node.store.knowledge.lookup(observables).items()
    }


@pytest.mark.parametrize(
    ("case", "stix", "domains"),
    [("2021-12-16_cytrox", "cytrox.stix2", 336), ("2024-05-02_wintego_helios", "wintego_helios.stix2", 175)],
)
def test_a_list_and_the_bundle_made_of_it_are_one_set(
    alpha: Node, shared_data: Path, case: str, stix: str, domains: int
) -> None:
    folder = shared_data / "stix21/amnesty" / case
    share(alpha, folder / "domains.txt")
    from_list = stored(alpha)
    assert len(from_list) == domains
    share(alpha, folder / stix)
    assert {pair for pair in stored(alpha) if pair[0] == "domain"} == from_list
    before = claims(alpha)
    share(alpha, folder / "domains.txt", now=NOW + 60)
    assert claims(alpha) == before


def test_a_table_is_stored_whole(alpha: Node, shared_data: Path) -> None:
    draft = share(alpha, shared_data / "stix21/amnesty/2018-08-01_nso/indicators.csv")
    assert (draft.format, draft.read, draft.merged, draft.refusals.total) == ("csv", 1_208, 17, 0)
    text = (shared_data / "stix21/amnesty/2018-08-01_nso/indicators.csv").read_text()
    cells = re.findall('"([^"]+)"', text)
    assert stored(alpha) == set(plainly(cells))
    assert len(stored(alpha)) == 1_191
