"""A direct envelope that a partner put off is offered again, also when the link never falls.

Found by the simulator: scenario clocks, seed 1 (the author's clock two hours ahead of the recipient's).
"""

from __future__ import annotations

from typing import Any

from p2pshare.gossip import actions, events
from p2pshare.gossip.messages import PutAnswer, PutVerdict
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import HELLO_INTERVAL_SECONDS

DIRECT = EnvelopeId(bytes([7]) * 32)


def test_what_a_recipient_deferred_is_offered_again_after_its_next_hello(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    (peer,) = talk.peers
    read = talk.expect(actions.ReadOutbox)
    talk.tell(events.OutboxRead(read.peer, (DIRECT,)))
    push = talk.expect(actions.SendPut)
    talk.tell(events.Answered(push.request, PutAnswer(PutVerdict.DEFERRED, "deferred")))
    talk.expect_none(actions.SendPut)
    talk.waiting.clear()
    for _ in range(3):
        talk.sleep(HELLO_INTERVAL_SECONDS)
        hellos = [one for one in talk.waiting if isinstance(one, actions.SendHello)]
        for hello in hellos:
            talk.waiting.remove(hello)
            talk.tell(events.Answered(hello.request, hello.message), after=0.01)
    talk.tell(events.OutboxRead(talk.expect(actions.ReadOutbox).peer, (DIRECT,)))
    assert talk.expect(actions.SendPut).envelope_id == DIRECT
    assert talk.engine.state(peer) is not None
