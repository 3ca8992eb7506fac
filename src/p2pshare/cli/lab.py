"""`p2pshare lab`: rules and remedies that several organisations make together. The verbs of every space under their own word, and those of labs.

A rule is tried by this command, in a caged child, on samples that may not leave the house; what leaves is counts.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    UsageProblem,
    json_option,
    owner_output_option,
    read_input,
    required_output_option,
)
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.cli.session import is_running, open_store_for_reading, read_or_ask
from p2pshare.cli.space_verbs import (
    CANDIDATES_TOLD_MAX,
    SpaceSubgroup,
    answer,
    confirm,
    only_one_open,
    say_links,
    space_group,
    write,
)
from p2pshare.errors import AuthorError, DaemonUnreachable, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pshare.cli.lab_trials import Trial, TriedRule
    from p2pshare.importers.rule_files import RuleFile
    from p2pshare.operations.labs import FoundText, LabTold
    from p2pshare.operations.spaces import SpaceWritten
    from p2pshare.spaces.lab_entries import LabBody

EXPORT_FORMATS = ("sigma", "yara", "suricata", "zip", "splunk", "elastic")
LANGUAGES = ("sigma", "yara", "suricata", "snort")
SAMPLE_KINDS = ("event-json", "event-jsonl", "evtx-json", "pcap", "file")
REMEDY_KINDS = ("course-of-action", "patch-note", "csaf")
STATUSES = ("experimental", "test", "stable")
REMEDY_TITLE_BYTES_MAX = 200  # that is taken out of a file: the first line of a note may be all of it
DAY_SECONDS = 86_400
FIELD_COUNT_MAX = 1_000_000_000_000_000  # hits of one rule: a slip of the finger has more
_WINDOW = re.compile(r"(\d{1,4})([dhw])")
_UNIT_SECONDS = {"h": 3_600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS}
MISSING_TOLD: Mapping[str, str] = {
    "agreement": "{have} of {need} organisations besides its author agree",
    "independent-run": "no run of another organisation that agrees has found every positive sample, and no negative one",
    "promotion": "to be promoted, at {not_before} at the earliest",
    "soak": "was promoted too early: again at {not_before} at the earliest",
    "field-figures": "{have} of {need} organisations tell figures of the field with few benign hits",
    "disagreement": "{have} disagree",
}
"""What is missing, as a person reads it."""


def _print_state(output: Mapping[str, Any], called: Callable[[str | None], str]) -> None:
    """Print what a lab comes to, for `space show`."""
    state = output["state"]
    console.print_fields(
        {
            "question": state["question"],
            "status": "closed" if state["closed"] else "open",
            "rules": [f"{rule['id'][:10]} {rule['status']}" for rule in state["rules"]],
            "samples": len(state["samples"]),
            "remedies": len(state["remedies"]),
        }
    )


lab = space_group(
    "lab",
    "lab",
    {"lab": _print_state},
    "make rules and remedies with partners: write, test, review, promote",
)


# --- what verbs share --------------------------------------------------------------------------------


def _only_open(home: Path) -> str:
    """Returns the only lab that is open and in which we may write, as `only_one_open`."""
    from p2pshare.operations.labs import ListLabs

    listed = read_or_ask(home, ListLabs()).each
    return only_one_open(
        "lab",
        [(one.lab, one.title) for one in listed if one.status == "open" and one.role in ("lead", "joined")],
    )


lab.choose = _only_open


@contextmanager
def _opened(home: Path, lab_id: str) -> Iterator[LabTold]:
    """Yields a lab, read beside the daemon."""
    from p2pshare.node.beside import NodeBeside
    from p2pshare.operations.labs import lab_told

    with open_store_for_reading(home) as store:
        yield lab_told(NodeBeside(home, store), lab_id)


def _shown(home: Path, lab_id: str) -> dict[str, Any]:
    from p2pshare.operations.labs import ShowLab

    told: dict[str, Any] = json.loads(read_or_ask(home, ShowLab(lab_id)).shown)
    return told


def _say(
    home: Path, lab_id: str, kind: str, body: LabBody | bytes, text: str, *, as_json: bool
) -> SpaceWritten:
    """Write an entry, and print what became of it."""
    from p2pshare.operations.labs import SayInLab

    content = body if isinstance(body, bytes) else _content(body)
    written = write(home, SayInLab(lab_id, kind, content))  # type: ignore[arg-type]
    answer(written, f"{written.entry}  {text}", as_json=as_json)
    return written


def _content(body: LabBody) -> bytes:
    """Returns the content of an entry. Raises AuthorError `not-utf8` for bytes of the command line that are no text."""
    from p2pshare.spaces.lab_entries import encode_lab

    try:
        return encode_lab(body)
    except UnicodeEncodeError:
        raise AuthorError(
            "what was typed holds bytes that are not UTF-8", hint="write it in UTF-8", reason="not-utf8"
        ) from None


def _id(function: Any) -> Any:
    return click.argument("lab_id", metavar="ID")(function)


def _rule_argument(function: Any) -> Any:
    return click.argument("rule", metavar="RULE")(function)


def _file_argument(function: Any) -> Any:
    return click.argument("file", metavar="FILE", shell_complete=complete_file)(function)


def _message_option(function: Any) -> Any:
    return click.option("-m", "--text", "text", metavar="TEXT", default="", help="why")(function)


def _rules_option(function: Any) -> Any:
    return click.option(
        "--rule", "rules", metavar="RULE", multiple=True, help="a rule that it is for, else all; repeat it"
    )(function)


# --- open, list, show --------------------------------------------------------------------------------


@lab.command("open")
@click.option("--title", metavar="TITLE", required=True, help="what all members read above it")
@click.option("--question", metavar="TEXT", required=True, help="what it is to find out")
@click.option("--invite", "names", metavar="NAME", multiple=True, help="a partner's alias or id; repeat it")
@click.option(
    "--tlp",
    metavar="LEVEL",
    default="amber",
    show_default=True,
    help="what is written in it is marked so, or more strictly",
)
@click.option(
    "--benign-max",
    type=click.FloatRange(0.1, 100),
    default=10,
    show_default=True,
    metavar="PERCENT",
    help="from this share of benign hits on a rule is too noisy to be stable",
)
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def open_(
    home: Path,
    title: str,
    question: str,
    names: tuple[str, ...],
    tlp: str,
    benign_max: float,
    yes: bool,
    as_json: bool,
) -> None:
    """open a lab with the partners that are named

    On a terminal it asks.
    """
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.labs import OpenLab
    from p2pshare.operations.spaces import PreviewMembers

    level = Tlp.parse(tlp)

    def tell() -> None:
        console.say(f"names as members, besides you: {', '.join(map(console.shown, names)) or 'nobody'}")
        console.say(
            f"they read all rules, reviews and figures in it; everything is {level.label} or stricter"
        )
        say_links(read_or_ask(home, PreviewMembers(names)), "its members")

    if console.can_ask():
        confirm("who is named stays named: open?", yes=yes, tell=tell)
    opened = write(home, OpenLab(title, question, round(benign_max * 10), level, names))
    answer(opened, f"{opened.lab}  opened", as_json=as_json)


@lab.command("list")
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the labs that are held here, and invitations"""
    from p2pshare.operations.labs import ListLabs

    listed = read_or_ask(home, ListLabs()).each
    if as_json:
        console.print_json(listed)
        return
    rows = (
        (
            one.lab[:10],
            one.status,
            ", ".join(f"{count} {status}" for status, count in sorted(one.rules.items())),
            one.lead or (f"invited by {one.invited_by}" if not one.members else "contested"),
            len(one.members),
            one.role,
            one.title,
        )
        for one in listed
    )
    console.print_table(("lab", "status", "rules", "lead", "members", "we", "title"), rows)


@lab.command()
@_id
@click.option(
    "--canonical", is_flag=True, help="the output that is the same at all who hold the same entries"
)
@json_option
@click.pass_obj
def show(home: Path, lab_id: str, canonical: bool, as_json: bool) -> None:
    """show question, members, rules, samples and remedies of ID; what a person was shown here, members are told"""
    from p2pshare.cli.space_verbs import mark_shown
    from p2pshare.operations.spaces import ShowSpace

    space = read_or_ask(home, ShowSpace(lab_id, "lab"))
    if canonical:
        console.print_result(console.shown(space.canonical) if sys.stdout.isatty() else space.canonical)
        return
    told = _shown(home, lab_id)
    if as_json:
        console.print_json(told | {"waiting": space.waiting})
        return
    _print_lab(told)
    mark_shown(home, told["lab"], space.numbers)


def _print_lab(told: Mapping[str, Any]) -> None:
    called = _names(told)
    console.print_fields(
        {
            "lab": told["lab"],
            "title": told["title"],
            "question": told["question"],
            "tlp": told["tlp"],
            "status": told["status"],
            "lead": "contested" if told["lead"] is None else called(told["lead"]),
            "members": [f"{called(one['partner_id'])} ({one['status']})" for one in told["members"]],
        }
    )
    samples = [
        (
            one["sha256"][:10],
            one["label"],
            one["kind"],
            one["size"],
            called(one["author"]),
            "here" if one["is_here"] else ("to come" if one["has_content"] else "not shared"),
            one["origin"],
        )
        for one in told["samples"]
    ]
    _print_rules(told)
    if samples:
        console.print_result("\nsamples")
        console.print_table(("sample", "label", "kind", "bytes", "by", "content", "origin"), samples)
    notes = [
        (one["entry"][:10], called(one["author"]), one["text"] or "(not to be read here)")
        for one in told["notes"]
    ]
    if notes:
        console.print_result("\nnotes")
        console.print_table(("entry", "by", "text"), notes)


def _names(told: Mapping[str, Any]) -> Callable[[str], str]:
    names = {one["partner_id"]: one["name"] or one["partner_id"][:10] for one in told["members"]}
    return lambda member: str(names.get(member, member[:10]))


@lab.command()
@_id
@json_option
@click.pass_obj
def status(home: Path, lab_id: str, as_json: bool) -> None:
    """show how far each rule of ID has come, by which organisation's word, and what is missing"""
    told = _shown(home, lab_id)
    if as_json:
        console.print_json(told)
        return
    _print_rules(told)


def _print_rules(told: Mapping[str, Any]) -> None:
    """Print the matrix of rules and organisations, what is missing, and remedies."""
    called = _names(told)
    members = [one["partner_id"] for one in told["members"] if one["status"] in ("joined", "forked")]
    if told["rules"]:
        console.print_result("\nrules")
        rows = [
            (
                rule["rule"][:10],
                rule["hash"][:10],
                rule["status"] + (" (conflict)" if rule["conflict"] else ""),
                *(_word_of(rule, member) for member in members),
                rule["title"],
            )
            for rule in told["rules"]
        ]
        console.print_table(("rule", "hash", "status", *map(called, members), "title"), rows)
        console.print_result("\nauthors, licences and what is missing")
        for rule in told["rules"]:
            console.print_result(
                f"{rule['rule'][:10]}  {console.shown(rule['author'])}, {console.shown(rule['licence'])}"
            )
            for text in _missing_told(rule["missing"], called):
                console.print_result(f"            {text}")
            for one in rule["proposals"]:
                console.print_result(
                    f"            proposal {one['entry'][:10]} of {console.shown(called(one['author']))}: {console.shown(one['text'])}"
                )
    if told["remedies"]:
        console.print_result("\nremedies")
        remedies = [
            (
                one["remedy"][:10],
                one["status"],
                one["kind"],
                ", ".join(one["vulnerabilities"]),
                "; ".join(f"{called(said['organisation'])} {said['verdict']}s" for said in one["reviews"]),
                one["title"],
            )
            for one in told["remedies"]
        ]
        console.print_table(("remedy", "status", "kind", "mends", "reviews", "title"), remedies)


def _word_of(rule: Mapping[str, Any], member: str) -> str:
    """Returns what an organisation says of a rule, in a few letters: whose it is, its verdict, its runs, its figures."""
    said = ["author"] if rule["added_by"] == member else []
    said += [one["verdict"] for one in rule["reviews"] if one["organisation"] == member]
    said += [
        f"tp {one['tp']} fn {one['fn']} fp {one['fp']} tn {one['tn']}"
        + (f" errors {one['errors']}" if one["errors"] else "")
        for one in rule["runs"]
        if one["organisation"] == member
    ]
    said += [
        f"hits {one['hits']}, benign {one['benign']}"
        for one in rule["field"]
        if one["organisation"] == member
    ]
    return "; ".join(said)


def _missing_told(missing: Iterable[Mapping[str, Any]], called: Callable[[str], str]) -> list[str]:
    told = []
    for one in missing:
        text = MISSING_TOLD.get(one["what"], "{what}: {have} of {need}").format(**one)
        who = ", ".join(console.shown(called(member)) for member in one["who"])
        told.append(f"{text} ({who})" if who else text)
    return told


@lab.command()
@_id
@click.argument("text")
@json_option
@click.pass_obj
def note(home: Path, lab_id: str, text: str, as_json: bool) -> None:
    """write the note TEXT into ID"""
    _say(home, lab_id, "note", text.encode("utf-8", "surrogateescape"), "written", as_json=as_json)


# --- rules -------------------------------------------------------------------------------------------


@lab.group("rule", cls=SpaceSubgroup)
def rule_group() -> None:
    """detection rules: Sigma, YARA, Suricata, Snort"""


def _licence_options(function: Any) -> Any:
    for option in (
        click.option("--licence", metavar="NAME", default="", help="where the file names none: DRL-1.1, ..."),
        click.option("--author", metavar="NAME", default="", help="where the file names none"),
        click.option(
            "--language", type=click.Choice(LANGUAGES), help="else by the file's name and beginning"
        ),
    ):
        function = option(function)
    return function


@rule_group.command("add")
@_id
@_file_argument
@_licence_options
@_message_option
@json_option
@click.pass_obj
def rule_add(
    home: Path,
    lab_id: str,
    file: str,
    language: str | None,
    author: str,
    licence: str,
    text: str,
    as_json: bool,
) -> None:
    """add the rule in FILE to ID; its author and licence are those that the file names"""
    from p2pshare.spaces.entry_fields import NO_ENTRY

    raw, said = _read_rule(file, language)
    with _opened(home, lab_id) as told:
        for held in told.fold.rules():
            if held.current.said.digest == hashlib.sha256(raw).digest():
                raise AuthorError(
                    "this very rule is here already",
                    hint=f"it is {held.rule.short} {console.shown(held.current.said.title)}",
                    reason="held",
                )
    _put_rule(
        home, lab_id, "rule", NO_ENTRY, raw, said, _named("author", said.author, author),
        _named("licence", said.licence, licence), text, as_json=as_json,
    )  # fmt: skip


@rule_group.command("revise")
@_id
@_file_argument
@click.option("--rule", "rule", metavar="RULE", help="which one; else the one of the same id or name")
@_licence_options
@_message_option
@json_option
@click.pass_obj
def rule_revise(home: Path, /, lab_id: str, **given: Any) -> None:
    """change a rule of ours in ID to what is in FILE: it begins again, and reviews and runs of the old text stay with that"""
    _follow(home, lab_id, "revise", **given)


@rule_group.command("propose")
@_id
@_file_argument
@click.option("--rule", "rule", metavar="RULE", help="which one; else the one of the same id or name")
@_licence_options
@_message_option
@json_option
@click.pass_obj
def rule_propose(home: Path, /, lab_id: str, **given: Any) -> None:
    """propose that a rule of another in ID becomes what is in FILE; its author stays named, its licence stays"""
    _follow(home, lab_id, "propose", **given)


def _follow(
    home: Path,
    lab_id: str,
    kind: str,
    *,
    file: str,
    rule: str | None,
    language: str | None,
    author: str,
    licence: str,
    text: str,
    as_json: bool,
) -> None:
    raw, said = _read_rule(file, language)
    with _opened(home, lab_id) as told:
        held = told.rule_called(rule) if rule is not None else _same_rule(told, said)
        before = held.current.said
        follows = held.current.vertex.entry_id
        if hashlib.sha256(raw).digest() == before.digest:
            raise AuthorError("it is the same, byte for byte", hint="nothing was written", reason="held")
    if rule is None:
        console.say(f"follows {held.rule.short} {console.shown(before.title)}")
    _put_rule(
        home, lab_id, kind, follows, raw, said, said.author or author or before.author,
        said.licence or licence or before.licence, text, as_json=as_json,
    )  # fmt: skip


def _same_rule(told: LabTold, said: RuleFile) -> Any:
    """Returns the rule in a lab that has the id or name of the one in a file. Raises UsageProblem for none, AmbiguousId for several."""
    from p2pshare.importers.rule_files import read_rule_file
    from p2pshare.operations.spaces import AmbiguousId

    found = []
    for held in told.fold.rules():
        current = held.current.said
        if current.language != said.language:
            continue
        text, own_id = told.whole(current.digest), ""
        if text is not None:
            own_id = read_rule_file(text, "", current.language).own_id
        if (own_id and own_id == said.own_id) or (
            not (own_id and said.own_id) and current.title == said.title
        ):
            found.append(held)
    if len(found) == 1:
        return found[0]
    candidates = found or told.fold.rules()
    named = [f"{one.rule.short} {console.shown(one.current.said.title)}" for one in candidates]
    raise (AmbiguousId if found else UsageProblem)(
        "which rule it follows cannot be told: "
        + ("several have its id" if found else "none has its id or name"),
        hint=f"--rule RULE: {', '.join(named[:CANDIDATES_TOLD_MAX])}"
        if named
        else "`lab rule add` adds a new one",
    )


def _read_rule(file: str, language: str | None) -> tuple[bytes, RuleFile]:
    from p2pshare.importers.rule_files import read_rule_file
    from p2pshare.limits import RULE_BYTES_MAX

    raw = read_input(file, RULE_BYTES_MAX)
    return raw, read_rule_file(raw, "" if file == STANDARD_STREAM else Path(file).name, language or "")


def _named(what: str, in_file: str, typed: str) -> str:
    """Returns the author or the licence of a new rule. Raises RefusedError where neither the file nor the person names it, UsageProblem where
    both do, and otherwise."""
    if in_file and typed and in_file != typed:
        raise UsageProblem(
            f"the file names its {what} itself: {console.shown(in_file)}", hint=f"leave out --{what}"
        )
    found = in_file or typed.strip()
    if not found:
        raise RefusedError(
            f"the rule names no {what}",
            hint=f"--{what} NAME: whoever copies a rule names its author, and must know its licence",
            reason=f"no-{what}",
        )
    return found


def _put_rule(
    home: Path,
    lab_id: str,
    kind: str,
    follows: bytes,
    raw: bytes,
    said: RuleFile,
    author: str,
    licence: str,
    text: str,
    *,
    as_json: bool,
) -> None:
    from p2pshare.operations.labs import PutInLab
    from p2pshare.spaces.lab_entries import RuleVersion

    digest = hashlib.sha256(raw).digest()
    body = RuleVersion(
        bytes(follows),
        said.language,
        digest,
        len(raw),
        said.title,
        author,
        licence,
        said.level,
        said.techniques,
        text,
    )
    written = write(home, PutInLab(lab_id, kind, _content(body), raw))  # type: ignore[arg-type]
    if as_json:
        console.print_json(
            {
                "space": written.space,
                "entry": written.entry,
                "hash": digest.hex(),
                "language": said.language,
                "title": said.title,
                "author": author,
                "licence": licence,
            }
        )
        return
    console.print_result(f"{written.entry}  {digest.hex()}  {console.shown(said.title)}")
    console.say(f"by {console.shown(author)}, {console.shown(licence)}")


@rule_group.command("adopt")
@_id
@click.argument("proposal", metavar="PROPOSAL|FILE", shell_complete=complete_file)
@_message_option
@json_option
@click.pass_obj
def rule_adopt(home: Path, lab_id: str, proposal: str, text: str, as_json: bool) -> None:
    """make a PROPOSAL the rule, named by its id, its hash or a FILE of its text: the rule's author may, and the lead"""
    from p2pshare.limits import RULE_BYTES_MAX
    from p2pshare.operations.spaces import one_of
    from p2pshare.spaces.lab_entries import RuleAdoption

    wanted = proposal.lower()
    if proposal == STANDARD_STREAM or Path(proposal).is_file():
        wanted = hashlib.sha256(read_input(proposal, RULE_BYTES_MAX)).hexdigest()
    with _opened(home, lab_id) as told:
        found = [
            one.vertex.entry_id
            for rule in told.fold.rules()
            for one in rule.proposals
            if len(wanted) >= 6
            and (one.vertex.entry_id.text.startswith(wanted) or one.said.digest.hex().startswith(wanted))
        ]
        chosen = one_of(found, "proposal", "see `p2pshare lab status`")
    _say(home, lab_id, "adopt", RuleAdoption(chosen, text), "adopted", as_json=as_json)


@lab.command()
@_id
@_rule_argument
@_message_option
@json_option
@click.pass_obj
def deprecate(home: Path, lab_id: str, rule: str, text: str, as_json: bool) -> None:
    """say that RULE of ours is not to be used any more"""
    from p2pshare.spaces.lab_entries import RuleDeprecation

    with _opened(home, lab_id) as told:
        named = told.rule_called(rule).rule
    _say(home, lab_id, "deprecate", RuleDeprecation(named, text), "deprecated", as_json=as_json)


@lab.command()
@_id
@click.argument("what", metavar="RULE|REMEDY|SHA256")
@required_output_option
@click.pass_obj
def fetch(home: Path, lab_id: str, what: str, file: str) -> None:
    """write a rule, a remedy or a sample of ID into FILE, as its author wrote it, byte for byte"""
    from p2pshare.operations.incident_attachments import require_harmless

    with _opened(home, lab_id) as told:
        wanted = what.lower()
        samples = {
            one.said.digest
            for one in told.fold.samples()
            if len(wanted) >= 6
            and (one.said.digest.hex().startswith(wanted) or one.vertex.entry_id.text.startswith(wanted))
        }
        digest = samples.pop() if len(samples) == 1 else told.text_called(what).digest
        whole = told.text(digest)
        require_harmless(told.node.store, whole)
    with open_output(file, mode=OWN_MODE) as stream:
        stream.write(whole)


# --- samples -----------------------------------------------------------------------------------------


@lab.group("sample", cls=SpaceSubgroup)
def sample_group() -> None:
    """what a rule must match, and what it must not"""


@sample_group.command("add")
@_id
@_file_argument
@click.option("--positive", "label", flag_value="positive", help="a rule must match it")
@click.option("--negative", "label", flag_value="negative", help="a rule must not match it")
@click.option(
    "--with-content", is_flag=True, help="hand its content to all members, up to 4 MiB; never malware"
)
@click.option("--local", is_flag=True, help="tell nobody, not even its hash: `lab test --samples own` has it")
@click.option("--kind", type=click.Choice(SAMPLE_KINDS), help="else by the file's name and beginning")
@click.option("--origin", metavar="TEXT", default="", help="where it comes from")
@click.option("--tlp", metavar="LEVEL", help="content that is marked more strictly than the lab")
@_rules_option
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def sample_add(
    home: Path,
    lab_id: str,
    file: str,
    label: str | None,
    with_content: bool,
    local: bool,
    kind: str | None,
    origin: str,
    tlp: str | None,
    rules: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """add FILE to the samples of ID: members are told its SHA-256 and its size, and its content only with --with-content

    On a terminal --with-content asks.
    """
    from p2pshare.intel.marking import Tlp
    from p2pshare.node.home import require_home
    from p2pshare.node.own_samples import OWN_SAMPLE_BYTES_MAX, OwnSample, keep_sample
    from p2pshare.operations.labs import PutInLab, SayInLab
    from p2pshare.spaces.lab_entries import SAMPLE_CONTENT_BYTES_MAX, LabSample

    if label is None:
        raise UsageProblem("whether a rule must match it is not said", hint="--positive or --negative")
    if with_content and local:
        raise UsageProblem("--with-content hands it over, --local tells nobody", hint="leave one of them out")
    raw = read_input(file, SAMPLE_CONTENT_BYTES_MAX if with_content else OWN_SAMPLE_BYTES_MAX)
    if not raw:
        raise AuthorError(f"{console.shown(file)} is empty", reason="bad-sample")
    found = kind or _sample_kind(file, raw)
    if with_content and found == "file":
        raise RefusedError(
            "a file may be malware, and travels by its hash alone",
            hint="leave out --with-content; --kind says what else it is",
            reason="malware",
        )
    with _opened(home, lab_id) as told:
        lab, called = told.row.space, told.row.title
        named = tuple(sorted({told.rule_called(one).rule for one in rules}))
    digest = hashlib.sha256(raw)
    body = LabSample(digest.digest(), found, label, len(raw), origin, named, int(with_content))
    if with_content and console.can_ask():
        confirm(
            f"all members of {console.shown(called)} get the {len(raw):,} bytes of {console.shown(file)}, which nobody can take back: share?",
            yes=yes,
        )
    request = None
    if with_content:
        level = None if tlp is None else Tlp.parse(tlp)
        request = write(home, PutInLab(lab_id, "sample", _content(body), raw, level))
    elif not local:
        request = write(home, SayInLab(lab_id, "sample", _content(body)))
    keep_sample(
        require_home(home),
        lab,
        raw,
        OwnSample(digest.hexdigest(), found, label, tuple(one.text for one in named), not local),
    )
    if as_json:
        console.print_json(
            {
                "space": lab.text,
                "entry": None if request is None else request.entry,
                "sha256": digest.hexdigest(),
                "kind": found,
                "label": label,
                "with_content": with_content,
            }
        )
        return
    console.print_result(
        f"{'-' * 10 if request is None else request.entry}  {digest.hexdigest()}  {label} {found}"
    )
    console.say(
        "members get its content"
        if with_content
        else (
            "nobody is told of it"
            if local
            else "its content stays here; members are told its SHA-256 and its size"
        )
    )


def _sample_kind(file: str, raw: bytes) -> str:
    """Returns the kind of a sample: JSON events by what they hold, a packet capture by its beginning, else a file."""
    from p2pshare.operations.labs import PCAP_BEGINNINGS

    start = raw[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if raw.startswith(PCAP_BEGINNINGS):
        return "pcap"
    if start[:1] not in (b"{", b"["):
        return "file"
    if file.lower().endswith((".jsonl", ".ndjson")):
        return "event-jsonl"
    return "evtx-json" if re.search(rb'"(?:EventData|UserData|System)"', start) else "event-json"


@sample_group.command("remove")
@_id
@click.argument("sample", metavar="SHA256|ENTRY")
@json_option
@click.pass_obj
def sample_remove(home: Path, lab_id: str, sample: str, as_json: bool) -> None:
    """take a sample of ours out of ID: no run counts it any more; who has its content keeps that"""
    from p2pshare.node.home import require_home
    from p2pshare.node.own_samples import forget_sample, own_samples
    from p2pshare.operations.labs import SayInLab

    with _opened(home, lab_id) as told:
        lab = told.row.space
        kept = [
            one
            for one in own_samples(require_home(home), lab)
            if not one.is_told and len(sample) >= 6 and one.sha256.startswith(sample.lower())
        ]
        held = None if kept else told.sample_called(sample)
    entry = None
    if held is not None:
        body = held.said._replace(label="withdrawn", has_content=0)
        entry = write(home, SayInLab(lab_id, "sample", _content(body))).entry
    digest = held.said.digest if held is not None else kept[0].digest
    forget_sample(require_home(home), lab, digest)
    if as_json:
        console.print_json({"space": lab.text, "entry": entry, "sha256": digest.hex()})
    else:
        console.print_result(f"{entry or '-' * 10}  {digest.hex()}  removed")


# --- testing -----------------------------------------------------------------------------------------


@lab.command("test")
@click.argument("first", metavar="[ID]", required=False)
@click.argument("second", metavar="[RULE]", required=False)
@click.option(
    "--samples",
    type=click.Choice(["own", "all"]),
    default="all",
    show_default=True,
    help="all that the lab names, as far as it is here; or ours, those that nobody was told of among them",
)
@click.option("--dry-run", is_flag=True, help="tell nobody what came of it")
@json_option
@click.pass_obj
def test_(
    home: Path, first: str | None, second: str | None, samples: str, dry_run: bool, as_json: bool
) -> int:
    """try RULE, or all rules of ID, on samples in a caged child process, and tell the lab what came of it: counts alone"""
    from p2pshare.cli.lab_trials import run_together, trials_of

    lab_id, rule = _lab_and_rule(home, first, second)
    if not dry_run and not is_running(home):
        raise DaemonUnreachable(
            "what came of it is told by the daemon",
            hint="start it with `p2pshare run`, or try with --dry-run",
        )
    with _opened(home, lab_id) as told:
        found = [told.text_called(rule)] if rule else _tried(told)
        trials = trials_of(told, home, found, only_own=samples == "own")
        lab = told.row.space.text
    if not trials:
        raise NotFoundError("no rule of this lab can be tried here", hint="`p2pshare lab status`")
    together = run_together(trials)
    ran, failed = [], 0
    for place, trial in enumerate(trials):
        try:
            outcome = together.get(place)
            ran.append(_try(home, lab, trial, outcome, dry_run=dry_run, as_json=as_json))
        except (RefusedError, NotFoundError) as error:
            if len(trials) == 1:
                raise
            failed += 1  # one rule that is refused keeps nobody from the others
            said = trial.version.said
            console.say(
                f"{trial.rule.rule.short}  {console.shown(said.title)}: {console.shown(error.message)}"
            )
    if as_json:
        console.print_json(ran[0] if len(trials) == 1 else ran)
    return EXIT_PARTLY_DONE if failed or any(one["errors"] for one in ran) else 0


def _lab_and_rule(home: Path, first: str | None, second: str | None) -> tuple[str, str]:
    """Returns the lab and the rule ("": all) that are meant: one word alone is a lab where one is called so, else a rule."""
    from p2pshare.operations.spaces import space_called

    if first is None:
        return _only_open(home), ""
    if second is not None:
        return first, second
    try:
        with open_store_for_reading(home) as store:
            space_called(store, first, "lab")
    except (NotFoundError, AuthorError) as error:
        if error.exit_code == UsageProblem.exit_code:
            raise
        return _only_open(home), first
    return first, ""


def _tried(told: LabTold) -> list[FoundText]:
    """Returns the rules of a lab that an engine runs here, as they are now."""
    from p2pshare.cli.lab_trials import KINDS_TRIED

    return [
        told.found(rule, rule.current)
        for rule in told.fold.rules()
        if rule.current.said.language in KINDS_TRIED and not rule.is_deprecated
    ]


def _try(
    home: Path, lab_id: str, trial: Trial, outcome: TriedRule | None, *, dry_run: bool, as_json: bool
) -> dict[str, Any]:
    """Run one trial, unless it has an `outcome` already, tell the lab of it, and print it unless as JSON. Returns what `--json` prints."""
    from p2pshare.cli.lab_trials import run_told, run_trial
    from p2pshare.operations.labs import SayInLab

    said = trial.version.said
    if not trial.samples:
        raise NotFoundError(
            f"there is nothing here to try {console.shown(said.title)} on",
            hint="`p2pshare lab sample add`"
            if not trial.not_here
            else f"the content of {console.counted(trial.not_here, 'sample')} is not here",
            reason="no-samples",
        )
    outcome = outcome or run_trial(trial)
    entry = None
    if not dry_run:
        entry = write(home, SayInLab(lab_id, "run", _content(run_told(trial, outcome)))).entry
    credit = {
        "rule": trial.rule.rule.text,
        "title": said.title,
        "author": said.author,
        "licence": said.licence,
    }
    told = {
        "rule": trial.rule.rule.text,
        "rule_hash": said.digest.hex(),
        "sample_set": trial.sample_set.hex(),
        "engine": outcome.engine,
        "tp": outcome.tp,
        "fn": outcome.fn,
        "fp": outcome.fp,
        "tn": outcome.tn,
        "ms": outcome.milliseconds,
        "errors": outcome.errors,
        "events": outcome.events,
        "hits": outcome.hits,
        "title": said.title,
        "author": said.author,
        "licence": said.licence,
        "matches": [
            {"sample": sample.digest.hex(), "label": sample.label, "hits": hits} | credit
            for sample, hits in outcome.matches
        ],
        "not_here": trial.not_here,
        "entry": entry,
    }
    if not as_json:
        console.print_result(
            f"{trial.rule.rule.short}  tp {outcome.tp}  fn {outcome.fn}  fp {outcome.fp}  tn {outcome.tn}  errors {outcome.errors}"
            f"  {outcome.milliseconds} ms  {console.shown(said.title)}"
        )
        for sample, hits in outcome.matches:
            console.print_result(
                f"    {sample.label} {sample.digest.hex()[:10]}: {console.counted(hits, 'hit')} of {console.shown(said.title)}"
                f" by {console.shown(said.author)}, {console.shown(said.licence)}"
            )
    if trial.not_here:
        console.say(f"the content of {console.counted(trial.not_here, 'sample')} is not here")
    return told


@lab.command()
@_id
@_rule_argument
@click.option("--agree", "verdict", flag_value="agree", help="it is good")
@click.option("--disagree", "verdict", flag_value="disagree", help="it is not")
@_message_option
@json_option
@click.pass_obj
def review(home: Path, lab_id: str, rule: str, verdict: str | None, text: str, as_json: bool) -> None:
    """agree or disagree with RULE, a proposal or a remedy, as it stands now: the word is bound to its hash"""
    from p2pshare.spaces.lab_entries import LabReview

    if verdict is None:
        raise UsageProblem("a review says what you think", hint="--agree or --disagree")
    with _opened(home, lab_id) as told:
        digest = told.text_called(rule).digest
    _say(home, lab_id, "review", LabReview(digest, verdict, text), verdict, as_json=as_json)


@lab.command()
@_id
@_rule_argument
@click.option("--hits", type=click.IntRange(0, FIELD_COUNT_MAX), required=True, help="how often it matched")
@click.option(
    "--confirmed", type=click.IntRange(0, FIELD_COUNT_MAX), required=True, help="how many of those were real"
)
@click.option(
    "--benign", type=click.IntRange(0, FIELD_COUNT_MAX), required=True, help="how many of those were harmless"
)
@click.option(
    "--window",
    metavar="30d|FROM/UNTIL",
    required=True,
    help="in which time: the last 30d, or from when until when",
)
@json_option
@click.pass_obj
def field(
    home: Path, lab_id: str, rule: str, hits: int, confirmed: int, benign: int, window: str, as_json: bool
) -> None:
    """tell what RULE did in our house: counts alone, and those below 10 by their bucket (0, 1-4, 5-9)"""
    from p2pshare.operations.labs import told_count
    from p2pshare.spaces.lab_entries import FieldFigure, bucket

    start, until = _window(window, int(time.time()))
    if confirmed + benign > hits:
        raise UsageProblem("more hits were looked at than there were")
    with _opened(home, lab_id) as told:
        found = told.text_called(rule)
        if found.version is None:
            raise NotFoundError("that is a remedy, and no rule", hint="see `p2pshare lab status`")
    stated = [bucket(count) for count in (hits, confirmed, benign)]
    figure = FieldFigure(found.digest, start, until, *stated)
    text = f"hits {told_count(stated[0])}, confirmed {told_count(stated[1])}, benign {told_count(stated[2])}"
    _say(home, lab_id, "field", figure, text, as_json=as_json)


def _window(text: str, now: int) -> tuple[int, int]:
    """Returns the first and the last second of a window that a person typed. Raises UsageProblem."""
    from p2pshare.intel.duty_templates import read_time

    short = _WINDOW.fullmatch(text)
    if short is not None and int(short[1]):
        return now - int(short[1]) * _UNIT_SECONDS[short[2]], now
    first, _, last = text.partition("/")
    start, until = read_time(first, ""), read_time(last, "")
    if not start or not until or start >= until:
        raise UsageProblem(
            f"'{console.shown(text)}' is no window",
            hint="30d, or 2027-02-01T00:00:00Z/2027-03-01T00:00:00Z",
        )
    return start, until


@lab.group("remedy", cls=SpaceSubgroup)
def remedy_group() -> None:
    """what mends a vulnerability"""


@remedy_group.command("add")
@_id
@_file_argument
@click.option(
    "--title", metavar="TITLE", default="", help="what stands in a list; else by what the file holds"
)
@click.option("--author", metavar="NAME", default="", help="else this node's name")
@click.option("--kind", type=click.Choice(REMEDY_KINDS), help="else by what the file holds")
@click.option("--mends", "vulnerabilities", metavar="CVE", multiple=True, help="a vulnerability; repeat it")
@click.option("--replaces", metavar="REMEDY", help="an older one of ours")
@_rules_option
@_message_option
@json_option
@click.pass_obj
def remedy_add(
    home: Path,
    lab_id: str,
    file: str,
    title: str,
    author: str,
    kind: str | None,
    vulnerabilities: tuple[str, ...],
    replaces: str | None,
    rules: tuple[str, ...],
    text: str,
    as_json: bool,
) -> None:
    """add the remedy in FILE to ID: a course of action, a patch note, or a CSAF draft; `lab review` is for remedies, too"""
    from p2pshare.limits import RULE_BYTES_MAX
    from p2pshare.operations.labs import PutInLab
    from p2pshare.spaces.entry_fields import NO_ENTRY
    from p2pshare.spaces.lab_entries import LabRemedy

    raw = read_input(file, RULE_BYTES_MAX * 4)
    with _opened(home, lab_id) as told:
        named = tuple(sorted({told.rule_called(one).rule for one in rules}))
        follows = NO_ENTRY
        if replaces is not None:
            before = told.text_called(replaces).remedy
            if before is None:
                raise NotFoundError("that is a rule, and no remedy", hint="see `p2pshare lab status`")
            follows = bytes(before.vertex.entry_id)
        own = author or told.node.card.name
    digest = hashlib.sha256(raw).digest()
    found, named_so = _remedy_said(raw)
    title = title or named_so.encode("utf-8", "replace")[:REMEDY_TITLE_BYTES_MAX].decode("utf-8", "ignore")
    if not title.strip():
        raise UsageProblem("the file names no title", hint="--title TITLE")
    body = LabRemedy(
        follows,
        kind or found,
        digest,
        len(raw),
        title,
        own,
        tuple(sorted(set(vulnerabilities))),
        named,
        text,
    )
    written = write(home, PutInLab(lab_id, "remedy", _content(body), raw))
    answer(written, f"{written.entry}  {digest.hex()}  {console.shown(title)}", as_json=as_json)


def _remedy_said(raw: bytes) -> tuple[str, str]:
    """Returns the kind and the title of a remedy by what it holds: a CSAF document, a STIX course of action, else a note with its first line."""
    import msgspec

    try:
        read = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        read = None
    document = read if isinstance(read, dict) else {}
    csaf = document.get("document")
    if isinstance(csaf, dict) and "csaf_version" in csaf:
        return "csaf", str(csaf.get("title", ""))
    if document.get("type") == "course-of-action":
        return "course-of-action", str(document.get("name", ""))
    lines = raw[:4096].decode("utf-8", "replace").split("\n")
    return "patch-note", next((line.strip("# \t\r") for line in lines if line.strip("# \t\r")), "")


@lab.command()
@_id
@_rule_argument
@click.option("--dry-run", is_flag=True, help="show what is missing; nothing is written")
@_message_option
@json_option
@click.pass_obj
def promote(home: Path, lab_id: str, rule: str, dry_run: bool, text: str, as_json: bool) -> None:
    """ask that RULE be stable, 30 days after its test was complete at the earliest; it shows what is missing"""
    from p2pshare.operations.labs import SayInLab
    from p2pshare.spaces.lab_entries import RulePromotion

    now = int(time.time())
    with _opened(home, lab_id) as told:
        held = told.rule_called(rule)
        standing, missing = held.current.standing, told.missing(held.missing)
        called = _names(told.shown())
    waits = [one for one in held.missing if one.not_before is not None]
    is_early = standing.test_since is None or any((one.not_before or 0) > now for one in waits)
    if held.is_deprecated:
        raise RefusedError("the rule is deprecated", hint="its author may revise it", reason="deprecated")
    entry = None
    if not dry_run and not is_early and standing.promotion is None:
        entry = write(
            home, SayInLab(lab_id, "promote", _content(RulePromotion(held.current.said.digest, text)))
        ).entry
        with _opened(home, lab_id) as told:
            held = told.rule_called(rule)
            missing = told.missing(held.missing)
    if as_json:
        console.print_json(
            {
                "rule": held.rule.text,
                "hash": held.current.said.digest.hex(),
                "status": held.status,
                "entry": entry,
                "missing": missing,
            }
        )
    else:
        console.print_result(
            f"{held.rule.short}  {held.status}" + (f"  promoted by {entry[:10]}" if entry else "")
        )
        for line in _missing_told(missing, called):
            console.print_result(f"missing: {line}")
    if is_early and not dry_run:
        raise RefusedError(
            "it is too early to promote it", hint="what is missing is told above", reason="not-ready"
        )


@lab.command()
@_id
@click.option("--text", metavar="TEXT", default="", help="what the lab has found out")
@json_option
@click.pass_obj
def close(home: Path, lab_id: str, text: str, as_json: bool) -> None:
    """close ID: its lead may; its rules stay where they are"""
    from p2pshare.spaces.lab_entries import LabClosing

    _say(home, lab_id, "close", LabClosing(text), "closed", as_json=as_json)


# --- files -------------------------------------------------------------------------------------------


@lab.command()
@_id
@click.option("--format", "format_", type=click.Choice(EXPORT_FORMATS), default="sigma", show_default=True)
@click.option(
    "--status",
    "least",
    type=click.Choice(STATUSES),
    default="stable",
    show_default=True,
    help="rules that have come so far at least",
)
@_rules_option
@owner_output_option
@click.pass_obj
def export(home: Path, lab_id: str, format_: str, least: str, rules: tuple[str, ...], file: str) -> int:
    """write rules of ID into a file, each with its author and licence: in their language, as a zip, or as queries of a SIEM

    `splunk` and `elastic` need pySigma's backends.
    """
    from p2pshare.exporters.labs.rule_formats import RULE_EXPORTERS, load_rule_exporter
    from p2pshare.intel.refusals import Refusals

    if format_ == "zip" and file == STANDARD_STREAM and sys.stdout.isatty():
        raise UsageProblem("a zip file is not written onto a terminal", hint="say -o FILE")
    refusals = Refusals()
    with _opened(home, lab_id) as told:
        chosen = {told.rule_called(one).rule for one in rules}
        records, tlp = _records(
            told, chosen, RULE_EXPORTERS[format_].languages, STATUSES.index(least), refusals
        )
    if not records:
        raise NotFoundError(
            f"no {format_} rule of this lab is {least}",
            hint="`p2pshare lab status` says what is missing; --status writes those that have not come so far",
        )
    before = refusals.total
    raw = load_rule_exporter(format_)(records, refusals)
    written = len(records) - (refusals.total - before)
    if not written:
        console.print_counts("refused", refusals.to_json())
        raise RefusedError(
            "nothing of it could be written", hint="the reasons are above", reason="not-converted"
        )
    with open_output(file, mode=OWN_MODE) as stream:
        stream.write(raw)
    console.say(f"{console.counted(written, 'rule')}, {tlp} or stricter")
    console.print_counts("refused", refusals.to_json())
    return EXIT_PARTLY_DONE if refusals.total else 0


def _records(
    told: LabTold, chosen: Iterable[Any], languages: Sequence[str], least: int, refusals: Any
) -> tuple[list[Any], str]:
    """Returns the rules that have come so far, as they are exported, and how the lab is marked."""
    from p2pshare.importers.rule_files import read_rule_file
    from p2pshare.intel.rule_record import RuleRecord
    from p2pshare.operations.spaces import TLP_LABELS

    records, only, texts = [], set(chosen), set()
    for held in told.fold.rules():
        said = held.current.said
        if (only and held.rule not in only) or said.language not in languages:
            continue
        if held.status not in STATUSES or STATUSES.index(held.status) < least:
            continue
        if said.digest in texts:  # two added the same text: a scanner refuses what it is given twice
            continue
        texts.add(said.digest)
        text = told.whole(said.digest)
        if text is None:
            refusals.add("content-missing", said.title)
            continue
        try:
            read_rule_file(text, "", said.language)
        except AuthorError as error:  # whoever added it did not use this program
            refusals.add(error.reason, said.title)
            continue
        agreed = tuple(map(told.called, held.current.standing.agree))
        records.append(
            RuleRecord(
                said.language, said.title, said.author, said.licence, said.level, held.status,
                said.digest.hex(), told.row.title, agreed, text,
            )
        )  # fmt: skip
    return records, TLP_LABELS[told.row.tlp]
