"""A hospital's list of devices becomes a plan: its own inventory, what catalogues and vendors say, and what a partner sends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from demos import hospital, stage

HERE = stage.SAMPLE / "risk"
US, CERT = "hospital", "cert"
LOOK_INSIDE = (
    "import sqlite3; db = sqlite3.connect('file:{file}?mode=ro', uri=True); "
    "print(*db.execute('SELECT outcome, due, asset, vulnerability, reason FROM v1_exposure "
    "WHERE decision_table = ? AND is_in_kev', ['ssvc-deployer']), sep='\\n')"
)


def tell(arguments: Sequence[str]) -> int:
    """Tells the story; returns the exit code."""
    found()
    tell_what_is_ours()
    tell_what_others_say()
    with stage.running((US, CERT)):
        tell_what_a_partner_sends()
        tell_the_plan()
    tell_what_the_siem_sees()
    return 0


def found() -> None:
    """A hospital and a CERT, linked."""
    stage.clear()
    fingerprints = {}
    for name, port in zip((US, CERT), stage.free_ports(2), strict=True):
        stage.run(name, "init", "--name", name.upper(), "--url", f"https://127.0.0.1:{port}", quiet=True)
        stage.run(name, "card", "export", str(stage.card_of(name)), quiet=True)
        fingerprints[name] = stage.run_json(name, "card", "show")["fingerprint"]
    for name, other in ((US, CERT), (CERT, US)):
        card = str(stage.card_of(other))
        stage.run(
            name, "partner", "add", card, "--alias", other, "--fingerprint", fingerprints[other], quiet=True
        )


def tell_what_is_ours() -> None:
    stage.title(
        "what is ours, as the technicians keep it: semicolons, umlauts, a version missing here and there"
    )
    stage.run(US, "asset", "import", str(HERE / "devices.csv"))
    stage.run(US, "asset", "import", str(HERE / "portal.cdx.json"))
    stage.title("two things no file knows: who can reach it, and what harm its failure does")
    stage.run(
        US,
        "asset",
        "set",
        "patient-portal",
        "--exposure",
        "open",
        "--safety",
        "negligible",
        "--mission",
        "mef failure",
    )


def tell_what_others_say() -> None:
    stage.title("what catalogues and vendors say, from files that somebody fetched")
    for kind, name in (
        ("kev", "kev.json"),
        ("epss", "epss.csv"),
        ("vulnrichment", "ssvc"),
        ("csaf", "csaf"),
        ("osv", "osv"),
    ):
        stage.run(US, "risk", "source", "add", kind, str(HERE / name))
    stage.title("what the portal's maker says of its own product")
    stage.run(US, "risk", "vex", "import", str(HERE / "portal.vex.cdx.json"))


def tell_what_a_partner_sends() -> None:
    stage.title("the CERT warns of the picture archive, and has seen it attacked")
    stage.run(CERT, "publish", str(HERE / "nordlys.csaf.json"), "--to", US, "--yes")
    [warned] = stage.run_json(CERT, "search", "--type", "vulnerability")
    stage.run(CERT, "sight", str(warned["id"]), "--to", US)
    stage.wait_until(is_read, "the hospital has read it")
    stage.title("a process without sockets holds it against the list (a service does this every 20 seconds)")
    stage.run(US, "risk", "worker", "--once")
    stage.title("names in advisories are proposals; a person says yes once for each model")
    stage.run(US, "risk", "alias", "list", "--status", "proposed")
    for vendor, product in (("Nordlys Imaging", "Radview Server"), ("Corvia", "Vigil M40")):
        stage.run(
            US, "risk", "alias", "confirm", "--vendor", vendor, "--product", product, "--by", "A. Technician"
        )


def is_read() -> bool:
    envelopes = stage.run_json(US, "status")["envelopes"]
    return bool(envelopes["held"] == 2 and not envelopes["unread"])


def tell_the_plan() -> None:
    stage.title("the plan: what is due first stands first")
    stage.run(US, "risk", "plan")
    stage.title("why the gateway is first")
    stage.run(US, "risk", "rank", "--asset", "vpn-1", "--why")
    stage.title("the laboratory lives with it until spring, and then it comes back")
    stage.run(
        US,
        "risk",
        "decide",
        hospital.LABORATORY,
        "--accept",
        "--until",
        "120d",
        "--because",
        "replaced in spring",
        "--by",
        "Head of IT",
    )
    stage.run(US, "risk", "report", "-o", str(stage.HOMES / "report.html"))
    stage.title("the only thing that may ever leave, and only with --share: yes or no, and a bucket")
    stage.run(US, "risk", "exposure", "--cve", hospital.PUMP, "--cve", hospital.VPN)


def tell_what_the_siem_sees() -> None:
    stage.title("the own SIEM reads a view")
    command = LOOK_INSIDE.format(file=stage.shown(stage.HOMES / US / "risk" / "risk.sqlite"))
    print(f'$ python3 -c "{command}"')
    subprocess.run([sys.executable, "-c", command], check=True, cwd=stage.TOP)
