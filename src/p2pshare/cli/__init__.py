"""What a person asks

 one file a command group, one voice.:Imports drivers and crypto lazily; results to stdout, the rest to stderr.
"""
