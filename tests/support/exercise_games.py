"""An exercise that is led and played by whole nodes in one process: what each daemon does by itself is done second by second, on one clock."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from players import Players
from whole_nodes import World, quiet

from p2pshare.intel.exercise_pack import PackArchive, archive_pack
from p2pshare.intel.marking import Tlp
from p2pshare.node.exercise_folder import load_pack
from p2pshare.node.node import Node
from p2pshare.operations.crossing import checked
from p2pshare.operations.exercise_leading import LeadRounds
from p2pshare.operations.exercises import JoinExercise, NewExercise
from p2pshare.operations.interface import Request
from p2pshare.operations.table import node_for
from p2pshare.spaces.exercise_grounds import open_exercises

A = TypeVar("A", bound=Struct)


def salted(name: str = "communication-check") -> PackArchive:
    """A pack that comes with the program, with salts that a test can know."""
    loaded = load_pack(name)
    pack = loaded.checked()
    return PackArchive(pack, loaded.payloads, tuple(bytes([n]) * 16 for n in range(len(pack.injects))))


class Game(Players):
    """Players whose daemons lead, stamp and join by themselves."""

    def __init__(self, world: World, *names: str) -> None:
        super().__init__(world, *names)
        self._rounds: dict[int, tuple[Node, LeadRounds]] = {}
        self.lost: set[str] = set()
        """Those whose node is lost: it does nothing any more."""

    def ask(self, name: str, request: Request[A], exercise: str = "") -> A:
        """What a node answers, as its daemon would."""
        node = node_for(self[name], checked(request), exercise)
        return request.run(node, self.now, quiet)

    def new(self, *taken: tuple[str, str], lead: str = "cert", archive: PackArchive | None = None) -> str:
        """The id of an exercise that all who are named have joined; nobody has started it."""
        archive = archive or salted()
        raw = archive_pack(archive.pack, archive.payloads, archive.salts)
        exercise = self.ask(lead, NewExercise(raw, taken, Tlp.GREEN)).exercise
        self.play(3)
        for _, name in taken:
            self.ask(name, JoinExercise(), exercise)
        self.play(4)
        return exercise

    def play(self, seconds: int) -> None:
        """Let a time pass, with what daemons do by themselves in it."""
        for _ in range(seconds):
            self.run(1)
            for name, node in self.nodes.items():
                for played in () if name in self.lost else open_exercises(node):
                    held = self._rounds.get(id(played))
                    if held is None or held[0] is not played:
                        held = self._rounds[id(played)] = played, LeadRounds(played)
                    while held[1].step(self.now):
                        pass

    def restart(self, name: str) -> None:
        """Its node begins a new life: what it knew and did not write is gone."""
        self._rounds = {key: one for key, one in self._rounds.items() if one[0].carrier is not self[name]}
