"""The demo through a pipe: a command stands above its answer, whoever reads along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# the story without its daemons: what is under test is the order of its lines and of what commands answer
STORY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import demo
from demos import sharing, stage
stage.HOMES = Path(sys.argv[2])
sharing.NAMES = ("charlie",)
sharing.LOOK_INSIDE = "print('the answer of {store}')"
def tell_story(own_file):
    stage.title("a title")
    stage.run("charlie", "init", "--name", "Charlie", "--dial-only")
    print("in between")
    stage.run("charlie", "partner", "list")
sharing.found_partners = lambda: None
stage.start = lambda name: None
stage.stop = lambda daemons: None
sharing.tell_story = tell_story
sys.exit(demo.main([]))
"""


def test_a_query_stands_above_its_answer_in_a_pipe(repository: Path, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", STORY, str(repository / "scripts"), str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as telling:
        assert telling.stdout is not None
        lines = [line.rstrip() for line in telling.stdout]
    assert telling.returncode == 0, lines
    wanted = [
        "# a title",
        "$ p2pshare --home",
        "home         ",
        "next: `p2pshare run`; then `p2pshare invite",
        "in between",
        "$ p2pshare --home",
        "no partners yet",
        "# the daemons are stopped",
        "charlie  ",
        "$ python3 -c",
        "the answer of",
        "$ sqlite3 -readonly",
    ]
    told = [next((one for one in wanted if line.startswith(one)), None) for line in lines]
    assert [one for one in told if one] == wanted
