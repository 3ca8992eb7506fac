"""Risk: what partners' words mean for our own assets (docs/risk.md). Ours alone: nothing that sends may import this room.

Read in this order: `words` (states, matches, inputs), `assets` and `statements` (what is read, of ours and of others), the
readers in `inventory/` and `sources/`, `match_keys` and `matching` (where both meet), `decision_tables` and `ranking` (what it comes to),
`risk_store` (the file, `risk.sqlite`). Opened by `risk` commands and by a worker without sockets, never by the daemon.
"""
