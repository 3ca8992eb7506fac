"""Citations: what a text of the program names, and whether it exists. Sources are parsed, never imported.

`tests/test_citations.py` has the grammar.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

DOCUMENT = re.compile(r"\bdocs/[\w./-]*[\w]")
DECISIONS = re.compile(r"docs/decisions/\d{4}((?:(?:,| and) \d{4})+)")
TITLE = re.compile(r'\bdocs/([\w-]+\.md), ("[^"\n]+"(?: and "[^"\n]+")*)')
FILE = re.compile(r"(?<![\w./-])((?:[\w-]+/)+[\w-]+\.(?:py|sql|md))\b|`([\w-]+\.(?:py|sql))`")
TICKED = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
PATH_TO_NAME = re.compile(r"(?<![\w./-])[a-z_]+(?:\.[a-z_]+)+\.[A-Z]\w+")
SINGLE = re.compile(r"[A-Z][a-z]\w*|[A-Z][A-Z0-9]*_[A-Z0-9_]+|_*[a-z]\w*_\w*|_[a-z]\w*")
CALL = re.compile(r"\([^()]*\)$")

SUFFIXES = frozenset({"py", "sql", "md", "json", "toml", "sqlite", "lock", "sock"})
"""Of a file: `list.json` is no name of the program."""
VALUES = {
    "evil.example": "a domain",
    "co.uk": "a public suffix",
    "rc.local": "a file that looks like a host",
    "loop.create_server": "asyncio's",
    "known_affected": "CSAF's",
    "threat.indicator": "ECS's",
    "event.action": "ECS's",
    "event.reason": "ECS's",
    "event.id": "ECS's",
}
"""Ticked words that look like names of this program and are none."""


class Text(NamedTuple):
    """A docstring or comment and the line it begins at. It has no line breaks, so that none cuts a citation."""

    line: int
    text: str


@dataclass
class _Class:
    members: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)


@dataclass
class _Module:
    names: set[str] = field(default_factory=set)
    classes: dict[str, _Class] = field(default_factory=dict)
    identifiers: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)


class Program:
    """The modules below `folders`, each a package of its own, of the checkout at `top`."""

    def __init__(self, top: Path, folders: Sequence[Path]) -> None:
        self._top = top
        self._modules: dict[tuple[str, ...], _Module] = {}
        self._classes: dict[str, list[_Class]] = {}
        self._words: set[str] = set()
        self._columns: set[str] = set()
        self._files: set[str] = set()
        for folder in folders:
            for path in sorted(folder.rglob("*.sql")):
                self._columns |= _words(path.read_text())
                self._files.add(path.name)
            for path in sorted(folder.rglob("*.py")):
                parts = path.relative_to(folder.parent).with_suffix("").parts
                self._files.add(path.name)
                self._add(parts[:-1] if parts[-1] == "__init__" else parts, ast.parse(path.read_text()))
        self._identifiers = set[str]().union(*(one.identifiers for one in self._modules.values()))
        self._identifiers |= {part for parts in self._modules for part in parts}
        self._words |= self._columns
        self._roots = [top, *{folder.parent for folder in folders}, *folders, top / "tests"]

    def _add(self, parts: tuple[str, ...], tree: ast.Module) -> None:
        module = self._modules.setdefault(parts, _Module())
        texts = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            module.identifiers |= set(_identifiers(node))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                self._words |= _words(node.value)
            if isinstance(node, ast.Import | ast.ImportFrom):
                origin = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                for alias in node.names:
                    if (origin or alias.name).partition(".")[0] != parts[0]:
                        module.outside.add(alias.asname or alias.name)
            if isinstance(node, ast.ClassDef):
                one = _class(node)
                module.classes[node.name] = one
                self._classes.setdefault(node.name, []).append(one)
        for node in tree.body:
            module.names |= set(_bound(node))

    def missing_names(self, text: str, where: tuple[str, ...]) -> Iterator[str]:
        """Yields the ticked names in a docstring of the module `where` that lead nowhere."""
        for ticked in TICKED.findall(text):
            name = CALL.sub("", ticked)
            if (DOTTED.fullmatch(name) and not self.is_name(name, where)) or (
                SINGLE.fullmatch(name) and not self.is_word(name)
            ):
                yield ticked

    def missing_paths_to_names(self, text: str, where: tuple[str, ...]) -> Iterator[str]:
        """Yields what is written as the path to a name, ticked or not, and leads nowhere."""
        return (name for name in PATH_TO_NAME.findall(text) if not self.is_name(name, where))

    def missing_files(self, text: str, beside: Path) -> Iterator[str]:
        """Yields the documents, their titles and the files that a text in the folder `beside` cites and that are not there."""
        for cited in DOCUMENT.findall(text):
            found = list(self._top.glob(f"{cited}-*.md")) if re.search(r"/\d{4}$", cited) else []
            if len(found) != 1 and not (self._top / cited).exists():
                yield cited
        for more in DECISIONS.findall(text):
            for number in re.findall(r"\d{4}", more):
                if len(list(self._top.glob(f"docs/decisions/{number}-*.md"))) != 1:
                    yield f"docs/decisions/{number}"
        for page, titles in TITLE.findall(text):
            for title in re.findall(r'"([^"]+)"', titles):
                path = self._top / "docs" / page
                if path.is_file() and not re.search(
                    rf"^#+ {re.escape(title)}\b", path.read_text(), re.MULTILINE
                ):
                    yield f"docs/{page}, {title}"
        for path, name in FILE.findall(text):
            if name and name not in self._files:
                yield name
            if path and not DOCUMENT.match(path) and not self.is_path(path, beside):
                yield path

    def is_path(self, path: str, beside: Path) -> bool:
        """Whether a file stands there, seen from the top, from a package or from the folder `beside`."""
        return any((root / path).exists() for root in (*self._roots, beside))

    def is_word(self, name: str) -> bool:
        """Whether an identifier, or a word in some string or statement, is called so; a type or constant has to be the former."""
        is_lower = name.lstrip("_")[:1].islower()
        return name in self._identifiers or name in VALUES or (is_lower and name in self._words)

    def is_name(self, dotted: str, where: tuple[str, ...] = ()) -> bool:
        """Whether a dotted name leads somewhere, read in the module `where`."""
        parts = dotted.split(".")
        if dotted in VALUES or parts[-1] in SUFFIXES:
            return True
        heads = [
            (module, parts[length:])
            for path, module in self._modules.items()
            for length in range(1, len(parts) + 1)
            if list(path[-length:]) == parts[:length]
        ]
        if any(not rest or self._is_in_module(module, rest) for module, rest in heads):
            return True
        if parts[0] in self._classes:
            return self._is_in_class(parts[0], parts[1:])
        if heads:
            return False
        if self._columns.issuperset(parts):
            return True
        own = self._modules.get(where, _Module())
        if parts[0] in own.outside or parts[0] in sys.stdlib_module_names:
            return True
        return parts[0] in own.identifiers and self._identifiers.issuperset(parts[1:])

    def _is_in_module(self, module: _Module, rest: list[str]) -> bool:
        if rest[0] in module.classes and len(rest) > 1:
            return self._is_in_class(rest[0], rest[1:])
        return rest[0] in module.names and len(rest) == 1

    def _is_in_class(self, name: str, rest: list[str]) -> bool:
        return len(rest) == 1 and any(
            rest[0] in one.members or any(self._is_in_class(base, rest) for base in one.bases)
            for one in self._classes.get(name, ())
        )


def docstrings(source: str) -> Iterator[Text]:
    """Yields every string that stands alone: of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield Text(node.lineno, " ".join(text.split()))


def comments(source: str) -> Iterator[Text]:
    """Yields each comment, lines that follow one another as one."""
    block: list[str] = []
    began = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        row = token.start[0]
        if row != last + 1 and block:
            yield Text(began, " ".join(block))
            block = []
        if not block:
            began = row
        block.append(token.string.lstrip("# "))
        last = row
    if block:
        yield Text(began, " ".join(block))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


def _identifiers(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.keyword(arg=str() as name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield from name.split(".")
            if asname:
                yield asname


def _bound(node: ast.AST) -> Iterator[str]:
    """Yields the names that a statement of a module or class binds."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Assign(targets=targets):
            for target in targets:
                yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((alias.asname or alias.name) for alias in names)
        case ast.If(body=body, orelse=orelse):
            for one in [*body, *orelse]:
                yield from _bound(one)


def _class(node: ast.ClassDef) -> _Class:
    found = _Class()
    for statement in node.body:
        found.members |= set(_bound(statement))
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                found.members.add(name)
    for base in node.bases:
        match base:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(value=ast.Name(id=name)):
                found.bases.add(name)
    return found
