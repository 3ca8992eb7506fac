"""Gossip: how envelopes spread between stores, as a machine without input or output.

`engine` is the door; docs/gossip.md is the protocol. Sees ids, sizes and expiries, never an object, a key or a card; no clock,
no network, no thread: *now* and the random generator are arguments. In the field's words it has three parts:

1. **Eager push and lazy announce** (`push`, `want`, `fetching`), as in Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast
   Trees, SRDS 2007): a body goes to a few peers at once, its id to the others, who ask for what they lack: IHAVE and GRAFT
   are our `announce` and `get`. Unlike Plumtree no tree is learnt and nothing is pruned: an author pushes, to at most
   8 peers drawn at random and 64 KiB each, for nobody else can hold the envelope yet; a relay announces. (In a large and
   sparse federation a relay pushes once what its author pushed to it.) And there is no membership protocol: peers are
   the partners whom an operator linked.
2. **Anti-entropy** (`reconciliation`, `responder`), after Demers et al.: Epidemic Algorithms for Replicated Database Maintenance,
   PODC 1987: each link's two stores are compared now and then, checksums first (the roots in each hello), pull and push in
   one session. It makes spreading correct; pushing and announcing make it fast. Unlike there nothing is updated or deleted:
   an envelope never changes, and expires. Instead of a death certificate its key is kept until an hour after that.
3. **Range-based set reconciliation** (`negentropy`; Meyer: Range-Based Set Reconciliation, arXiv:2212.13567, 2023) finds what differs, in the
   bytes of Negentropy protocol version 1 (Hoyte). Our responder answers as the reference's does; our initiator asks for small
   ranges instead of listing its own ids, and first narrows down on the newest (docs/decisions/0021). A daily audit keys the
   fingerprints, whose sums could be forged (docs/decisions/0020).
"""
