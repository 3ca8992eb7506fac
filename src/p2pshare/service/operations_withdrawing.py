"""The operations behind `withdraw` and `recall`."""

from __future__ import annotations

import time
from typing import Any

from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.service.arguments import Arguments, Progress, argument, names
from p2pshare.service.partners import load_roster
from p2pshare.service.recalling import recall_status
from p2pshare.service.withdrawing import Request, withdraw


def withdraw_objects(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    request = Request(
        what=argument(arguments, "what", str),
        reason=Reason.parse(argument(arguments, "reason", str)),
        replaced_by=argument(arguments, "replaced_by", str, "") or None,
        names=names(arguments, "to"),
    )
    report = withdraw(
        node,
        request,
        is_dry_run=argument(arguments, "dry_run", bool, False),
        now=int(time.time()),
        progress=lambda what, done, of: progress({"what": what, "done": done, "of": of}),
    )
    return report.to_json()


def tell_recall(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return recall_status(node.store, load_roster(node), argument(arguments, "what", str))
