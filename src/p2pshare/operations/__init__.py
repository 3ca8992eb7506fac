"""Operations: all that can be asked of a node, by the command line, over the control socket, and by every later interface.

One file a concept, one class an operation: its fields are the request, its `run` does it, and the answer that `run`
returns is a Struct, too. `table.py` names them all. A new operation is a class here and a line there.
"""
