"""The SQLite store's part about what authors took back (interface_withdrawing.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from p2pshare.identifiers import PartnerId
from p2pshare.store import reading_withdrawals
from p2pshare.store.interface_withdrawing import Carrier, Withdrawal
from p2pshare.store.transactions import Transactions


class SqliteWithdrawing(Transactions):
    """See `interface_withdrawing` for what each method promises."""

    def withdrawals(self, object_id: str) -> Mapping[PartnerId, Withdrawal]:
        return self._read(reading_withdrawals.of_object, object_id)

    def carriers(self, object_id: str) -> list[Carrier]:
        return self._read(reading_withdrawals.carriers, object_id)

    def withdrawn_up_to(self, author: PartnerId, object_ids: Collection[str]) -> Mapping[str, int]:
        return self._read(reading_withdrawals.withdrawn_up_to, author, object_ids)
