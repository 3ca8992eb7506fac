"""Screening: at publishing, refuse values on a blocking list and content that tells of ourselves, unless a person
confirmed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from p2pshare.config import PrivacyConfig
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.json_rescue import elements_of
from p2pshare.intel.refusals import Refusals
from p2pshare.node.node import Node
from p2pshare.policy.privacy import PrivacyFinding, PrivacyRules, find_in_object, find_in_value, has_marks
from p2pshare.sharing.content import ReadFrame
from p2pshare.sharing.quarantining import ALLOW_LIST, WARNING_LIST, Mark, marks_of
from p2pshare.warninglists.warning_found import Pair
from p2pshare.warninglists.warning_index import Hit
from p2pshare.warninglists.warning_lists import ListAction


@dataclass(frozen=True)
class Confirmed:
    """The content that a person said may leave all the same."""

    private: bool = False
    listed: bool = False


NOTHING_CONFIRMED = Confirmed()


def privacy_rules(config: PrivacyConfig) -> PrivacyRules:
    """Returns the privacy lint's rules: the domains that the configuration calls ours."""
    return PrivacyRules(frozenset(config.internal_domains), frozenset(config.mail_domains))


class Screening:
    """The decision, frame after frame and object by object, what may leave: what must not leave unconfirmed is refused,
    what was confirmed is noted."""

    def __init__(self, node: Node, confirmed: Confirmed) -> None:
        self.refusals, self.notes = Refusals(), Refusals()
        self._index = node.warning_index
        self._rules = privacy_rules(node.config.privacy)
        self._confirmed = confirmed
        self._blocked: dict[Pair, list[Hit]] = {}

    @property
    def marks(self) -> list[Mark]:
        """Returns the quarantine of observables that may leave though a list blocks them: they are no less listed here."""
        return marks_of(self._blocked)

    def passing(self, frame: ReadFrame, objects: Sequence[ObjectFacts]) -> Sequence[ObjectFacts]:
        """Returns those of `objects`, which are of `frame`, that may leave."""
        hits = self._hits_of(objects)
        findings = _findings(frame.text, objects, self._rules)
        if not hits and not findings:
            return objects
        passing = [one for one in objects if not self._is_refused(one, findings.get(one.position), hits)]
        for one in passing if hits else ():
            for pair in ((claim.type, claim.value) for claim in one.claims):
                if blocking := [hit for hit in hits.get(pair, ()) if hit.action is ListAction.BLOCK]:
                    self._blocked[pair] = blocking
        return passing

    def _hits_of(self, objects: Sequence[ObjectFacts]) -> dict[Pair, list[Hit]]:
        if self._index is None:
            return {}
        return self._index.hits((claim.type, claim.value) for one in objects for claim in one.claims)

    def _is_refused(
        self, one: ObjectFacts, finding: PrivacyFinding | None, hits: Mapping[Pair, Sequence[Hit]]
    ) -> bool:
        """Count what was found about one object; returns whether a reason that is not confirmed refuses it (the first one
        does)."""
        if finding is not None:
            if not self._confirmed.private:
                self.refusals.add(*finding)
                return True
            self.notes.add(*finding)
        for claim in one.claims:
            if claim.revoked:  # what is said to be no indicator any more may always be said
                continue
            for hit in hits.get((claim.type, claim.value), ()):
                example = f"{claim.value} ({hit.list_name})"
                reason = ALLOW_LIST if hit.is_own else WARNING_LIST
                if hit.action is ListAction.BLOCK and not self._confirmed.listed:
                    self.refusals.add(reason, example)
                    return True
                self.notes.add(reason, example)
        return False


def _findings(text: bytes, objects: Sequence[ObjectFacts], rules: PrivacyRules) -> dict[int, PrivacyFinding]:
    """Returns position -> what the privacy lint found there, in a frame's JSON array `text`. Only what may hold something
    is decoded once more."""
    findings: dict[int, PrivacyFinding] = {}
    has_any = has_marks(text, rules)
    raws = elements_of(text) if has_any or not all(one.claims for one in objects) else []
    for one in objects:
        found = _find_in_claims(one, rules)
        if found is None and raws and (not one.claims or has_marks(bytes(raws[one.position]), rules)):
            about = one.assessment.observable if one.assessment is not None else None
            stix = msgspec.json.decode(raws[one.position])
            found = find_in_object(stix, rules, about="" if about is None else about.value)
        if found is not None:
            findings[one.position] = found
    return findings


def _find_in_claims(one: ObjectFacts, rules: PrivacyRules) -> PrivacyFinding | None:
    for claim in one.claims:
        found = find_in_value(claim.type, claim.value, rules)
        if found is not None:
            return found
    return None
