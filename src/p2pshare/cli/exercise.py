"""`p2pshare exercise`: partners practise what the other commands do, on a ground of its own (docs/exercises.md, docs/running-exercises.md).

Every line that a person is shown begins with `EXERCISE`. What is played in one is done by the ordinary commands with `--exercise ID`; here is what
only exercises have: packs, the clock, injects, answers, ratings, the score.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console, exercise_replay, exercise_report, space_verbs
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option, owner_output_option
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.cli.session import ask, connect, read_or_ask
from p2pshare.cli.space_verbs import (
    SpaceCommand,
    SpaceGroup,
    answer,
    confirm,
    mark_shown,
    only_one_open,
    write,
)
from p2pshare.errors import AuthorError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from p2pshare.intel.exercise_pack import ExercisePack, PackArchive, PackInject, PackProblem
    from p2pshare.operations.exercises import InboxItem

EXIT_BAD = 1
REAL = ""  # in place of an exercise: what is asked of the node that holds them
PLAYED_SHOWN_MAX = 5
WORDS_MAX = 4_096  # of a text that is adopted: it has as many bytes
SPEED_MAX = 3_600  # exercise seconds in a real one
NUMBER_MAX = 1_000  # of an inject
_ID = re.compile(r"[0-9a-fA-F]{6,64}")
_IDS = ("exercise_id", "space_id")
OPEN_PHASES = ("made", "running", "paused")


def _print_state(output: Mapping[str, Any], called: Callable[[str | None], str]) -> None:
    """Print what an exercise comes to, for `space show`, which is never asked for one: its spaces are in no real store."""


class ExerciseCommand(SpaceCommand):
    """A verb of exercises. Its ID comes first, and may be left out where only one can be meant; all it asks is then for that exercise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the id of the only one that may be meant in front where it was left out."""
        with ctx.scope(cleanup=False):
            console.mark_exercises()
            has_id = any(one.name in _IDS for one in self.params)
            if has_id and not ctx.resilient_parsing and not {*args} & {*self.get_help_option_names(ctx)}:
                given, _, _ = self.make_parser(ctx).parse_args(list(args))
                first = next((given.get(name) for name in _IDS if name in given), None)
                if not (isinstance(first, str) and _ID.fullmatch(first)):
                    first = _only(self._home(ctx, given.get("home")), self.name or "")
                    args = [first, *args]
                console.begin_exercise(first)
        return click.Command.parse_args(self, ctx, args)

    @staticmethod
    def _home(ctx: click.Context, option: object) -> Path:
        from p2pshare.cli.command import home_folder

        home: Path = home_folder(option) if isinstance(option, str) else ctx.obj
        return home


class ExerciseGroup(SpaceGroup):
    """The commands of exercises; it shares some verbs with all spaces, and has most for itself."""

    command_class = ExerciseCommand


exercise = ExerciseGroup(
    "exercise",
    "exercise",
    {"exercise": _print_state},
    "practise with partners, behind walls: packs, injects, clock, score",
)


def _only(home: Path, verb: str) -> str:
    """Returns the id of the only exercise that a verb may mean: into which we are invited for `join` and `decline`; else one that has not ended, and
    where there is none for what looks back the only one that is here."""
    from p2pshare.operations.exercises import ListExercises

    listed = [one for one in ask(home, ListExercises(), exercise=REAL).each if one.exercise]
    if verb in ("join", "decline"):
        found = [one for one in listed if one.role == "invited"]
        if not found:
            raise NotFoundError(
                "no invitation is here",
                hint="its lead names us with `exercise invite --as PLACE=PARTNER`, and it comes while both daemons run; `exercise list` has what came",
                reason="unknown-exercise",
            )
    else:
        found = [one for one in listed if one.phase in OPEN_PHASES and one.role not in ("invited", "")]
        if not found and verb in LOOKS_BACK:
            found = [one for one in listed if one.phase == "ended"]
    return only_one_open("exercise", [(one.exercise, one.title) for one in found], "new")


LOOKS_BACK = ("show", "score", "report", "inbox", "rate", "adopt", "remove", "leave", "seen")


def _id(function: Any) -> Any:
    return click.argument("exercise_id", metavar="[ID]")(function)


def _yes_option(function: Any) -> Any:
    return click.option("--yes", is_flag=True, help="do not ask")(function)


def _as_option(function: Any) -> Any:
    return click.option(
        "--as",
        "taken",
        metavar="PLACE=PARTNER",
        multiple=True,
        help="invite a partner to a place of the pack; repeat it",
    )(function)


def _taken(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for word in words:
        place, sign, partner = word.partition("=")
        if not (place and sign and partner):
            raise UsageProblem(
                f"'{console.shown(word)}' is no place with a partner", hint="--as clinic=alpha"
            )
        found.append((place, partner))
    return tuple(found)


# --- packs -------------------------------------------------------------------------------------------


@exercise.command("import")
@click.argument("folder", metavar="DIR", shell_complete=complete_file)
@json_option
@click.pass_obj
def import_(home: Path, folder: str, as_json: bool) -> int:
    """check the pack in the folder DIR, show every inject, and keep it for `new`

    DIR may be the name of a pack that comes with the program. Exit code 1 where the pack has problems: then it is not kept.
    """
    from p2pshare.intel.exercise_pack import inject_json, pack_leaves
    from p2pshare.node.exercise_folder import load_pack
    from p2pshare.node.exercise_packs import keep_pack
    from p2pshare.node.home import require_home

    require_home(home)
    loaded = load_pack(folder)
    told: dict[str, Any] = {"pack": None, "version": None, "injects": [], "commitment": []}
    pack = loaded.pack
    if pack is not None:
        told |= {
            "pack": pack.id,
            "version": pack.version,
            "injects": [inject_json(one) for one in pack.injects],
        }
    if pack is not None and not loaded.problems:
        archive = _archived(pack, loaded.payloads)
        keep_pack(home, archive)
        told["commitment"] = [leaf.hex() for leaf in pack_leaves(pack, loaded.payloads, archive.salts)]
    told["problems"] = [one._asdict() for one in loaded.problems]
    if as_json:
        console.print_json(told)
    else:
        if pack is not None:
            _print_pack(pack, told["commitment"])
        _print_problems(loaded.problems)
    if loaded.problems:
        console.say(f"{console.counted(len(loaded.problems), 'problem')}: the pack was not kept")
        return EXIT_BAD
    assert pack is not None
    console.say(f"kept; `p2pshare exercise new {pack.id} --as PLACE=PARTNER ...` makes an exercise of it")
    return 0


@exercise.command("lint")
@click.argument("folder", metavar="DIR", shell_complete=complete_file)
@json_option
def lint(folder: str, as_json: bool) -> int:
    """check the pack in the folder DIR, without a home, and print its hash, which a course names; exit code 1 where it has problems"""
    from p2pshare.intel.exercise_pack import pack_hash
    from p2pshare.node.exercise_folder import load_pack

    loaded = load_pack(folder)
    if as_json:
        console.print_json([one._asdict() for one in loaded.problems])
    else:
        _print_problems(loaded.problems)
    if loaded.problems:
        console.say(console.counted(len(loaded.problems), "problem"))
        return EXIT_BAD
    assert loaded.pack is not None
    console.say(
        f"{loaded.pack.id} {loaded.pack.version}: {console.counted(len(loaded.pack.injects), 'inject')}, no problem"
    )
    if not as_json:
        console.print_result(f"hash {pack_hash(loaded.pack, loaded.payloads)}")
    return 0


def _archived(pack: ExercisePack, payloads: Mapping[str, bytes]) -> PackArchive:
    """Returns a pack with salts that nobody has seen."""
    from p2pshare.intel.exercise_pack import SALT_BYTES, PackArchive

    salts = tuple(secrets.token_bytes(SALT_BYTES) for _ in pack.injects)
    return PackArchive(pack, payloads, salts)


def _print_pack(pack: ExercisePack, commitment: list[str]) -> None:
    console.print_fields(
        {
            "pack": pack.id,
            "version": pack.version,
            "name": pack.name,
            "kind": pack.kind,
            "language": pack.language,
            "duration": _span(pack.duration_seconds),
            "time factor": pack.time_factor,
        }
    )
    for line in pack.summary.strip().splitlines():
        console.print_result(f"  {console.shown(line)}")
    for objective in pack.objectives:
        console.print_result(f"objective {objective.id}: {console.shown(objective.text)}")
    for place in pack.places:
        many = ", any number of partners" if place.many else ""
        console.print_result(f"place {place.id} ({place.role}{many}): {console.shown(place.title)}")
    for number, inject in enumerate(pack.injects):
        _print_inject(inject, commitment[number] if commitment else "")


def _print_inject(inject: PackInject, leaf: str) -> None:
    """Print one inject whole: whoever runs an exercise reads all of it before it starts."""
    console.print_result("")
    console.print_result(
        f"inject {inject.number}, at {_span(inject.at_seconds)}, to {', '.join(inject.to)}, by {inject.channel},"
        f" from {console.shown(inject.sender)}" + (f", leaf {leaf[:16]}" if leaf else "")
    )
    for line in (inject.text or f"payload {inject.payload}").strip().splitlines():
        console.print_result(f"  {console.shown(line)}")
    if inject.expected:
        console.print_result(f"  expected: {console.shown(inject.expected)}")
    for one in inject.expect:
        match = ", ".join(
            f"{key} {' '.join(value) if isinstance(value, tuple) else value}"
            for key, value in one.match.items()
        )
        late = "" if one.late_within is None else f", partly until {_span(one.late_within)}"
        console.print_result(
            f"  expects {one.id}: {one.kind} by {one.action}{' (' + console.shown(match) + ')' if match else ''}"
            f" of {', '.join(one.by)} within {_span(one.within)}{late}, weight {one.weight}"
        )


def _print_problems(problems: list[PackProblem]) -> None:
    for one in problems:
        mend = f" ({console.shown(one.mend)})" if one.mend else ""
        console.print_result(f"{one.rule}  {console.shown(one.where)}: {console.shown(one.message)}{mend}")


def _span(seconds: int) -> str:
    from p2pshare.intel.exercise_record import span

    return span(seconds)


# --- to make one, and to be in one -------------------------------------------------------------------


@exercise.command("new")
@click.argument("pack", metavar="PACK|DIR", shell_complete=complete_file)
@_as_option
@click.option(
    "--title", metavar="TITLE", default="", help="what all members read above it; else the pack's name"
)
@click.option(
    "--tlp",
    metavar="LEVEL",
    default="amber",
    show_default=True,
    help="clear, green or amber: what is said in it",
)
@_yes_option
@json_option
@click.pass_obj
def new(
    home: Path, pack: str, taken: tuple[str, ...], title: str, tlp: str, yes: bool, as_json: bool
) -> None:
    """make an exercise of PACK: one that was imported, a folder, or one that comes with the program

    We are white and lead it. A partner at a white place can take over where our node is lost.
    """
    from p2pshare.intel.exercise_pack import archive_pack
    from p2pshare.intel.marking import Tlp
    from p2pshare.node.exercise_packs import keep_pack, kept_pack
    from p2pshare.operations.exercises import NewExercise

    level, places = Tlp.parse(tlp), _taken(taken)
    kept = kept_pack(home, pack)
    if kept is None:
        from p2pshare.node.exercise_folder import load_pack

        loaded = load_pack(pack)
        archive = _archived(loaded.checked(), loaded.payloads)
    else:
        archive = kept

    def tell() -> None:
        found = archive.pack
        console.say(
            f"{found.name}, {console.counted(len(found.injects), 'inject')}, {_span(found.duration_seconds)}"
        )
        console.say(
            f"names as members, besides you: {', '.join(f'{p} as {w}' for w, p in places) or 'nobody'}"
        )

    if console.can_ask():
        confirm("who is named stays named: make it?", yes=yes, tell=tell)
    raw = archive_pack(archive.pack, archive.payloads, archive.salts)
    if kept is not None:  # whatever happens next, its salts serve once
        keep_pack(home, _archived(archive.pack, archive.payloads))
    try:
        made = write(home, NewExercise(raw, places, level, title))
    except (AuthorError, NotFoundError, RefusedError):  # nothing was made: what `import` showed still counts
        if kept is not None:
            keep_pack(home, kept)
        raise
    if as_json:
        console.print_json({"exercise": made.exercise, "realm": made.realm, "members": made.members})
    else:
        console.print_result(f"{made.exercise}  made")
    _warn_of_white(made.white)


def _warn_of_white(white: int) -> None:
    if white < 2:
        console.warn("no other white member: if your node is lost, the exercise can only be ended")
        console.say("who is invited to a white place (`exercise invite --as PLACE=PARTNER`) can take over")


@exercise.command("list")
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the exercises that are held here, and invitations"""
    from p2pshare.operations.exercises import ListExercises

    listed = ask(home, ListExercises(), exercise=REAL).each
    if as_json:
        console.print_json(listed)
        return
    rows = [
        (
            one.exercise[:10] or one.realm,
            one.phase if not one.damaged else f"damaged: {one.damaged}",
            one.pack,
            one.place,
            one.role,
            one.lead or (f"invited by {one.invited_by}" if one.invited_by else ""),
            len(one.members),
            one.title,
        )
        for one in listed
    ]
    console.print_table(("exercise", "phase", "pack", "place", "we", "lead", "members", "title"), rows)


@exercise.command("join")
@_id
@json_option
@click.pass_obj
def join(home: Path, exercise_id: str, as_json: bool) -> None:
    """accept the invitation into ID"""
    from p2pshare.operations.exercises import JoinExercise

    written = write(home, JoinExercise())
    answer(written, f"{written.entry}  joined", as_json=as_json)


@exercise.command("invite")
@_id
@_as_option
@_yes_option
@json_option
@click.pass_obj
def invite(home: Path, exercise_id: str, taken: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """invite partners into ID, each to a place: its lead may

    Who is white is handed the pack, reads all injects, and may take over.
    """
    from msgspec.structs import asdict

    from p2pshare.operations.exercises import InviteToExercise

    places = _taken(taken)
    if console.can_ask():
        confirm(
            f"who is named stays named, and reads what was played: invite {', '.join(p for _, p in places)}?",
            yes=yes,
        )
    invited = write(home, InviteToExercise(places))
    if as_json:
        console.print_json(asdict(invited))
    else:
        console.print_result(f"{invited.entry}  invited")


for _verb in (
    space_verbs.decline,
    space_verbs.leave,
    space_verbs.handover,
    space_verbs.accept,
    space_verbs.takeover,
    space_verbs.seen,
):
    exercise.add_command(
        ExerciseCommand(_verb.name, params=_verb.params, callback=_verb.callback, help=_verb.help)
    )
exercise.add_command(  # `remove` is what a person does with an exercise on its own node
    ExerciseCommand(
        "expel",
        params=space_verbs.remove.params,
        callback=space_verbs.remove.callback,
        help="take members out of ID, which they keep as it is now; its lead may",
    )
)


@exercise.command("remove")
@_id
@_yes_option
@json_option
@click.pass_obj
def remove(home: Path, exercise_id: str, yes: bool, as_json: bool) -> None:
    """delete ID from this node, its file and all that was played, and show that it is gone; other members keep theirs"""
    from msgspec.structs import asdict

    from p2pshare.operations.exercises import RemoveExercise

    confirm(
        "all that was played leaves this node for good, and nothing of it is taken in again; "
        "where we lead it and it still runs, nobody releases injects any more: remove?",
        yes=yes,
    )
    with connect(home, exercise=REAL) as session:
        gone = session.run(RemoveExercise(exercise_id))
    if as_json:
        console.print_json(asdict(gone))
        return
    for name in gone.deleted:
        console.print_result(f"deleted  {console.shown(name)}")
    console.print_result(
        f"{gone.exercise or gone.realm}  removed, {gone.entries} entries; left of it: {len(gone.left)} files"
    )
    console.say(
        "sealed envelopes of it, which nothing here opens any more, leave the log within 7 days; backups are yours to delete"
    )


# --- looking -----------------------------------------------------------------------------------------


@exercise.command("show")
@_id
@json_option
@click.pass_obj
def show(home: Path, exercise_id: str, as_json: bool) -> None:
    """show phase, clock, members and injects of ID; what a person was shown here, members are told"""
    from p2pshare.operations.exercises import ShowExercise

    found = read_or_ask(home, ShowExercise())
    told: dict[str, Any] = json.loads(found.told)
    if as_json:
        console.print_json(told)
        return
    names = {one["partner_id"]: one["name"] or one["partner_id"][:10] for one in told["members"]}
    pack = told["pack"]
    console.print_fields(
        {
            "exercise": told["exercise"],
            "title": told["title"],
            "pack": "not stated yet" if pack is None else f"{pack['id']} {pack['version']}",
            "phase": told["phase"] + (", a real event" if told["stopped_by_real_event"] else ""),
            "clock": f"{_span(told['clock_seconds'])} of {_span(told['duration_seconds'] or 0)}, {told['time_factor']} times",
            "lead": "contested" if told["lead"] is None else names.get(told["lead"], told["lead"]),
            "our place": told["place"],
            "members": [
                f"{names[one['partner_id']]} ({one['place']}, {one['status']})" for one in told["members"]
            ],
            "white": told["white"],
            "injects": [
                f"{one['inject']} at {one['at']}" + (f" ({one['reason']})" if one["reason"] else "")
                for one in told["injects"]
            ],
        }
    )
    for one in told["ratings"]:
        about = "" if one["about"] is None else f" of {names.get(one['about'], one['about'][:10])}"
        console.print_result(
            f"{names.get(one['evaluator'], one['evaluator'][:10])} rates{about} {one['rating']} {one['objective']}"
            f" {one['expectation']}: {console.shown(one['text'])}"
        )
    mark_shown(home, told["exercise"], found.numbers)


@exercise.command("inbox")
@_id
@click.option(
    "--payload",
    "number",
    type=click.IntRange(1, NUMBER_MAX),
    metavar="N",
    help="write the payload of inject N",
)
@owner_output_option
@json_option
@click.pass_obj
def inbox(home: Path, exercise_id: str, number: int | None, file: str, as_json: bool) -> None:
    """read the injects that came for our place in ID; white members and observers read all"""
    from p2pshare.operations.exercises import FetchPayload, ReadInbox

    if number is not None:
        if file == STANDARD_STREAM and sys.stdout.isatty():
            raise UsageProblem("what others wrote is not written to a terminal", hint="say -o FILE")
        found = read_or_ask(home, FetchPayload(number))
        with open_output(file, mode=OWN_MODE) as stream:
            stream.write(found.payload)
        return
    items = read_or_ask(home, ReadInbox()).each
    if as_json:
        console.print_json(
            [
                {
                    "inject": one.inject,
                    "at": one.at,
                    "from": one.sender,
                    "channel": one.channel,
                    "text": one.text,
                    "payload": one.payload,
                }
                for one in items
            ]
        )
        return
    for one in items:
        _print_item(one)
    if not items:
        console.say("nothing has come")


def _print_item(one: InboxItem) -> None:
    done = [
        word for word, is_done in (("acknowledged", one.is_acked), ("answered", one.is_answered)) if is_done
    ]
    to = "" if one.is_ours else f", to {', '.join(map(console.shown, one.to))}"
    console.print_result(
        f"inject {one.inject}, {one.at}, by {one.channel}, from {console.shown(one.sender)}{to}"
        + (f" ({', '.join(done)})" if done else "")
    )
    for line in one.text.strip().splitlines():
        console.print_result(f"  {console.shown(line)}")
    if one.payload_name:
        console.print_result(
            f"  payload {console.shown(one.payload_name)}, {one.payload_bytes:,} bytes: `exercise inbox --payload {one.inject} -o FILE`"
        )
    if one.expected:
        console.print_result(f"  expected: {console.shown(one.expected)}")


@exercise.command("score")
@_id
@json_option
@click.pass_obj
def score(home: Path, exercise_id: str, as_json: bool) -> None:
    """score ID by what is held here: white members and observers at any time, players once it has ended"""
    from p2pshare.operations.exercises import ScoreExercise

    told: dict[str, Any] = json.loads(read_or_ask(home, ScoreExercise()).told)
    if as_json:
        console.print_json(told)
        return
    for player in told["players"]:
        percent = "-" if player["score"] is None else f"{player['score']} %"
        console.print_result(
            f"{console.shown(player['name'])} ({player['place']}): {percent}, {player['points']} of {player['of']} points"
        )
        rows = [
            (
                f"  {one['inject']}",
                one["id"],
                one["kind"],
                _span(one["within"]),
                one["result"],
                "-" if one["after_seconds"] is None else _span(one["after_seconds"]),
                one["weight"],
            )
            for one in player["expectations"]
        ]
        console.print_table(("  inject", "expectation", "kind", "within", "result", "after", "weight"), rows)
    for one in told["objectives"]:
        percent = "-" if one["score"] is None else f"{one['score']} %"
        console.print_result(f"objective {one['id']}: {percent}  {console.shown(one['text'])}")


# --- what the lead does ------------------------------------------------------------------------------


@exercise.command("start")
@_id
@click.option(
    "--speed",
    type=click.IntRange(1, SPEED_MAX),
    metavar="N",
    help="exercise seconds in a real one; else as the pack says",
)
@_yes_option
@json_option
@click.pass_obj
def start(home: Path, exercise_id: str, speed: int | None, yes: bool, as_json: bool) -> None:
    """start the clock of ID: from now on injects are released at their times"""
    from msgspec.structs import asdict

    from p2pshare.operations.exercise_leading import StartExercise

    if console.can_ask():
        confirm("its members are told, and the clock runs: start?", yes=yes)
    started = write(home, StartExercise(speed or 0))
    if as_json:
        console.print_json(asdict(started))
    else:
        console.print_result(f"{started.entry}  started, {started.time_factor} times, ends {started.ends}")
    if started.not_joined:
        console.warn(f"have not joined yet: {', '.join(map(console.shown, started.not_joined))}")
    _warn_of_white(started.white)


def _stepping(name: str, operation: str, about: str, word: str) -> None:
    """Add a verb that has no more to say than that it is done."""

    @exercise.command(name, help=about)
    @_id
    @json_option
    @click.pass_obj
    def verb(home: Path, exercise_id: str, as_json: bool) -> None:
        from p2pshare.operations import exercise_leading

        done = write(home, getattr(exercise_leading, operation)())
        answer(done, f"{done.entry}  {word} at {_span(done.clock_seconds)}", as_json=as_json)


_stepping("pause", "PauseExercise", "stop the clock of ID", "paused")
_stepping("resume", "ResumeExercise", "let the clock of ID run again, after a real event too", "resumed")


@exercise.command("end")
@_id
@_yes_option
@json_option
@click.pass_obj
def end(home: Path, exercise_id: str, yes: bool, as_json: bool) -> None:
    """end ID before its time; what players did until now counts"""
    from p2pshare.operations.exercise_leading import EndExercise

    confirm("nothing that is done after it counts, and it is not begun again: end?", yes=yes)
    done = write(home, EndExercise())
    answer(done, f"{done.entry}  ended at {_span(done.clock_seconds)}", as_json=as_json)


@exercise.command("inject")
@_id
@click.argument("number", metavar="N", type=click.IntRange(1, NUMBER_MAX))
@json_option
@click.pass_obj
def inject(home: Path, exercise_id: str, number: int, as_json: bool) -> None:
    """release inject N of ID now, before its time"""
    from p2pshare.operations.exercise_leading import ReleaseInject

    done = write(home, ReleaseInject(number))
    answer(done, f"{done.entry}  inject {number} released at {_span(done.clock_seconds)}", as_json=as_json)


@exercise.command("stop")
@_id
@click.option(
    "--real-event", is_flag=True, help="something happens in the world: the game is paused everywhere"
)
@json_option
@click.pass_obj
def stop(home: Path, exercise_id: str, real_event: bool, as_json: bool) -> None:
    """stop ID because of a real event: any member may, and each node raises the alarm exercise-stopped"""
    from p2pshare.operations.exercise_playing import StopExercise

    if not real_event:
        raise UsageProblem(
            "an exercise is stopped for a real event alone",
            hint="--real-event; its lead pauses with `exercise pause` and ends with `exercise end`",
        )
    written = write(home, StopExercise())
    answer(written, f"{written.entry}  stopped: a real event", as_json=as_json)
    console.say(
        "what its members tell from now on is real; its lead goes on with `p2pshare exercise resume`, or ends it"
    )


# --- what players and evaluators say -----------------------------------------------------------------


@exercise.command("ack")
@_id
@click.argument("number", metavar="N", type=click.IntRange(1, NUMBER_MAX))
@json_option
@click.pass_obj
def ack(home: Path, exercise_id: str, number: int, as_json: bool) -> None:
    """say that inject N of ID was read here"""
    from p2pshare.operations.exercise_playing import AckInject

    written = write(home, AckInject(number))
    answer(written, f"{written.entry}  acknowledged", as_json=as_json)


@exercise.command("answer")
@_id
@click.argument("number", metavar="N", type=click.IntRange(1, NUMBER_MAX))
@click.argument("text", required=False, default="")
@click.option("--choice", metavar="X", default="", help="one of the choices that the inject offers")
@json_option
@click.pass_obj
def answer_(home: Path, exercise_id: str, number: int, text: str, choice: str, as_json: bool) -> None:
    """answer inject N of ID, in words or by a choice; the first answer counts"""
    from p2pshare.operations.exercise_playing import AnswerInject

    if not (text.strip() or choice.strip()):
        raise UsageProblem("an answer has words or a choice", hint="TEXT, or --choice X")
    written = write(home, AnswerInject(number, text, choice))
    answer(written, f"{written.entry}  answered", as_json=as_json)


@exercise.command("rate")
@_id
@click.argument("rating", metavar="[P|S|M|U]", type=click.Choice(("P", "S", "M", "U")), required=False)
@click.option("--of", "about", metavar="PLAYER", default="", help="a player's alias or id; else all")
@click.option("--objective", metavar="ID", default="", help="what is rated: an objective of the pack")
@click.option(
    "--expectation",
    metavar="ID",
    default="",
    help="what is rated: an expectation of an inject that was released",
)
@click.option("-m", "--text", "text", metavar="TEXT", default="", help="what was seen")
@click.option("--item", metavar="TEXT", default="", help="what is to be done better")
@click.option("--owner", metavar="MEMBER", default="", help="who is to do it")
@click.option("--due", metavar="TIME", help="until when")
@json_option
@click.pass_obj
def rate(
    home: Path,
    exercise_id: str,
    rating: str | None,
    about: str,
    objective: str,
    expectation: str,
    text: str,
    item: str,
    owner: str,
    due: str | None,
    as_json: bool,
) -> None:
    """say what an evaluator saw: P (no challenges), S (some), M (major), U (unable), and words

    White members and observers rate. Where two differ both stand, and the report shows it.
    """
    from p2pshare.operations.exercise_playing import RateExercise

    if not (rating or text.strip() or item.strip()):
        raise UsageProblem("nothing is said", hint="P, S, M or U, or -m TEXT")
    said = RateExercise(rating or "", text, about, objective, expectation, item, owner, _time(due))  # type: ignore[arg-type]
    written = write(home, said)
    answer(written, f"{written.entry}  rated", as_json=as_json)


def _time(text: str | None) -> int:
    """Returns a time that a person wrote, in unix seconds; 0 for none. Raises UsageProblem."""
    from p2pshare.intel.duty_templates import read_time

    if text is None:
        return 0
    at = read_time(text if "T" in text else f"{text}T12:00:00Z", "")
    if at is None:
        raise UsageProblem(
            f"'{console.shown(text)}' is no time", hint="write 2027-02-12, or 2027-02-12T09:00:00Z"
        )
    return at


# --- over the wall, by a person's hand ---------------------------------------------------------------


@exercise.command("adopt")
@_id
@click.argument("item", metavar="ITEM", required=False, default="")
@click.option(
    "--incident",
    "incident_id",
    metavar="ID",
    default="",
    help="the real incident in which the task is written",
)
@click.option(
    "--open", "title", metavar="TITLE", default="", help="open a real incident for it, with ourselves alone"
)
@click.option("--text", metavar="TEXT", default="", help="say it in other words")
@click.option("--due", metavar="TIME", help="until when")
@_yes_option
@json_option
@click.pass_obj
def adopt(
    home: Path,
    exercise_id: str,
    item: str,
    incident_id: str,
    title: str,
    text: str,
    due: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """make a real task of the improvement ITEM of ID; without ITEM list them

    Nothing but its text crosses, which is shown and asked for; a text or title with a value that was played is refused.
    """
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.exercises import ListItems
    from p2pshare.operations.incidents import OpenIncident, SayInIncident
    from p2pshare.spaces.incident_entries import TITLE_BYTES_MAX, IncidentTask, encode_incident

    items = read_or_ask(home, ListItems(text, title)).each
    if not item:
        if as_json:
            console.print_json(items)
        else:
            console.print_table(
                ("item", "whom", "due", "objective", "text"),
                ((one.id, one.owner, (one.due or "")[:10], one.objective, one.text) for one in items),
            )
        return
    found = next((one for one in items if one.id == item), None)
    if found is None:
        raise NotFoundError(
            "there is no such item", hint="`p2pshare exercise adopt` lists them", reason="no-item"
        )
    if bool(incident_id) == bool(title):
        raise UsageProblem("where is the task written?", hint="--incident ID, or --open TITLE")
    played = [*found.played, *_reserved_in(f"{text or found.text}\n{title}")]
    if played:
        raise RefusedError(
            f"the text, or the title, names what was played: {', '.join(dict.fromkeys(played[:PLAYED_SHOWN_MAX]))}",
            hint="say it with --text in words that are true outside the exercise",
            reason="played-value",
        )
    words = text or found.text
    due = due or found.due
    at = _time(due)
    task_title = (
        words
        if len(words.encode()) <= TITLE_BYTES_MAX
        else words.encode()[: TITLE_BYTES_MAX - 3].decode("utf-8", "ignore") + "..."
    )
    where = (
        f"the incident {incident_id[:10]}" if incident_id else f"a new incident '{title}', with nobody but us"
    )
    confirm(
        "it leaves the exercise and is real: adopt?",
        yes=yes,
        tell=lambda: console.say(
            f"this crosses the wall, into {console.shown(where)}:\n  {console.shown(words)}"
            + (f" (due {due})" if due else "")
        ),
    )
    console.begin_exercise(REAL)
    console.mark_exercises(is_marked=False)
    content = encode_incident(IncidentTask(task_title, "" if task_title == words else words, at, ()))
    if title:
        incident_id = write(home, OpenIncident(title, (), Tlp.AMBER)).incident
    written = write(home, SayInIncident(incident_id, "task", content))
    if as_json:
        console.print_json({"incident": written.space, "task": written.entry, "text": words})
    else:
        console.print_result(f"{written.entry}  a real task in {written.space[:10]}")


def _reserved_in(text: str) -> list[str]:
    """Returns what in a text is of the ranges that packs may use: nobody has it but in an exercise."""
    from p2pshare.importers.exercise_lint import is_reserved
    from p2pshare.intel.observable import InvalidValue, detect

    found = []
    for word in re.split(r"[\s,;()<>\"']+", text)[:WORDS_MAX]:
        try:
            observable = detect(word.strip(".:!?"))
        except InvalidValue:
            continue
        if observable.type in _OF_A_NETWORK and is_reserved(observable.type, observable.value):
            found.append(observable.value)
    return found


_OF_A_NETWORK = frozenset({"ipv4", "ipv6", "ipv4-net", "ipv6-net", "domain", "email", "url"})

exercise_report.register(exercise)
exercise_replay.register(exercise)
