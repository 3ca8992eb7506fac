"""The commands `asset` and `risk`: one file a group. Only they run the room `risk`, and none of them holds a socket.

What is asked of the inventory never leaves but by `exposure`, which does not open the file: a process of its own answers it
(`exposure_answer`), and hands at most 256 bytes through its stdout to the command that shows them, asks and sends.
"""
