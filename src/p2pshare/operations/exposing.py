"""`risk exposure --share`: an answer about vulnerabilities, told to the members of a space. It knows nothing of the inventory.

The request has no free text: what is told is put together here, from words of a small grammar, so that whoever asks a daemon
to tell an answer can tell nothing else with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node, Progress
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import SpaceWritten, space_called, written
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement

ANSWERS_MAX = 5  # in one entry, as in one question (cli/risk/aggregate.py)
HERE = ("joined", "invited")  # who is told: no later invitation widens it

CveId = Annotated[str, Meta(pattern=r"\ACVE-[0-9]{4}-[0-9]{4,19}\Z")]
IsoDay = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class ToldExposure(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a vulnerability is ours: how many assets have it or may have it, "no" for none."""

    cve: CveId
    assets: Literal["no", "1-9", "10-99", "100+"]


class TellExposure(Request[SpaceWritten], frozen=True, tag="space-exposure"):
    """Tell an answer to those who are members of the space of that id now, AMBER+STRICT or as strictly as the space is marked."""

    id: str
    as_of: IsoDay
    answers: Annotated[tuple[ToldExposure, ...], Meta(min_length=1, max_length=ANSWERS_MAX)]

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id)
        members = spaces_of(node).state(row.space).members
        audience = tuple(sorted(member for member, status in members.items() if status in HERE))
        text = told_text(self.as_of, self.answers).encode()
        said = SpaceStatement("note", text, max(row.tlp, int(Tlp.AMBER_STRICT)), audience)
        return written(node, row, said, now)


def told_text(as_of: str, answers: tuple[ToldExposure, ...]) -> str:
    """Returns the sentence that is told."""
    told = ", ".join(
        f"{one.cve} {'no' if one.assets == 'no' else f'yes ({one.assets} assets)'}" for one in answers
    )
    return f"exposure as of {as_of}: {told}"
