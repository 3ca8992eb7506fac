"""The formats by name. A new one is a file beside this one and a line here."""

from __future__ import annotations

from p2pshare.export import ndjson, plain_list
from p2pshare.export.interface import Format

FORMATS: dict[str, Format] = {one.name: one for one in (ndjson.FORMAT, plain_list.FORMAT)}
