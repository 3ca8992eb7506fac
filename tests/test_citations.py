"""Citations: each document, file and name that the program's texts cite exists.

The grammar, decided so that it meets few values by accident:

1. **Documents**, in every text of `src`, `scripts`, `config`, `.ci` and `pyproject.toml`, and in the docstrings of `tests`: `docs/` and a path.
   A decision may be cited by its number alone, and more numbers may follow it after a comma or "and". A page with a comma and
   quoted words behind it cites sections: a heading of that page begins with those words.
2. **Files**, in the same texts: a path with a slash that ends in .py, .sql or .md, from the checkout's top, from the folder of
   packages, from a package, from `tests` or from the text's own folder; and, between backticks, such a name without a path, which
   some file of the program has.
3. **Dotted names**, in docstrings (of attributes, too) of `src/p2pshare` and `scripts/simulator`, between backticks and with nothing
   else there but the brackets of a call. The first parts are the end of a module's path, or a class of the program; the rest leads
   to what the module binds, or to a member of the class or of its bases. Where no module or class is called so, the first part
   is a name used in the same file and the others are names of the program's; or it was imported from outside and is not followed; or
   all are words of the schema (table.column). A name that ends like a file (`list.json`) is none.
4. **Single names** there, between backticks: a type (a capital and a small letter first) or a constant (capitals with an underscore) is
   an identifier of the program; a small name with an underscore is that, or a word in some string of the program or in its SQL. Words
   without an underscore are fields, options and values of outside as well, and are not looked at.
5. **Paths to a type or constant**, in docstrings and comments, with or without backticks: two or more small names with dots between and a
   name with a capital behind them.

What looks like a name and is none stands in `VALUES` (tests/support/citations.py), with what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from citations import Program, comments, docstrings

PACKAGES = ("src/p2pshare", "scripts/simulator")
TEXTS = ("src/**/*.py", "src/**/*.sql", "scripts/**/*", "config/*", ".ci/*", "pyproject.toml")

BREACHES = [
    ("The form is in docs/envelopes.md.", "docs/envelopes.md"),
    ("See docs/decisions/0999.", "docs/decisions/0999"),
    ("See docs/decisions/0003, 0999.", "docs/decisions/0999"),
    (
        "Decided in docs/decisions/0003-draft-in-the-demon.md.",
        "docs/decisions/0003-draft-in-the-demon.md",
    ),
    ('Rules (docs/envelope.md, "Order of cheques"):', "docs/envelope.md, Order of cheques"),
    ("As peering/waiter.py does.", "peering/waiter.py"),
    ("The tables are in `pictures.sql`.", "pictures.sql"),
    ("The newest is `versions.newest_of_all`.", "versions.newest_of_all"),
    ("The rules of `knowledge.standing`.", "knowledge.standing"),
    ("Called by `service.publishing.prepare`.", "service.publishing.prepare"),
    ("Asked while `Engine.has_leisure`.", "Engine.has_leisure"),
    ("Raises what `Engine.handel(event, now)` raises.", "Engine.handel(event, now)"),
    ("As `overview.status` has it.", "overview.status"),
    ("A `VerifiedEnvelop` comes in.", "VerifiedEnvelop"),
    ("At most `ENVELOPE_BYTES_MOST`.", "ENVELOPE_BYTES_MOST"),
    ("Moves `_told_lsn_of_old` on.", "_told_lsn_of_old"),
    ("A copy of service.drafting.FORMAT_NAMES.", "service.drafting.FORMAT_NAMES"),
]
ALLOWED = [
    "docs/gossip.md, docs/decisions/0003, 0052 and docs/decisions/0009-partner-lists-are-not-signed.md.",
    'docs/gossip.md, "Verbs" and "The states of a peer"; docs/decisions/ and tests/peering have more.',
    "`views.sql`, `table.py`, knowledge/schema/views.sql, daemon/driver.py, scripts/simulator/driver.py.",
    "`knowledge.effective_state`, `versions.latest`, `Engine.has_work`, `faults.FAULTS`, `messages.Hello.epoch`.",
    "`EnvelopeLog.audience` is of its base, `State.WAITING` of an enumeration, `claim.observable` a column.",
    "`random.Random`, `list.json`, `evil.example`, `bad-argument`, `x_rule_author`, `transaction()`, `--home`, `a || b`.",
]


@pytest.fixture(scope="module")
def program(repository: Path) -> Program:
    return Program(repository, [repository / folder for folder in PACKAGES])


def modules(repository: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for folder in PACKAGES:
        for path in sorted((repository / folder).rglob("*.py")):
            parts = path.relative_to((repository / folder).parent).with_suffix("").parts
            yield path, parts[:-1] if parts[-1] == "__init__" else parts


def missing(program: Program, text: str, where: tuple[str, ...], beside: Path) -> list[str]:
    found = [
        *program.missing_files(text, beside),
        *program.missing_names(text, where),
        *program.missing_paths_to_names(text, where),
    ]
    return list(dict.fromkeys(found))


def test_every_document_and_name_in_a_docstring_exists(repository: Path, program: Program) -> None:
    wrong = [
        f"{path.relative_to(repository)}:{line}: {cited}"
        for path, where in modules(repository)
        for line, text in docstrings(path.read_text())
        for cited in missing(program, text, where, path.parent)
    ]
    assert wrong == []


def test_every_path_to_a_name_in_a_comment_exists(repository: Path, program: Program) -> None:
    wrong = [
        f"{path.relative_to(repository)}:{line}: {cited}"
        for path, where in modules(repository)
        for line, text in comments(path.read_text())
        for cited in program.missing_paths_to_names(text, where)
    ]
    assert wrong == []


def test_every_document_and_file_named_in_the_sources_exists(repository: Path, program: Program) -> None:
    files = {path for pattern in TEXTS for path in repository.glob(pattern) if path.is_file()}
    texts = [(path, path.read_text()) for path in sorted(files) if path.suffix != ".pyc"]
    assert len(texts) > 300
    tests = sorted((repository / "tests").rglob("*.py"))  # their code names files that are to be missing
    texts += [(path, text) for path in tests for _, text in docstrings(path.read_text())]
    wrong = [
        f"{path.relative_to(repository)}: {cited}"
        for path, text in texts
        for cited in program.missing_files(text, path.parent)
    ]
    assert wrong == []


@pytest.mark.parametrize(("text", "cited"), BREACHES)
def test_a_wrong_citation_is_seen(text: str, cited: str, repository: Path, program: Program) -> None:
    assert missing(program, text, ("p2pshare", "gossip", "engine"), repository) == [cited]


@pytest.mark.parametrize("text", ALLOWED)
def test_what_exists_or_cites_nothing_is_allowed(text: str, repository: Path, program: Program) -> None:
    assert missing(program, text, ("p2pshare", "knowledge", "withdrawals"), repository) == []


def test_a_name_that_goes_is_missed_where_it_is_cited(tmp_path: Path) -> None:
    """A copy in the small: the same docstring before and after its function was renamed."""
    package = tmp_path / "src" / "p2pshare"
    package.mkdir(parents=True)
    (package / "rules.py").write_text("def latest(): ...\n")
    (package / "asking.py").write_text('"Asks `rules.latest`."\n')
    [(line, text)] = docstrings((package / "asking.py").read_text())
    assert missing(Program(tmp_path, [package]), text, ("p2pshare", "asking"), package) == []
    (package / "rules.py").write_text("def newest(): ...\n")
    assert missing(Program(tmp_path, [package]), text, ("p2pshare", "asking"), package) == ["rules.latest"]
    assert line == 1
