"""The formats by name. A new one is a file beside this one and a line here."""

from __future__ import annotations

from p2pshare.exporters import misp, ndjson, plain_list
from p2pshare.exporters.interface import FolderFormat, Format

FORMATS: dict[str, Format] = {one.name: one for one in (ndjson.FORMAT, plain_list.FORMAT, misp.FORMAT)}
FOLDER_FORMATS: dict[str, FolderFormat] = {misp.FEED.name: misp.FEED}
