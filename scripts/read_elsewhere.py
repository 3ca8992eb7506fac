"""Programs of others read what we export, and we read what they write of it; see scripts/read-elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from elsewhere import chromium, roaster, soarca
from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.jss import PlaybookKey, sign_playbook
from p2pshare.exporters.playbooks.playbook_formats import load_playbook_exporter
from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord, cacao_text
from p2pshare.exporters.playbooks.playbook_soarca import soarca_warnings
from p2pshare.importers.playbook_containers import read_container
from p2pshare.intel.playbooks.playbook_text import playbook_digest, playbook_of
from p2pshare.intel.playbooks.workflow import Workflow
from p2pshare.node.shipped import shipped_playbooks

TOP = Path(__file__).resolve().parent.parent
FETCH_SECONDS = 120
INSTALL_SECONDS = 600


class Source(NamedTuple):
    """Where the source of a program is: a variable, a folder of the shared data, or what its authors publish, at one commit."""

    variable: str
    folder: str
    address: str
    commit: str


SOARCA = Source(
    "P2PSHARE_SOARCA",
    "soarca",
    "https://github.com/COSSAS/SOARCA.git",
    "06b04737246dd8ba47bb4d2f628c5b9fd548c335",
)
ROASTER = Source(
    "P2PSHARE_ROASTER",
    "cacao-roaster",
    "https://github.com/opencybersecurityalliance/cacao-roaster.git",
    "0d83e283158a2b3efb5906a994898180d0a8a96b",
)


class Missing(Exception):
    """What a program needs and is not to be had here."""


class Check:
    """What was found of one program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.passed = 0
        self.failed = 0

    def holds(self, fact: bool, what: str, more: object = "") -> None:
        """Count a fact, and say so where it is none."""
        if fact:
            self.passed += 1
        else:
            self.failed += 1
            print(f"elsewhere: {self.name}: FAILED: {what} {more}".rstrip(), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/read-elsewhere", description="have others read our playbooks"
    )
    parser.add_argument("--only", choices=sorted(PROGRAMS))
    parser.add_argument("--strict", action="store_true", help="exit 3 where a program is not to be had")
    parser.add_argument("--keep", type=Path, help="work in DIR, and leave it")
    arguments = parser.parse_args()
    failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="p2pshare-elsewhere-", ignore_cleanup_errors=True) as thrown_away:
        folder = arguments.keep or Path(thrown_away)
        for name, run in PROGRAMS.items():
            if arguments.only not in (None, name):
                continue
            check = Check(name)
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            try:
                run(check, place)
            except Missing as missing:
                skipped += 1
                print(f"elsewhere: {name}: skipped: {missing}", flush=True)
                continue
            failed += check.failed
            print(f"elsewhere: {name}: {check.passed} hold, {check.failed} do not", flush=True)
    return 1 if failed else 3 if skipped and arguments.strict else 0


def source_of(source: Source, folder: Path) -> Path:
    """Returns the folder with a program's source. Raises Missing."""
    named = os.environ.get(source.variable)
    for place in filter(None, (named, TOP.parent / "shared" / "data" / source.folder)):
        if Path(place).is_dir():
            return Path(place)
    words = (["init", "--quiet"], ["fetch", "--quiet", "--depth", "1", source.address, source.commit])
    try:
        for each in (*words, ["checkout", "--quiet", "FETCH_HEAD"]):
            quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
            subprocess.run(
                ["git", *each], cwd=folder, env=quiet, check=True, capture_output=True, timeout=FETCH_SECONDS
            )
    except (OSError, subprocess.SubprocessError):
        raise Missing(
            f"its source is not to be had: {source.address} is not reached, and {source.variable} names no folder"
        ) from None
    return folder


def program(found: str | None, name: str) -> str:
    """Returns a program that was looked for. Raises Missing."""
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def records() -> Iterator[tuple[str, PlaybookRecord]]:
    """Yields our playbooks, each with a signature of a partner."""
    for name, raw in shipped_playbooks().items():
        playbook = playbook_of(raw)
        signature = sign_playbook(
            playbook.document,
            PlaybookKey(Secret(bytes(32))),
            jss_id="jss--00000001-0000-4000-8000-000000000000",
            created_by="identity--00000001-0000-4000-8000-000000000000",
            signee="Hospital A",
            at="2026-11-30T08:00:00.000Z",
        )
        yield name, PlaybookRecord(playbook, (signature,))


def comes_back(check: Check, record: PlaybookRecord, text: bytes, what: str) -> None:
    """Hold what others wrote of a playbook against what they were given, to the byte."""
    read = read_container(text)
    found = [one.playbook.raw for one in read.playbooks]
    check.holds(
        found == [cacao_text(record)] and not read.problems, f"{what} is read back to the byte", read.problems
    )


def check_stores(check: Check, folder: Path) -> None:
    """PyMISP, misp-stix and stix2-validator."""
    environment = folder / "venv"
    python = environment / "bin" / "python"
    locks = [
        word for name in ("requirements", "requirements-readers") for word in ("-r", TOP / f"{name}.lock")
    ]
    try:
        venv.create(environment, with_pip=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, *locks], check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except subprocess.SubprocessError:
        raise Missing("the packages of requirements-readers.lock cannot be installed") from None
    ours = dict(records())
    for name, record in ours.items():
        for format_name in ("misp", "stix"):
            (folder / f"{name}.{format_name}.json").write_bytes(load_playbook_exporter(format_name)(record))
    script = Path(__file__).parent / "elsewhere" / "stores.py"
    output = subprocess.run(
        [python, script, folder], check=True, capture_output=True, timeout=INSTALL_SECONDS
    ).stdout
    told: dict[str, Any] = json.loads(output)
    for name, record in ours.items():
        misp, stix = told[f"{name}.misp.json"], told[f"{name}.stix.json"]
        check.holds(not misp["errors"], f"misp-stix converts {name} without an error", misp["errors"])
        comes_back(
            check, record, (folder / f"{name}.back.misp.json").read_bytes(), f"what PyMISP writes of {name}"
        )
        comes_back(
            check,
            record,
            (folder / f"{name}.back.stix.json").read_bytes(),
            f"what misp-stix writes of {name}",
        )
        check.holds(
            stix["valid"] and not stix["errors"], f"stix2-validator finds {name} valid", stix["errors"]
        )
        # Known: misp-stix keeps the course of action of a STIX bundle by name, and drops the extension. MISP is for the MISP event.
        misp = stix["misp"]
        check.holds(
            not misp["errors"] and bool(misp["galaxies"]),
            f"misp-stix reads the course of action of {name}",
            misp,
        )


def check_soarca(check: Check, folder: Path) -> None:
    """SOARCA's schemas, model, checks, and what its decomposer runs."""
    go = program(soarca.find_go(), "Go")
    (folder / "source").mkdir(exist_ok=True)
    source = source_of(SOARCA, folder / "source")
    reader = soarca.build(go, source, folder / "build")
    files: dict[Path, PlaybookRecord] = {}
    for name, record in records():
        file = folder / f"{name}.json"
        file.write_bytes(load_playbook_exporter("soarca")(record))
        files[file] = record
    for answer in soarca.read(reader, files):
        file = Path(answer["file"])
        document = json.loads(file.read_bytes())
        check.holds(not answer["error"], f"SOARCA reads and runs {file.stem}", answer["error"])
        faults = soarca.schema_faults(source, document)
        check.holds(not faults, f"SOARCA's schemas find {file.stem} valid", faults)
        ran, workflow = set(answer["ran"]), Workflow(document)
        passed_over = below(workflow, ("next_steps", "cases"))
        check.holds(
            bool(ran) and not ran & passed_over,
            f"SOARCA runs no branch of a parallel or switch of {file.stem}",
        )
        rules = {one.rule for one in soarca_warnings(document)}
        kinds = set(workflow.kinds.values())
        wanted = {"parallel": "soarca-parallel", "switch-condition": "soarca-switch"}
        check.holds(
            {wanted[kind] for kind in kinds & set(wanted)} <= rules,
            f"what is passed over in {file.stem} is warned of",
        )


def below(workflow: Workflow, kinds: tuple[str, ...]) -> set[str]:
    """Returns the steps that are reached through such an edge, and not without one."""

    def reached(waiting: list[str], leaves_out: tuple[str, ...]) -> set[str]:
        seen: set[str] = set()
        while waiting:
            step = waiting.pop()
            if step not in seen and step in workflow.edges:
                seen.add(step)
                waiting += [edge.target for edge in workflow.edges[step] if edge.kind not in leaves_out]
        return seen

    firsts = [edge.target for edges in workflow.edges.values() for edge in edges if edge.kind in kinds]
    return reached(firsts, ()) - reached([workflow.start], kinds)


def check_roaster(check: Check, folder: Path) -> None:
    """The roaster: every step and edge is drawn, its own schemas find nothing, and what it exports is read back."""
    npm = program(roaster.find_npm(), "npm")
    browser = program(chromium.find_chromium(), "Chromium")
    (folder / "source").mkdir(exist_ok=True)
    source = source_of(ROASTER, folder / "source")
    try:
        page_folder = roaster.build(npm, source, folder / "build")
    except subprocess.SubprocessError as error:
        with suppress(AttributeError):
            (folder / "npm.txt").write_bytes(error.stderr or b"")
        raise Missing("npm cannot build it: are its packages reached?") from None
    asyncio.run(open_all(check, browser, page_folder))


async def open_all(check: Check, browser: str, folder: Path) -> None:
    with roaster.served(folder) as address:
        async with chromium.opened_page(browser, address) as page:
            for name, record in records():
                unsigned = cacao_text(record._replace(is_unsigned=True)).decode()
                workflow = Workflow(record.playbook.document)
                edges = sum(len(edges) for edges in workflow.edges.values())
                for is_base64 in (False, True):
                    opened = await roaster.open_playbook(page, unsigned, is_base64=is_base64)
                    form = "base64" if is_base64 else "CACAO JSON"
                    check.holds(not opened.error, f"the roaster opens {name} ({form})", opened.error)
                    check.holds(
                        opened.said == roaster.VALID, f"the roaster finds {name} valid", opened.faults
                    )
                    check.holds(
                        opened.steps == len(workflow.steps), f"the roaster draws each step of {name}", opened
                    )
                    check.holds(
                        opened.edges == edges,
                        f"the roaster draws each edge of {name}",
                        f"{opened} of {edges}",
                    )
                for button in (".export", ".export_stix"):
                    read = read_container((await roaster.exported(page, button)).encode())
                    digests = [playbook_digest(one.playbook.document) for one in read.playbooks]
                    check.holds(
                        len(digests) == 1 and not read.problems,
                        f"its {button} export of {name} is read",
                        read.problems,
                    )
                # Known: it calls what is signed by the standard's algorithms invalid. It has to open it all the same.
                opened = await roaster.open_playbook(page, cacao_text(record).decode())
                check.holds(
                    not opened.error and opened.steps == len(workflow.steps),
                    f"the roaster opens {name} signed",
                    opened,
                )
            check.holds(not page.errors, "the roaster's page throws nothing", page.errors[:3])


PROGRAMS: dict[str, Callable[[Check, Path], None]] = {
    "stores": check_stores,
    "soarca": check_soarca,
    "roaster": check_roaster,
}

if __name__ == "__main__":
    sys.exit(main())
