"""`p2pshare exercise replay`: an exercise that one person plays alone, against the clock or from a file, without a daemon, a home or a partner.

Nothing is sent and nothing is kept but what `-o` and `--report` name: the entries live in this process, and end with it (docs/exercise-packs.md, "Alone").
"""

from __future__ import annotations

import os
import select
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option, read_input
from p2pshare.cli.output import open_output, write_output
from p2pshare.errors import AuthorError

if TYPE_CHECKING:
    from p2pshare.intel.exercise_pack import ExercisePack, PackInject
    from p2pshare.intel.exercise_script import ExerciseScript, ScriptAct, ScriptRating
    from p2pshare.node.exercise_folder import LoadedPack
    from p2pshare.spaces.exercise_solo import SoloExercise

SPEED_MAX = 3_600  # `exercise_pack.TIME_FACTOR_MAX`, which help does not load
RESULT_FORMAT = "p2pshare-exercise-result/1"
LINE_BYTES_MAX = 16_384  # typed at once
SOLO = "solo"  # in place of an exercise's id: every line says EXERCISE
PAYLOAD_LINES_SHOWN = 40  # of an inject on a terminal; `inbox N` has it whole
HELP = """what you would do, as you would type it behind `p2pshare`:
  ack N · answer N TEXT · answer N --choice X
  sight VALUE... [--false-positive] [--count N] · publish VALUE... [--to PLACE] [--tlp LEVEL] · withdraw VALUE...
  incident open --type TYPE · incident join · incident close · incident note TEXT · incident ask TEXT [--to PLACE]
  incident task done [--type TYPE] · incident own-status STATUS · incident determine WORD · incident duty done TEMPLATE[:STAGE]
and for the play itself: inbox [N] · as PLACE · rate EXPECTATION P|S|M|U [TEXT] · skip (to what happens next) · score · end"""


def register(group: click.Group) -> None:
    """Add `replay` to the group of exercises."""
    group.add_command(replay)


@click.command(cls=Command)
@click.argument("pack", metavar="DIR", shell_complete=complete_file)
@click.option("--solo", is_flag=True, help="alone: no daemon, no home, no partner")
@click.option(
    "--speed",
    type=click.IntRange(1, SPEED_MAX),
    default=None,
    metavar="N",
    help="exercise seconds in one real second; else the pack's",
)
@click.option(
    "--actions",
    "actions",
    metavar="FILE",
    default=None,
    shell_complete=complete_file,
    help="what is done, at once",
)
@click.option(
    "-o",
    "file",
    metavar="FILE",
    default=None,
    shell_complete=complete_file,
    help="keep the result as JSON, for a course",
)
@click.option(
    "--report",
    "report",
    metavar="FILE",
    default=None,
    shell_complete=complete_file,
    help="write the report; Markdown for a name that ends in .md, else HTML",
)
@json_option
def replay(
    pack: str,
    solo: bool,
    speed: int | None,
    actions: str | None,
    file: str | None,
    report: str | None,
    as_json: bool,
) -> None:
    """play the pack in DIR alone, against the clock, and tell the score

    On a terminal injects come by the clock, and what is typed is done; `help` tells the verbs. With --actions it is played from FILE without
    waiting, and the same file gives the same score each time.
    """
    from p2pshare.intel.exercise_script import SCRIPT_BYTES_MAX, read_script
    from p2pshare.node.exercise_folder import load_pack

    if not solo:
        raise UsageProblem("a pack is replayed alone: say so", hint="add --solo")
    if actions is None and not console.can_ask():
        raise UsageProblem("nobody is there to play", hint="give --actions FILE, or run it on a terminal")
    loaded = load_pack(pack)
    checked = loaded.checked()
    console.begin_exercise(SOLO)
    if actions is None:
        played, script = _Play(checked, loaded.payloads, speed or checked.time_factor).play()
    else:
        script = read_script(read_input(actions, SCRIPT_BYTES_MAX), checked)
        played = _played(checked, loaded.payloads, script)
    result = _result(loaded, checked, played, script)
    if file is not None:
        with open_output(file) as stream:
            stream.write(console.json_text(result, indent=1).encode() + b"\n")
    if report is not None:
        _write_report(report, played)
    if as_json:
        console.print_json(result)
    else:
        _print_score(result)


def _played(pack: ExercisePack, payloads: Mapping[str, bytes], script: ExerciseScript) -> SoloExercise:
    from p2pshare.intel.observable import InvalidValue
    from p2pshare.spaces.exercise_solo import play_script

    try:
        return play_script(pack, payloads, script)
    except InvalidValue as invalid:
        raise AuthorError(
            f"the file of actions cannot be used: a value in it is none: {invalid.reason}",
            hint="write values as `sight` takes them",
            reason="bad-script",
        ) from None
    except LookupError as error:
        raise AuthorError(
            f"the file of actions cannot be used: inject {error.args[0]} is answered before it comes",
            hint="`at` is in exercise seconds since the start",
            reason="bad-script",
        ) from None


def _result(
    loaded: LoadedPack, pack: ExercisePack, played: SoloExercise, script: ExerciseScript
) -> dict[str, Any]:
    """Returns what `--json` prints and `-o` keeps: the script, the score, and what a course compares."""
    from p2pshare.intel.exercise_pack import pack_hash
    from p2pshare.intel.exercise_record import percent_of_all, score_json

    record = played.record()
    return {
        "format": RESULT_FORMAT,
        "pack": pack.id,
        "version": pack.version,
        "pack_hash": pack_hash(pack, loaded.payloads),
        "score": percent_of_all(record),
        **script.as_json(),
        "result": score_json(record),
    }


def _write_report(name: str, played: SoloExercise) -> None:
    from p2pshare.exporters.exercises.exercise_formats import load_exercise_reporter

    format_ = "markdown" if name.lower().endswith(".md") else "html"
    write_output(name, load_exercise_reporter(format_)(played.record()))


def _print_score(result: Mapping[str, Any]) -> None:
    from p2pshare.intel.exercise_record import span

    for player in result["result"]["players"]:
        score = "nothing scored" if player["score"] is None else f"{player['score']} %"
        console.print_result(
            f"{console.shown(player['name'])} ({console.shown(player['place'])}): {player['points']} of {player['of']}, {score}"
        )
        rows = [
            (
                f"  inject {one['inject']}",
                one["id"],
                one["kind"],
                one["result"],
                "-" if one["after_seconds"] is None else span(one["after_seconds"]),
                span(one["within"]),
            )
            for one in player["expectations"]
        ]
        console.print_table(("inject", "expected", "kind", "result", "after", "within"), rows)
    console.print_result(f"score: {result['score']} %")


# --- on a terminal -------------------------------------------------------------------------------------


class _Ended(Exception):
    """The person has ended it."""


class _Play:
    """One exercise on a terminal: what is typed is done by whoever the person is at the moment, at the exercise's time."""

    def __init__(self, pack: ExercisePack, payloads: Mapping[str, bytes], speed: int) -> None:
        from p2pshare.intel.exercise_script import default_places
        from p2pshare.spaces.exercise_solo import SoloExercise

        self._pack = pack
        self._payloads = payloads
        self._speed = speed
        self._places = default_places(pack)
        self._here = next(iter(self._places))
        self._solo = SoloExercise(pack, payloads, self._places, ("Observer",))
        self._acts: list[ScriptAct] = []
        self._ratings: list[ScriptRating] = []
        self._skipped = 0.0
        self._began = time.monotonic()
        self._typed = b""

    def play(self) -> tuple[SoloExercise, ExerciseScript]:
        """Play until the end; returns the exercise and what was done in it as a script."""
        from p2pshare.intel.exercise_script import ExerciseScript

        console.print_result(
            f"{self._pack.name}: {self._pack.kind}, {self._pack.duration_seconds // 60} minutes at {self._speed} times speed"
        )
        for line in self._pack.summary.strip().splitlines():
            console.print_result(console.shown(line))
        console.print_result(f"you are {', '.join(self._places)}; `help` tells what to type")
        self._began = time.monotonic()
        try:
            while self._clock() < self._pack.duration_seconds:
                self._show(self._solo.advance(self._clock()))
                typed = self._next_line()
                if typed is not None:
                    self._do(typed)
            ended = self._pack.duration_seconds
        except _Ended:
            ended = min(self._clock(), self._pack.duration_seconds)
        self._solo.end(ended)
        for rating in self._ratings:
            self._solo.rate(rating, ended)
        return self._solo, ExerciseScript(ended, self._places, tuple(self._acts), tuple(self._ratings))

    def _clock(self) -> int:
        """Returns the exercise's time now."""
        return int(self._skipped + (time.monotonic() - self._began) * self._speed)

    def _next_at(self) -> int:
        """Returns when something happens by itself: the next inject, else the end."""
        coming = self._pack.injects[self._solo.released :]
        return coming[0].at_seconds if coming else self._pack.duration_seconds

    def _next_line(self) -> str | None:
        """Returns what is typed until something happens by itself, or None. Raises _Ended where nothing more will be typed."""
        while b"\n" not in self._typed:
            left = self._next_at() - self._skipped - (time.monotonic() - self._began) * self._speed
            if left <= 0:
                return None
            ready, _, _ = select.select([sys.stdin.fileno()], [], [], left / self._speed)
            if not ready:
                return None
            piece = os.read(sys.stdin.fileno(), LINE_BYTES_MAX)
            if not piece:
                raise _Ended
            self._typed += piece
            if len(self._typed) > LINE_BYTES_MAX:
                self._typed = b""
                console.say(f"a line has at most {LINE_BYTES_MAX} bytes")
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def _do(self, line: str) -> None:
        from p2pshare.intel.exercise_script import CANNOT_BE_USED

        try:
            words = shlex.split(line)
        except ValueError as error:
            console.say(f"not understood: {str(error).lower()}")
            return
        if not words:
            return
        try:
            self._follow(words)
        except (AuthorError, UsageProblem) as error:
            message = error.message.removeprefix(CANNOT_BE_USED)
            is_typed = message != error.message
            message = message.removeprefix(_TYPED)
            console.say(console.shown(message if is_typed or not error.hint else f"{message} ({error.hint})"))

    def _follow(self, words: Sequence[str]) -> None:
        verb, rest = words[0], list(words[1:])
        match verb:
            case "help":
                console.print_result(HELP)
            case "end":
                raise _Ended
            case "skip":
                self._skipped += max(0, self._next_at() - self._clock())
            case "as":
                self._sit_at(rest)
            case "inbox":
                self._show_inbox(rest)
            case "score":
                for player in self._solo.record().players:
                    console.print_result(f"{player.name}: {player.points} of {player.of} so far")
            case "rate":
                self._rate(rest)
            case _:
                self._act(typed_act(words, self._clock(), self._here))

    def _sit_at(self, rest: Sequence[str]) -> None:
        if len(rest) != 1 or rest[0] not in self._places:
            raise UsageProblem(f"places are {', '.join(self._places)}")
        self._here = rest[0]
        console.print_result(f"you act as {self._here}")

    def _rate(self, rest: Sequence[str]) -> None:
        from p2pshare.intel.exercise_script import ScriptRating

        known = {one.id for inject in self._pack.injects for one in inject.expect}
        if len(rest) < 2 or rest[0] not in known or rest[1] not in ("P", "S", "M", "U"):
            raise UsageProblem(
                "rate EXPECTATION P|S|M|U [TEXT]", hint=f"expectations are {', '.join(sorted(known))}"
            )
        rating = ScriptRating("Observer", rest[1], self._here, rest[0], "", " ".join(rest[2:])[:4_096])  # type: ignore[arg-type]
        self._ratings.append(rating)
        console.print_result(f"{rest[0]} of {self._here} is rated {rest[1]}")

    def _act(self, act: ScriptAct) -> None:
        from p2pshare.intel.exercise_script import checked_act
        from p2pshare.intel.observable import InvalidValue

        checked = checked_act(act, _TYPED.rstrip("/"), self._pack, self._places, self._pack.duration_seconds)
        try:
            self._solo.act(checked)
        except InvalidValue as invalid:
            raise UsageProblem(f"a value is none: {invalid.reason}") from None
        except LookupError:
            raise UsageProblem(f"inject {act.inject} has not come yet") from None
        self._acts.append(checked)
        console.print_result(f"[{_at(checked.seconds)}] {self._here}: {checked.action}, done")

    def _show(self, injects: Sequence[PackInject]) -> None:
        for inject in injects:
            console.print_result("")
            console.print_result(
                f"[{_at(inject.at_seconds)}] inject {inject.number} to {', '.join(inject.to)} from {console.shown(inject.sender)} ({inject.channel})"
            )
            if len(inject.to) == 1 and inject.to[0] in self._places:
                self._here = inject.to[0]
            self._show_text(inject, PAYLOAD_LINES_SHOWN)

    def _show_inbox(self, rest: Sequence[str]) -> None:
        injects = self._pack.injects[: self._solo.released]
        if not rest:
            for inject in injects:
                console.print_result(
                    f"{inject.number}  {_at(inject.at_seconds)}  {', '.join(inject.to)}  {console.shown(inject.sender)}"
                )
            return
        found = next((one for one in injects if str(one.number) == rest[0]), None)
        if found is None:
            raise UsageProblem(f"inject {rest[0]} has not come")
        self._show_text(found, None)

    def _show_text(self, inject: PackInject, most: int | None) -> None:
        text = self._payloads[inject.payload].decode("utf-8", "replace") if inject.payload else inject.text
        lines = text.strip().splitlines()
        for line in lines[:most]:
            console.print_result("  " + console.shown(line))
        if most is not None and len(lines) > most:
            console.print_result(f"  ({len(lines) - most} more lines: inbox {inject.number})")


def _at(seconds: int) -> str:
    from p2pshare.intel.exercise_record import span

    return span(seconds)


_TYPED = "typed/"
"""The place of what is typed, in errors of scripts."""
_OPTIONS = ("--choice", "--to", "--tlp", "--type", "--count")


def typed_act(words: Sequence[str], at: int, by: str) -> ScriptAct:
    """Returns the act that a typed line says, by whoever sits at `by`. Raises UsageProblem for one that says none."""
    from p2pshare.intel.exercise_script import ScriptAct

    plain, options, flags = _taken_apart(words)
    verb, rest = plain[0], plain[1:]
    said: dict[str, Any] = {}
    match verb, rest:
        case "ack", [number]:
            action, said = "acknowledge", {"inject": _number(number)}
        case "answer", [number, *text]:
            choice = options.get("--choice", [None])[-1]
            action, said = (
                "answer",
                {"inject": _number(number), "choice": choice, "text": " ".join(text) or None},
            )
        case "sight", [_, *_]:
            counts = options.get("--count")
            action = "sight"
            said = {
                "values": tuple(rest),
                "count": _number(counts[-1]) if counts else None,
                "false_positive": True if "--false-positive" in flags else None,
            }
        case "publish", [_, *_]:
            action, said = "publish", {"values": tuple(rest), "tlp": options.get("--tlp", [None])[-1]}
            if said["tlp"] is not None:
                said["tlp"] = said["tlp"].lower().removeprefix("tlp:")
        case "withdraw", [_, *_]:
            action, said = "withdraw", {"values": tuple(rest)}
        case "incident", [("open" | "join" | "close") as what, *_]:
            action, said = f"incident-{what}", {"incident_type": options.get("--type", [None])[-1]}
        case "incident", [("note" | "ask") as what, _, *_]:
            action, said = what, {"text": " ".join(rest[1:])}
        case "incident", ["task", "done", *_]:
            action, said = "task-done", {"task_type": options.get("--type", [None])[-1]}
        case "incident", ["own-status", status]:
            action, said = "own-status", {"status": status}
        case "incident", ["determine", word]:
            action, said = "determine", {"determination": word}
        case "incident", ["duty", "done", duty]:
            action, said = "duty-done", {"duty": duty}
        case _:
            raise UsageProblem(
                f"not understood: {console.shown(' '.join(words)[:80])}", hint="`help` tells the verbs"
            )
    if "--to" in options:
        said["to"] = tuple(options["--to"])
    return ScriptAct(at, by, action, **said)


def _taken_apart(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]], set[str]]:
    """Returns the words, the options with their values, and the flags."""
    plain: list[str] = []
    options: dict[str, list[str]] = {}
    flags: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word in _OPTIONS:
            value = next(rest, None)
            if value is None:
                raise UsageProblem(f"{word} needs a value")
            options.setdefault(word, []).append(value)
        elif word == "--false-positive":
            flags.add(word)
        elif word.startswith("--"):
            raise UsageProblem(
                f"no option is called {console.shown(word[:40])}",
                hint=f"{', '.join(_OPTIONS)}, --false-positive",
            )
        else:
            plain.append(word)
    if not plain:
        raise UsageProblem("not understood", hint="`help` tells the verbs")
    return plain, options, flags


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) <= 9):
        raise UsageProblem(f"{console.shown(text[:40])} is no number")
    return int(text)
