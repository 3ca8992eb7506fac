"""`withdraw` and `recall status`: take back what we published, and see which partners have heard of it."""

from __future__ import annotations

from msgspec import Struct

from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import LeftOut, Query, Request, left_out
from p2pshare.sharing.outlet import outlet_of
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.recalling import RecallStatus, recall_status
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw


class Withdrawn(Struct, frozen=True, forbid_unknown_fields=True):
    """The objects that were taken back, and the partners that are told or not; `already`: objects that are withdrawn as
    they stand. In an exercise: values, and the entries that say it."""

    objects: list[str]
    already: list[str]
    envelopes: list[str]
    recipients: list[str]
    skipped: list[LeftOut]
    markings: list[str]


class Withdraw(Request[Withdrawn], frozen=True, tag="withdraw"):
    """Take back the object of that id, or each of ours that claims the value. `to`: partners and groups that hear of it
    besides the earlier audience."""

    what: str
    reason: str
    replaced_by: str | None = None
    to: tuple[str, ...] = ()
    dry_run: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> Withdrawn:
        outlet = outlet_of(node)
        if outlet is not None:
            reason = Reason.parse(self.reason)
            played = outlet.withdraw(self.what, str(reason), is_dry_run=self.dry_run, now=now)
            return Withdrawn(
                objects=[value for _, value in played.values],
                already=[],
                envelopes=[one.text for one in played.entries],
                recipients=played.recipients,
                skipped=[],
                markings=[tlp.label for tlp in played.markings],
            )
        request = WithdrawalRequest(self.what, Reason.parse(self.reason), self.replaced_by, self.to)
        report = withdraw(node, request, is_dry_run=self.dry_run, now=now, progress=progress)
        return Withdrawn(
            objects=sorted(report.objects),
            already=sorted(report.already),
            envelopes=[one.text for one in report.envelopes],
            recipients=sorted(report.recipients),
            skipped=left_out(report.skipped),
            markings=[tlp.label for tlp in sorted(report.markings)],
        )


class ShowRecall(Query[RecallStatus], frozen=True, tag="recall-status"):
    """Show which partners have heard that the object of that id was withdrawn."""

    what: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> RecallStatus:
        return recall_status(node.store, load_roster(node), self.what)
