"""A second fold of frameworks, written from docs/frameworks.md alone: each rule as the page has it, over written-out pasts.

Which entries have an effect and which are `as_lead` is asked of the fold of spaces, which has a naive one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgpack
from naive_incident import NaiveIncident

from p2pshare.identifiers import EntryId

Subject = tuple[str, str, bytes]


class NaiveFramework(NaiveIncident):
    """The registers of a framework, by id."""

    def subject(self, one: EntryId) -> Subject:
        body = self.body(one)
        return body[0], body[1], body[2]

    def manifest_file(self, one: EntryId) -> Any:
        return json.loads(msgpack.unpackb(self.entries[one].content, strict_map_key=False)[0])

    def manifest(self) -> tuple[str | None, bool]:
        newest = self.newest(self.of("manifest"))
        said = {bytes(self.body(one)[0]) for one in newest}
        return (newest[-1].text if newest else None), len(said) > 1

    def owner(self, playbook: str) -> bytes | None:
        versions = self.of("playbook", lambda one: self.body(one)[0] == playbook)
        for one in self.of("manifest"):
            if any(entry["playbook"] == playbook for entry in self.manifest_file(one)["entries"]):
                before = [version for version in versions if version in self.past[one]]
                return self.author(before[0] if before else one)
        return self.author(versions[0]) if versions else None

    def counts(self, one: EntryId) -> bool:
        return self.author(one) == self.owner(self.body(one)[0]) or self.as_lead(one)

    def playbooks(self) -> list[tuple[str, bool, bool]]:
        """Returns (id, whether it counts, whether it is forked): what counts first, each part by playbook."""
        found = []
        for is_counted in (True, False):
            some = self.of("playbook", lambda one, wanted=is_counted: self.counts(one) is wanted)
            for one in sorted(some, key=lambda one: self.body(one)[0]):
                playbook, modified, digest = self.subject(one)
                others = [self.subject(other) for other in some]
                is_forked = any(
                    name == playbook and at == modified and said != digest for name, at, said in others
                )
                found.append((one.text, is_counted, is_forked))
        return found

    def stands(self, one: EntryId) -> bool:
        own = self.of(
            "revoke-approval",
            lambda other: self.author(other) == self.author(one) and self.subject(other) == self.subject(one),
        )
        return all(other in self.past[one] for other in own)

    def approvals(self) -> list[tuple[str, bool]]:
        return [(one.text, self.stands(one)) for one in self.of("approve")]

    def adoptions(self) -> dict[str, str]:
        return {
            author.hex(): EntryId(self.body(self.newest(own)[-1])[0]).text
            for author, own in self.by_author(self.of("adopt")).items()
        }

    def approvers(self, playbook: str, members: Iterable[bytes]) -> dict[tuple[str, bytes], set[str]]:
        """Returns who approves each content that counts, forked or not."""
        joined = set(members)
        versions = {
            self.subject(one)
            for one in self.of("playbook", self.counts)
            if self.body(one)[0] == playbook and not self.body(one)[6]
        }
        return {
            (modified, digest): {
                self.author(one).hex()
                for one in self.of("approve")
                if self.subject(one) == (name, modified, digest)
                and self.stands(one)
                and self.author(one) in joined
            }
            for name, modified, digest in versions
        }
