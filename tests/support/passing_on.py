"""Partners who publish, pass on, say by themselves, and take back, for tests of what counts where."""

from __future__ import annotations

import json
from typing import Any

from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import Derivation, ObjectOrigin, restated_id, restating, with_derivation
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object


class Partner:
    """One author: each call seals one envelope, a second after the last one of any partner on the same `clock`."""

    def __init__(self, make: Any, author: PartnerId, clock: list[int]) -> None:
        self.make, self.author, self._clock = make, author, clock
        self.sequence = 0
        self.latest: dict[str, dict[str, Any]] = {}
        """The newest version of each object, by id."""

    def origin(self, stix: dict[str, Any]) -> ObjectOrigin:
        return ObjectOrigin(self.author, stix["id"])

    def seal(self, *objects: dict[str, Any], **more: Any) -> Any:
        self.sequence += 1
        self._clock[0] += 1
        more.setdefault("created", self.make.now + self._clock[0])
        return self.make.envelope(*objects, author=self.author, sequence=self.sequence, **more)

    def instant(self) -> str:
        """The time of the next envelope."""
        return format_instant((self.make.now + self._clock[0] + 1) * SECOND_US) or ""

    def indicator(self, value: str, name: str, **more: Any) -> dict[str, Any]:
        made = self.make.indicator(value, name=name, **({"modified": self.instant()} | more))
        self.latest[made["id"]] = made
        return made

    def publish(self, value: str, name: str, **more: Any) -> Any:
        return self.seal(self.indicator(value, name, **more))

    def repeat(self, stix: dict[str, Any]) -> Any:
        """The same object under the own signature, as a platform that read it gives it out again."""
        self.latest[stix["id"]] = stix
        return self.seal(stix)

    def restated(
        self, origin: ObjectOrigin, stix: dict[str, Any], of: Derivation | None = None
    ) -> dict[str, Any]:
        made = with_derivation(
            stix | {"id": restated_id(self.author, origin), "modified": self.instant()}, restating(origin, of)
        )
        self.latest[made["id"]] = made
        return made

    def restate(
        self, origin: ObjectOrigin, stix: dict[str, Any], of: Derivation | None = None, **more: Any
    ) -> Any:
        return self.seal(self.restated(origin, stix, of), **more)

    def taking_back(self, object_id: str, **more: Any) -> dict[str, Any]:
        latest = self.latest.get(object_id)
        facts = WithdrawalFacts(
            object_id,
            1,
            self.sequence,
            None if latest is None else parse_instant(latest["modified"]),
            Reason.MISTAKE,
            None,
        )
        now = self.make.now + self._clock[0] + 1
        return json.loads(withdrawal_object(facts, author=self.author, now=now, tlp=Tlp.GREEN)) | more

    def withdraw(self, object_id: str, **more: Any) -> Any:
        return self.seal(self.taking_back(object_id, **more))
