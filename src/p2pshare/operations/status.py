"""`status`: how this node is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pshare.operations.incident_alarms import EVERY_ALARM
from p2pshare.operations.interface import Query
from p2pshare.operations.pending import waiting
from p2pshare.operations.space_alarms import spaces_status
from p2pshare.queries.status import NodeStatus, PendingStatus, status
from p2pshare.sharing.introducing import waiting_members

if TYPE_CHECKING:
    from p2pshare.node.node import NodeReading, Progress


class ShowStatus(Query[NodeStatus], frozen=True, tag="status"):
    """Describe this node on one screen."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> NodeStatus:
        pending = PendingStatus(
            len(waiting(node, now)), len(node.store.pending.accepted()), waiting_members(node, now)
        )
        return status(node, now, EVERY_ALARM, spaces=spaces_status(node), pending_partners=pending)
