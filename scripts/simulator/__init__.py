"""The simulator: many partners in one process, on virtual time, under every fault we can think of.

The engine, the exchange, intake, policy and the store are the product's; only the clock, the network between partners and
the hands that perform actions are made here. It knows no interface: never peering, daemon or cli. docs/simulation.md
tells how to use it.
"""
