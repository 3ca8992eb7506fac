"""The command line: one file a command group, one console through which all words pass.

Stands on the daemon's control socket and on `operations`; imports drivers and cryptography only inside the commands that
need them, results go to stdout and the rest to stderr.
"""
