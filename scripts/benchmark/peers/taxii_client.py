"""The TAXII 2.1 client's side of what is asked of OpenTAXII and medallion: POST envelopes, GET all pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from serving import Server

MEDIA_TYPE = "application/taxii+json;version=2.1"
PER_PAGE = 1_000


def hand_in(
    server: Server,
    path: str,
    objects: Sequence[Mapping[str, object]],
    headers: Mapping[str, str],
    *,
    per_post: int,
) -> float:
    """CPU seconds of the server for all of `objects`, `per_post` at a time (TAXII 2.1, section 5.5)."""
    bodies = [
        json.dumps({"objects": objects[start : start + per_post]}).encode()
        for start in range(0, len(objects), per_post)
    ]
    start = server.cpu_seconds()
    for body in bodies:
        answer = server.ask("POST", path, {**headers, "Content-Type": MEDIA_TYPE}, body)
        assert isinstance(answer, dict) and answer["failure_count"] == 0, answer
    return server.cpu_seconds() - start


def read_back(server: Server, path: str, headers: Mapping[str, str]) -> tuple[set[str], float]:
    """The ids on all pages (section 5.4), and CPU seconds of the server."""
    found: set[str] = set()
    start, following = server.cpu_seconds(), ""
    while True:
        page = server.ask("GET", f"{path}?limit={PER_PAGE}{following}", headers)
        assert isinstance(page, dict)
        found.update(one["id"] for one in page.get("objects", ()))
        if not page.get("more"):
            return found, server.cpu_seconds() - start
        following = f"&next={page['next']}"
