"""Nothing of the inventory leaves: 50 canary strings through every command, and every byte that three daemons send is read.

TLS hides what is sent from who listens, and sealing what is in it from us; so each daemon writes down what it hands to TLS, and
everything that was sealed is read where it is plain: in the stores of those who sealed and received it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from store_rows import rows

from demos import hospital
from p2pshare.cli.risk.aggregate import AGGREGATE_BYTES_MAX, KEYS, read_aggregate
from p2pshare.envelope.payload import inflate_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Company, Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end

CANARIES = [f"kanarie{number:02}zx" for number in range(50)]
SHOWN = "leaves-for-all.example"  # what is published: it must be found where nothing of the inventory is
RECORD = """
import atexit, ssl, sys
_sent = open({sent!r}, "ab", buffering=0)
_write = ssl.SSLObject.write
def write(self, data):
    _sent.write(bytes(data))
    return _write(self, data)
ssl.SSLObject.write = write
atexit.register(lambda: open({modules!r}, "w").write("\\n".join(sys.modules)))
"""
WITHOUT_SOCKETS = """
import os, sys
def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "pty.")):
        os._exit(97)
    if event == "open" and str(arguments[0]).endswith((".p2pkey", ".sock")):
        os._exit(98)
sys.addaudithook(refuse)
import p2pshare.cli.risk.worker as worker
worker.ROUND_SECONDS = 0.2
from p2pshare.__main__ import main
main()
"""
DATA = Path(__file__).resolve().parents[2] / "config" / "demo" / "risk"


def inventory() -> str:
    """A list in which each text that a person may write is a canary; what advisories name stays as it is."""
    columns = (
        "asset",
        "vendor",
        "product",
        "model",
        "version",
        "site",
        "owner",
        "serial",
        "hardware_revision",
        "exposure",
        "human_impact",
    )
    words = iter(CANARIES)
    lines = []
    for number in range(10):
        asset, site, owner, serial, revision = (next(words) for _ in range(5))
        device = (
            ("Torhus", "Edge Gateway", "TH-900", "9.1.4")
            if number % 2
            else ("Nordlys Imaging", "Radview Server", "", "8.1")
        )
        lines.append((asset, *device, site, owner, serial, revision, "open", "very high"))
    return "\n".join(",".join(line) for line in (columns, *lines)) + "\n"


@pytest.fixture(scope="module")
def told(shared_company: Company, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """alpha - bravo - charlie, each with its plaintext written down; alpha has the inventory."""
    folder = tmp_path_factory.mktemp("told")
    alpha, bravo, charlie = (shared_company.found(name) for name in ("alpha", "bravo", "charlie"))
    for left, right in ((alpha, bravo), (bravo, charlie)):
        left.trust(right)
        right.trust(left)
    alpha.trust(charlie, "--no-link")
    charlie.trust(alpha, "--no-link")
    for partner in (alpha, bravo, charlie):
        partner.stay_in_sight()
        partner.preface += RECORD.format(
            sent=str(sent_by(folder, partner)), modules=str(folder / f"{partner.name}-modules")
        )
        partner.start()
    alpha.folder = folder  # type: ignore[attr-defined]
    (folder / "devices.csv").write_text(inventory())
    return alpha, bravo, charlie


def sent_by(folder: Path, partner: Partner) -> Path:
    return folder / f"{partner.name}-sent"


def is_held(partner: Partner, count: int) -> Callable[[], bool]:
    def all_read() -> bool:
        envelopes = partner.status()["envelopes"]
        return bool(envelopes["held"] >= count and not envelopes["unread"])

    return all_read


def closed_incident(alpha: Partner) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """What an incident asks that watches a vulnerability of ours."""
    invited = ("--invite", "bravo", "--yes", "--json")
    opened = alpha.cli_json("incident", "open", "--title", "VPN", "--type", "x", "--tlp", "green", *invited)
    alpha.case = opened["incident"]  # type: ignore[attr-defined]
    yield ("incident", "ioc", "add", opened["incident"], hospital.VPN, "--yes"), (0,)
    yield ("incident", "close", opened["incident"], "--override", "over"), (0,)
    yield ("incident", "watch", "list", opened["incident"]), (0,)


def every_command(
    alpha: Partner, folder: Path, space: str, known: str
) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Every command of `asset` and `risk`, and those of others that tell what is here, with the exit codes that are right."""
    kanarie = CANARIES[0]
    devices = str(folder / "devices.csv")
    yield ("asset", "import", devices, "--json"), (0,)
    yield ("asset", "import", str(DATA / "portal.cdx.json"), "--asset", CANARIES[1]), (0,)
    yield ("asset", "list"), (0,)
    yield ("asset", "list", "--json"), (0,)
    yield ("asset", "show", kanarie), (0,)
    yield (
        ("asset", "set", kanarie, "--data", CANARIES[2], "--controls", CANARIES[3], "--owner", CANARIES[4]),
        (0,),
    )
    for kind, name in (
        ("kev", "kev.json"),
        ("epss", "epss.csv"),
        ("vulnrichment", "ssvc"),
        ("csaf", "csaf"),
        ("osv", "osv"),
    ):
        yield ("risk", "source", "add", kind, str(DATA / name)), (0,)
    yield ("risk", "source", "list"), (0,)
    yield ("risk", "vex", "import", str(DATA / "portal.vex.cdx.json")), (0,)
    yield ("risk", "worker", "--once"), (0,)
    yield ("risk", "alias", "list"), (0,)
    yield (
        (
            "risk",
            "alias",
            "confirm",
            "--vendor",
            "Nordlys Imaging",
            "--product",
            "Radview Server",
            "--by",
            CANARIES[5],
        ),
        (0,),
    )
    yield (
        ("risk", "alias", "reject", "--vendor", "Torhus", "--product", "Edge Gateway", "--by", CANARIES[6]),
        (0,),
    )
    for table in ("ssvc-deployer", "cisa-bod-26-04"):
        for written in ("table", "json", "csv", "html"):
            yield ("risk", "rank", "--why", "--all", "--table", table, "--format", written), (0,)
    yield (
        (
            "risk",
            "measure",
            "add",
            hospital.VPN,
            "--kind",
            "segment",
            "--text",
            CANARIES[7],
            "--asset",
            kanarie,
            "--owner",
            CANARIES[8],
        ),
        (0,),
    )
    yield ("risk", "measure", "verify", "1", "--evidence", CANARIES[9], "--by", CANARIES[10]), (0,)
    yield ("risk", "measure", "list"), (0,)
    yield ("risk", "plan"), (0,)
    yield (
        (
            "risk",
            "decide",
            hospital.VPN,
            "--accept",
            "--until",
            "90d",
            "--because",
            CANARIES[11],
            "--asset",
            kanarie,
        ),
        (0,),
    )
    yield ("risk", "decide", "--list"), (0,)
    yield ("risk", "diff"), (0,)
    yield ("risk", "report", "-o", str(folder / "report.html")), (0,)
    yield ("risk", "exposure", "--cve", hospital.VPN, "--json"), (0,)
    yield from closed_incident(alpha)
    yield ("risk", "exposure", "--cve", hospital.VPN, "--cve", hospital.PUMP, "--share", space, "--yes"), (0,)
    yield ("asset", "set", CANARIES[45], "--retire"), (0,)
    # ... and what others tell, who know nothing of it
    yield ("status", "--json"), (0,)
    yield ("doctor", "--json"), (0, 1, 6)
    yield ("search", "--type", "vulnerability"), (0,)
    yield ("show", known), (0,)
    yield ("lookup", kanarie, "--json"), (3,)
    yield ("explain", known, "--partner", "bravo"), (0,)
    yield ("export", "--format", "ndjson"), (0,)
    yield ("space", "show", space), (0,)
    yield ("partner", "list"), (0,)
    yield ("partner", "export", "-"), (0,)


@pytest.fixture(scope="module")
def done(told: Chain, eventually: Callable[..., Any]) -> dict[str, str]:
    """What every command said to whom: "here" (asset and risk) and "others"."""
    alpha, bravo, charlie = told
    folder: Path = alpha.folder  # type: ignore[attr-defined]
    bravo.cli("publish", str(DATA / "nordlys.csaf.json"), "--to", "alpha", "--yes")
    alpha.publish(f"{SHOWN}\n", "--tlp", "clear")
    eventually(is_held(alpha, 2), "alpha holds the advisory")
    [known] = alpha.cli_json("search", "--type", "vulnerability", "--json")
    bravo.cli("sight", known["id"], "--to", "alpha")
    eventually(is_held(alpha, 3), "alpha holds the sighting")
    opened = alpha.cli_json(
        "space", "open", "--title", "ours", "--tlp", "amber+strict", "--invite", "bravo", "--yes", "--json"
    )
    said = {"here": "", "others": ""}
    for arguments, codes in every_command(alpha, folder, opened["space"], known["id"]):
        answer = alpha.cli(*arguments, codes=codes)
        is_ours = arguments[0] in ("asset", "risk") and arguments[1] != "exposure"
        said["here" if is_ours else "others"] += answer.out + answer.err
    alpha.publish(
        "last-word.example\n", "--tlp", "clear"
    )  # what may have been queued before it is out with it
    for partner in (bravo, charlie):
        partner.wait_for("last-word.example", SHOWN)
    return said | {"space": opened["space"]}


def contents(partner: Partner) -> str:
    """Everything that was sealed by this partner or for it, in plain."""
    frames = rows(partner.home / "store.sqlite", "SELECT bytes FROM frame")
    return "\n".join(inflate_frame(raw).decode("utf-8", "replace") for (raw,) in frames)


def canaries_in(raw: bytes | str) -> list[str]:
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    return [one for one in CANARIES if one in text.casefold()]


def test_the_commands_that_stay_here_do_see_the_inventory(done: dict[str, str]) -> None:
    assert canaries_in(done["here"]) == CANARIES


def test_no_other_command_says_a_word_of_it(done: dict[str, str]) -> None:
    assert (
        canaries_in(done["others"].replace(CANARIES[0], "", 1)) == []
    )  # the value that `lookup` was asked for


def test_no_byte_that_a_daemon_sent_has_a_word_of_it(told: Chain, done: dict[str, str]) -> None:
    alpha, *_ = told
    folder: Path = alpha.folder  # type: ignore[attr-defined]
    for partner in told:
        sent = sent_by(folder, partner).read_bytes()
        assert b" HTTP/1.1\r\n" in sent, "what is handed to TLS was written down"
        assert canaries_in(sent) == [], partner.name


def test_nothing_that_was_sealed_has_a_word_of_it(told: Chain, done: dict[str, str]) -> None:
    for partner in told:
        plain = contents(partner)
        assert SHOWN in plain, "what was shared is found this way"
        assert canaries_in(plain) == [], partner.name


def test_no_file_but_those_of_risk_has_a_word_of_it(told: Chain, done: dict[str, str]) -> None:
    """The whole home but `risk/`, which a backup leaves out unless it is named, and all that partners and logs hold."""
    alpha, *others = told
    looked_at = [
        path for path in alpha.home.rglob("*") if path.is_file() and (alpha.home / "risk") not in path.parents
    ]
    looked_at += [path for other in others for path in other.home.rglob("*") if path.is_file()]
    looked_at += [partner.log_path for partner in told]
    assert {"store.sqlite", "config.toml", "alpha.log"} <= {path.name for path in looked_at}
    assert {path.name: found for path in looked_at if (found := canaries_in(path.read_bytes()))} == {}
    inside = b"".join(path.read_bytes() for path in (alpha.home / "risk").iterdir())
    assert canaries_in(inside) == CANARIES


def test_the_inventory_is_its_owners_alone(told: Chain, done: dict[str, str]) -> None:
    alpha, *_ = told
    assert (alpha.home / "risk").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in (alpha.home / "risk").iterdir()} == {0}


def test_what_was_told_to_the_space_is_the_answer_and_nothing_else(told: Chain, done: dict[str, str]) -> None:
    alpha, *_ = told
    shown = alpha.cli_json("space", "show", done["space"], "--json")
    [note] = shown["state"]["notes"]
    assert note["sealed"], "it is for those who were members then, and for nobody who comes later"
    bodies = rows(alpha.home / "store.sqlite", "SELECT body FROM space_entry WHERE body IS NOT NULL")
    [body] = [bytes(body) for (body,) in bodies if b"exposure" in bytes(body)]
    told = rf"exposure as of \d{{4}}-\d{{2}}-\d{{2}}: {hospital.VPN} yes \(1-9 assets\), {hospital.PUMP} no"
    assert re.search(told.encode() + rb"\Z", body), body


def test_a_vulnerability_of_a_closed_incident_that_is_ours_alarms_here_alone(
    told: Chain, done: dict[str, str], eventually: Callable[..., Any]
) -> None:
    alpha, bravo, _ = told
    case = alpha.case  # type: ignore[attr-defined]

    def alarms(partner: Partner) -> list[Any]:
        return [one for one in partner.status()["alarms"] if one["word"] == "incident-found-here"]

    [alarm] = eventually(lambda: alarms(alpha), "it is in `status`")
    assert (alarm["space"], alarm["count"]) == (case, 4), "of five that have it one is retired"
    assert hospital.VPN in alarm["message"]
    assert canaries_in(json.dumps(alarm)) == [], "not which ones"
    assert alarms(bravo) == []
    shown = alpha.cli_json("incident", "show", case, "--json")
    assert shown["recurrences"] == [] and [one["kind"] for one in shown["timeline"]][-1] == "close"
    assert "incident-found-here" not in alpha.log_path.read_text(), "the daemon does not know it"


def test_what_leaves_and_who_reads_it_is_shown_and_without_a_person_nothing_leaves(
    told: Chain, done: dict[str, str]
) -> None:
    assert "tells bravo, TLP:AMBER+STRICT, this and nothing else:\n  exposure as of " in done["others"]
    alpha, *_ = told
    said = alpha.cli("risk", "exposure", "--cve", hospital.VPN, "--share", done["space"], code=2)
    assert "share with --yes" in said.err
    assert len(alpha.cli_json("space", "show", done["space"], "--json")["state"]["notes"]) == 1


def test_the_daemon_has_neither_the_file_nor_the_code(told: Chain, done: dict[str, str]) -> None:
    alpha, *_ = told
    assert alpha.process is not None
    descriptors = Path(f"/proc/{alpha.process.pid}/fd")
    opened = {os.readlink(one) for one in descriptors.iterdir()}
    assert any(name.endswith("store.sqlite") for name in opened)
    assert not any("risk" in name.removeprefix(str(alpha.home)) for name in opened if str(alpha.home) in name)
    mapped = Path(f"/proc/{alpha.process.pid}/maps").read_text()
    assert "store.sqlite-shm" in mapped and "risk.sqlite" not in mapped


def test_the_process_that_asks_hands_over_five_keys_in_256_bytes(told: Chain, done: dict[str, str]) -> None:
    alpha, *_ = told
    cves = ["CVE-2026-1234567", hospital.VPN, hospital.PUMP, hospital.MONITOR, hospital.HELPER]
    command = [sys.executable, "-P", "-m", "p2pshare.cli.risk.exposure_answer", str(alpha.home), "", *cves]
    done_ = subprocess.run(command, capture_output=True, check=True)
    assert len(done_.stdout) <= AGGREGATE_BYTES_MAX
    assert tuple(json.loads(done_.stdout)) == KEYS
    assert [one[1] for one in read_aggregate(done_.stdout, cves).answers] == [
        "unknown",
        "yes",
        "no",
        "no",
        "no",
    ]
    assert done_.stderr == b""


def test_a_kev_listed_vulnerability_of_a_partner_is_in_the_view_without_a_socket(
    told: Chain, done: dict[str, str], tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """The worker as a process in which any socket, any child and the key file end it; the arrival is there in its next round."""
    alpha, _, charlie = told
    view = alpha.home / "risk" / "risk.sqlite"
    kev = hospital.kev()
    kev["vulnerabilities"].append(kev["vulnerabilities"][0] | {"cveID": "CVE-2026-97777"})
    (tmp_path / "kev.json").write_text(json.dumps(kev | {"count": 2}))
    alpha.cli("risk", "source", "add", "kev", str(tmp_path / "kev.json"))
    advisory = hospital.advisory(
        "Torhus", "TH-26-12", "CVE-2026-97777", "Edge Gateway", "<9.2", ["TH-900"], 9.8
    )
    (tmp_path / "advisory.json").write_text(json.dumps(advisory))
    log = tmp_path / "worker.log"
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_SOCKETS, "--home", str(alpha.home), "risk", "worker"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    try:
        eventually(lambda: log.read_bytes() or worker.poll() is not None, "the worker looks")
        charlie.cli("publish", str(tmp_path / "advisory.json"), "--to", "alpha", "--yes")
        found = eventually(
            lambda: rows(
                view,
                """SELECT DISTINCT outcome, due, is_in_kev, reason FROM v1_exposure
                WHERE vulnerability = 'CVE-2026-97777' AND decision_table = 'cisa-bod-26-04'""",
            ),
            "the arrival is in the view",
        )
    finally:
        worker.terminate()
        code = worker.wait(20)
    assert code == 0, log.read_text()
    [(outcome, due, is_in_kev, reason)] = found
    assert is_in_kev == 1 and due is not None and outcome
    assert reason == "exploited (KEV), exposure open, automatable unknown, human impact very high"
    told_by = rows(view, "SELECT DISTINCT told_by FROM v1_exposure WHERE vulnerability = 'CVE-2026-97777'")
    assert told_by == [(charlie.partner_id,)]
    stopped = alpha.stop()
    modules = (alpha.folder / "alpha-modules").read_text().splitlines()  # type: ignore[attr-defined]
    assert stopped == 0 and "p2pshare.daemon.driver" in modules
    assert not [name for name in modules if re.match(r"p2pshare\.(cli\.)?risk\b", name)]
