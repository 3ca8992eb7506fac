"""The stories that scripts/demo tells: every line that starts with `$` is a command that you could type.

A story is a file in scripts/demos/ with `tell`, and a line here. One that is named as an extra is told with that extra, `lab` with `detect`.
"""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

STORIES = {
    "exercise": "demos.exercise",
    "framework": "demos.framework",
    "incident": "demos.incident",
    "lab": "demos.lab",
    "risk": "demos.risk",
}
OF_A_FILE = "demos.sharing"  # without a name: three partners share a sample, or the file that is given


def main(arguments: list[str]) -> int:
    # commands write to the same pipe: each line must be out before the next command speaks
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    named = arguments[:1] and arguments[0] in STORIES
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # python -I has not
    module = importlib.import_module(STORIES[arguments[0]] if named else OF_A_FILE)
    return int(module.tell(arguments[1:] if named else arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
