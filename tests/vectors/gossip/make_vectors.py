"""Writes the conversations beside this file anew. Only after a change of the protocol; they are deterministic.

Run from the top folder: `.venv/bin/python tests/vectors/gossip/make_vectors.py`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "support"))

from gossip_transcripts import SCENES, write_down  # noqa: E402

if __name__ == "__main__":
    for name in SCENES:
        (HERE / f"{name}.json").write_text(json.dumps(write_down(name), indent=1) + "\n")
