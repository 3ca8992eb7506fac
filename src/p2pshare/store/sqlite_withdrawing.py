"""The SQLite store's part about what authors took back (interface_withdrawing.py)."""

from __future__ import annotations

from collections.abc import Mapping

from p2pshare.identifiers import PartnerId
from p2pshare.store import withdrawals
from p2pshare.store.interface_withdrawing import Withdrawal
from p2pshare.store.transactions import Transactions


class SqliteWithdrawing(Transactions):
    """See `interface_withdrawing` for what each method promises."""

    def withdrawals(self, object_id: str) -> Mapping[PartnerId, Withdrawal]:
        return self._read(withdrawals.of_object, object_id)
