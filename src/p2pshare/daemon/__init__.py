"""The driver on the real clock and network: start, stop, signals, the control socket.

Performs what the engine asks; holds no rule of its own.
"""
