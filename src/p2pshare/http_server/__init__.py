"""A hardened HTTP/1.1 server over TLS 1.3: what every door of ours stands on, whoever calls there.

Caps before TLS, the pin of a certificate at each request, limits on heads, bodies, rates, memory and time, and a count
of each refusal. What is served, to whom, and how a refusal is written is a `Service` of the room above: this room
knows no partner, no message and no envelope.
"""
