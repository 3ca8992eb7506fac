"""A hardened HTTP/1.1 server over TLS 1.3: the base of every server of ours, for partners and others.

Caps before TLS, the pin of a certificate at each request, limits on heads, bodies, rates, memory and time, and a count
of each refusal. The routes, the callers and the form of a refusal come from a `Service` of the room above: this room
knows no partner, no message and no envelope.
"""
