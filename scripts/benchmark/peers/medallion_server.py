"""medallion with its memory backend: what is stored before comes from its data file, the rest over HTTP.

Run by an interpreter that has medallion. Objects are read back one by one: for a page of any size it compares every
object with every other one, minutes of CPU at 10,000 stored. How many it holds is counted in its manifest.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from serving import free_port, read_objects, serving, told
from taxii_client import MEDIA_TYPE, hand_in

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
PATH = f"/benchmark/collections/{COLLECTION}/objects/"
MANIFEST = f"/benchmark/collections/{COLLECTION}/manifest/"
PAGE_MAX = 1_000_000  # all of the manifest on one page
READ_BACK = 5
STORED_AT = "2026-11-01T00:00:00.000000Z"


def data(stored: list[dict[str, object]]) -> dict[str, object]:
    """The file that the memory backend starts from."""
    manifest = [
        {
            "id": one["id"],
            "date_added": STORED_AT,
            "version": one["modified"],
            "media_type": "application/stix+json;version=2.1",
        }
        for one in stored
    ]
    collection = {
        "id": COLLECTION,
        "title": "benchmark",
        "can_read": True,
        "can_write": True,
        "media_types": ["application/stix+json;version=2.1"],
        "objects": stored,
        "manifest": manifest,
    }
    information = {"title": "benchmark", "versions": [MEDIA_TYPE], "max_content_length": 104_857_600}
    return {
        "/discovery": {"title": "benchmark", "api_roots": ["/benchmark/"]},
        "benchmark": {"information": information, "status": [], "collections": [collection]},
    }


def main() -> None:
    stored, objects = read_objects("stored.json"), read_objects("objects.json")
    Path("data.json").write_text(json.dumps(data(stored)))
    backend = {
        "module": "medallion.backends.memory_backend",
        "module_class": "MemoryBackend",
        "filename": "data.json",
        "session_timeout": 600,
    }
    Path("config.json").write_text(
        json.dumps({"backend": backend, "users": {"bench": "bench"}, "taxii": {"max_page_size": PAGE_MAX}})
    )
    port = free_port()
    headers = {
        "Accept": MEDIA_TYPE,
        "Authorization": "Basic " + base64.b64encode(b"bench:bench").decode(),
    }
    command = [sys.executable, "-m", "medallion.scripts.run", "--port", str(port), "config.json"]
    with serving(command, port) as server:
        taken = hand_in(server, PATH, objects, headers, per_post=len(objects))
        held = server.ask("GET", f"{MANIFEST}?limit={PAGE_MAX}&match[spec_version]=2.1", headers)
        start = server.cpu_seconds()
        for one in objects[:READ_BACK]:
            page = server.ask("GET", f"{PATH}{one['id']}/", headers)
            assert isinstance(page, dict) and page["objects"] == [one]
        given = server.cpu_seconds() - start
    assert isinstance(held, dict)
    told(
        held=len({one["id"] for one in held["objects"]}),
        in_cpu_seconds=taken,
        out_count=READ_BACK,
        out_cpu_seconds=given,
    )


if __name__ == "__main__":
    main()
