"""Who an envelope was for stands in one table, and what still waits in another: neither loses anybody."""

from __future__ import annotations

from stored_envelopes import store_envelopes

from p2pshare.envelope.envelope import Mode


def test_who_acknowledged_is_known_after_a_restart_and_only_the_others_still_wait(open_at, make):
    store = open_at()
    state = store.log.author_state(make.now)
    own = {"author": make.ourselves, "received_from": None, "incarnation": state.incarnation}
    to = (make.alpha, make.bravo)
    [waiting] = store_envelopes(store, [make.envelope(sequence=1, mode=Mode.DIRECT, audience=to, **own)])
    store.log.acknowledge(waiting.entry.envelope_id, make.alpha)
    store.close()
    again = open_at()
    assert again.log.audience(waiting.entry.envelope_id) == {make.alpha: True, make.bravo: False}
    assert [len(again.log.outbox(one)) for one in to] == [0, 1]
