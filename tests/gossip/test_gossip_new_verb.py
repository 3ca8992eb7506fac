"""What a new verb costs: a toy is written into a copy of the tree, and real nodes and the simulator speak it.

It changes what says it (a message, an action, an event, a row) and the engine, which means something by it; routes,
client, drivers and wires carry it as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# For each file: (where, what stands there instead). `ping` is asked once for each hello that is answered.
TOY: Mapping[str, list[tuple[str, str]]] = {
    "gossip/messages.py": [
        (
            "EngineAnswer = Hello | AnnounceAnswer | PollAnswer | SyncAnswer",
            """@dataclass(frozen=True, slots=True)
class Ping:
    number: int


def encode_ping(message: Ping) -> bytes:
    return _pack([message.number])


def decode_ping(raw: bytes) -> Ping:
    (number,) = _exactly(_unpack(raw), 1)
    return Ping(_integer(number))


EngineAnswer = Hello | AnnounceAnswer | PollAnswer | SyncAnswer | Ping""",
        )
    ],
    "gossip/actions.py": [
        (
            "import Announce, EngineAnswer, Hello, Poll, Sync",
            "import Announce, EngineAnswer, Hello, Ping, Poll, Sync",
        ),
        (
            "SendQuestion = SendHello | SendAnnounce | SendPoll | SendSync",
            """@dataclass(frozen=True, slots=True)
class SendPing:
    request: int
    peer: PartnerId
    message: Ping


SendQuestion = SendHello | SendAnnounce | SendPoll | SendSync | SendPing""",
        ),
    ],
    "gossip/events.py": [
        ("    Hello,\n", "    Hello,\n    Ping,\n"),
        (
            "QuestionHeard = HelloHeard | AnnounceHeard | PollAsked | SyncAsked",
            """@dataclass(frozen=True, slots=True)
class PingHeard:
    peer: PartnerId
    ticket: int
    message: Ping


QuestionHeard = HelloHeard | AnnounceHeard | PollAsked | SyncAsked | PingHeard""",
        ),
    ],
    "gossip/protocol.py": [
        ("    HelloAnswer,\n", "    HelloAnswer,\n    Ping,\n    decode_ping,\n    encode_ping,\n"),
        (
            "VERBS: tuple[AnyVerb, ...] = (HELLO,",
            """PING: Question[Ping, Ping] = Question(
    name="ping",
    method="POST",
    path="/v1/ping",
    request=Codec(encode_ping, decode_ping),
    answer=Codec(encode_ping, decode_ping),
    action=actions.SendPing,
    event=events.PingHeard,
)

VERBS: tuple[AnyVerb, ...] = (PING, HELLO,""",
        ),
    ],
    "gossip/engine.py": [
        (
            "import Action, FetchCard, FetchChain, Reply, ReplyRefused, SendHello",
            "import Action, FetchCard, FetchChain, Reply, ReplyRefused, SendHello, SendPing",
        ),
        (
            "import AnnounceAnswer, Hello, PollAnswer, PutAnswer, SyncAnswer",
            "import AnnounceAnswer, Hello, Ping, PollAnswer, PutAnswer, SyncAnswer",
        ),
        (
            "        self._reconciliation.hello_answered(link, hello)\n",
            """        self._reconciliation.hello_answered(link, hello)
        pending = self._state.begin(link, protocol.PING)
        self._state.act(SendPing(pending.number, link.peer, Ping(41)))
""",
        ),
        (
            "            case events.AnnounceHeard():\n                self._push",
            """            case events.PingHeard():
                self._state.act(Reply(event.ticket, Ping(event.message.number + 1)))
            case events.AnnounceHeard():
                self._push""",
        ),
        (
            "            case protocol.GET, None:\n",
            """            case protocol.PING, Ping() as ping:
                self._state.note(link.peer, f"pong-{ping.number}")
            case protocol.GET, None:
""",
        ),
    ],
}

TWO_NODES = """
import asyncio, sys, time
from pathlib import Path
from running_nodes import Partner, eventually
from whole_nodes import befriend

async def main(folder):
    alpha, bravo = Partner(folder, "alpha"), Partner(folder, "bravo")
    for one, other in ((alpha, bravo), (bravo, alpha)):
        await one.write(befriend, one.node, other.node, now=int(time.time()))
    for one in (alpha, bravo):
        await one.start()
    for one, other in ((alpha, bravo), (bravo, alpha)):
        peer = other.node.identity.partner_id
        await eventually(lambda: "pong-42" in one.driver.peer_states()[peer].noted, "pong")
    for one in (alpha, bravo):
        await one.end()

asyncio.run(main(Path(sys.argv[1])))
"""

A_WORLD = """
import json, sys, tempfile
from pathlib import Path
from simulator.disks import Foundry
from simulator.identities import cheap_signatures
from simulator.runs import play
from simulator.scenario import load_scenario

said = []
with cheap_signatures():
    outcome = play(load_scenario(Path(sys.argv[2])), 1, Foundry(Path(sys.argv[1])), said.append)
print(json.dumps({
    "failures": outcome.failures,
    "asked": sum(" -> ping " in line for line in said),
    "answered": sum(" <- ping answered " in line for line in said),
    "noted": sum(" pong-42 " in line for line in said),
}))
"""


@pytest.fixture(scope="module")
def tree(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`src` with the toy in it."""
    folder = tmp_path_factory.mktemp("toy") / "src"
    shutil.copytree(repository / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, edits in TOY.items():
        path = folder / "p2pshare" / name
        text = path.read_text()
        for place, instead in edits:
            assert text.count(place) == 1, f"{name}: {place}"
            text = text.replace(place, instead)
        path.write_text(text)
    return folder


def run(tree: Path, repository: Path, program: str, *arguments: Path) -> str:
    paths = [str(tree), str(repository / "tests" / "support"), str(repository / "scripts")]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


def test_a_new_verb_changes_files_of_one_room_and_none_that_carries_it(tree: Path, repository: Path) -> None:
    before = {
        path.relative_to(repository / "src"): path.read_bytes() for path in (repository / "src").rglob("*.py")
    }
    after = {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*.py")}
    assert before.keys() == after.keys()
    changed = {str(path) for path in before if before[path] != after[path]}
    assert changed == {
        f"p2pshare/gossip/{name}.py" for name in ("messages", "actions", "events", "protocol", "engine")
    }


def test_two_real_nodes_ask_and_answer_it_over_tls(tree: Path, repository: Path, tmp_path: Path) -> None:
    run(tree, repository, TWO_NODES, tmp_path)


def test_the_simulator_plays_it(tree: Path, repository: Path, tmp_path: Path) -> None:
    told = json.loads(run(tree, repository, A_WORLD, tmp_path, repository / "tests/scenarios/quiet.toml"))
    assert told["failures"] == {}
    assert 0 < told["asked"] == told["answered"] == told["noted"]
