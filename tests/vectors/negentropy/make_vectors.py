"""Writes the dialogues beside this file anew. Only after a change of what an initiator says; they are deterministic.

Run from the top folder: `.venv/bin/python tests/vectors/negentropy/make_vectors.py`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "support"))

from negentropy_dialogues import START, converse, index_of, numbered_key, spread  # noqa: E402

SHARED = spread(400)
NEWEST = spread(80, first=1_000, created=START + 1_000)
SCATTERED = {key for number, key in enumerate(sorted(SHARED)) if number % 97 == 5}
ONE_SECOND = {numbered_key(number, START) for number in range(300)}

# name: (initiator's keys, responder's keys, frame of both)
SCENES = {
    "both-empty": (set(), set(), 0),
    "initiator-empty": (set(), spread(40), 0),
    "responder-empty": (spread(40), set(), 0),
    "in-sync": (SHARED, SHARED, 0),
    "newest-differ": (SHARED, SHARED | NEWEST, 0),
    "scattered-both-ways": (SHARED - SCATTERED, SHARED | NEWEST - SCATTERED, 0),
    "one-second": (ONE_SECOND, ONE_SECOND | {numbered_key(900, START)}, 0),
    "small-frame": (spread(200), spread(200, first=150, created=START + 50) | spread(150), 4096),
}


def main() -> None:
    for name, (client, server, frame) in SCENES.items():
        for lists_own_ids in (True, False):
            frames = {"frame_bytes_max": frame, "server_frame": frame} if frame else {}
            dialogue = converse(index_of(client), index_of(server), lists_own_ids=lists_own_ids, **frames)
            scene = {
                "lists_own_ids": lists_own_ids,
                "client": [[int.from_bytes(key[:8], "big"), key[8:].hex()] for key in sorted(client)],
                "server": [[int.from_bytes(key[:8], "big"), key[8:].hex()] for key in sorted(server)],
                "client_frame": frame,
                "server_frame": frame,
                "messages": [[who, raw.hex()] for who, raw in dialogue.messages],
                "have": sorted(each.hex() for each in dialogue.have),
                "need": sorted(each.hex() for each in dialogue.need),
            }
            kind = "listing" if lists_own_ids else "asking"
            (HERE / f"{name}-{kind}.json").write_text(json.dumps(scene, indent=0) + "\n")


if __name__ == "__main__":
    main()
