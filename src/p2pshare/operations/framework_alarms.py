"""Playbooks in `status` and the alarms: what nobody may work by, and what its owner wanted to look at again.

====================  ==============================================================================
playbook-forked       two contents of one version of a playbook are there: neither is ever in force
playbook-review       the day is past on which its owner wanted to look at a playbook again
====================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from p2pshare.identifiers import PartnerId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.playbooks.quorum import instant_order
from p2pshare.operations.frameworks import FRAMEWORK
from p2pshare.operations.space_alarms import standings
from p2pshare.queries.alarms import Alarm, AlarmFunction, Situation, alarm_about


def _playbooks(seen: Situation) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yields the versions that count of each playbook of our frameworks, oldest first, with the id of the framework."""
    for one in standings(seen.store):
        state = one.output.get("state")
        if one.row.kind != FRAMEWORK or state is None or one.status_of(seen.own_id) != "joined":
            continue
        of: dict[str, list[Mapping[str, Any]]] = {}
        for version in state["playbooks"]:
            if version["counts"]:
                of.setdefault(version["playbook"], []).append(version)
        for versions in of.values():
            yield one.row.space.text, sorted(versions, key=lambda said: instant_order(said["modified"]))


def _forked(seen: Situation) -> Iterator[Alarm]:
    for space, versions in _playbooks(seen):
        forked = [one for one in versions if one["forked"]]
        if forked and instant_order(forked[-1]["modified"]) == instant_order(versions[-1]["modified"]):
            newest = forked[-1]
            yield alarm_about(
                "playbook-forked",
                PartnerId.parse(newest["author"]),
                seen.names,
                None,
                f"two contents of version {newest['modified']} of the playbook '{clip(newest['name'])}' are there: nobody works by either",
                "its owner makes a new version, and members approve that",
                space=space,
            )


def _review(seen: Situation) -> Iterator[Alarm]:
    for space, versions in _playbooks(seen):
        newest = versions[-1]
        if newest["review"] is not None and newest["review"] <= seen.now:
            due = format_instant(newest["review"] * SECOND_US)
            yield alarm_about(
                "playbook-review",
                PartnerId.parse(newest["author"]),
                seen.names,
                None,
                f"the playbook '{clip(newest['name'])}' was to be looked at again by {due}",
                "its owner imports it with another --review, or as a new version",
                space=space,
            )


FRAMEWORK_ALARMS: tuple[AlarmFunction, ...] = (_forked, _review)
