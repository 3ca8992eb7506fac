"""What a person asks: one file a command group, one voice.

Stands on the daemon's control socket and on `service`; imports drivers and cryptography only inside the
commands that need them, results go to stdout and the rest to stderr.
"""
