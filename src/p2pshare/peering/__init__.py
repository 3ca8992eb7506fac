"""The door to other partners: mutual TLS 1.3 and HTTP/1.1, both directions, on the server of `http_server`.

Translates, never decides: a request of a pinned partner becomes a call of `interface.PeerExchange`, whose answer
goes back. No unknown caller reaches the HTTP parser. May not touch the store, the policy or an envelope's content.
"""
