"""`asset` and `risk` as docs/cli.md promises them: keys, exit codes, what is shown of hostile text, and the words that are never guessed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said

from demos import hospital
from p2pshare.cli.risk import exposure as exposure_command
from p2pshare.cli.risk import opening
from p2pshare.cli.risk.aggregate import AGGREGATE_BYTES_MAX, Aggregate, read_aggregate, write_aggregate
from p2pshare.config import render_config
from p2pshare.errors import OperatorError
from p2pshare.risk import extra

DATA = Path(__file__).resolve().parents[2] / "config" / "demo" / "risk"
DAY = 86_400
NOW = 1_796_040_000  # noon of the day that the demo's sources name: they would be stale a week later


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home without keys or store: what is ours needs neither."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(render_config("Hospital", "", ""))
    return Home(tmp_path / "home", capsys, monkeypatch)


def fill(home: Home, *, without: str = "") -> None:
    """The demo's hospital with all that is said of it, but for one source."""
    assert home("asset", "import", str(DATA / "devices.csv")).code == 0
    assert home("asset", "import", str(DATA / "portal.cdx.json")).code == 0
    for kind, name in (
        ("kev", "kev.json"),
        ("epss", "epss.csv"),
        ("vulnrichment", "ssvc"),
        ("csaf", "csaf"),
        ("osv", "osv"),
    ):
        if kind != without:
            assert home("risk", "source", "add", kind, str(DATA / name)).code == 0


def write(folder: Path, name: str, text: str | dict[str, Any]) -> str:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(path)


# --- the contract --------------------------------------------------------------------------------------


def test_answers_have_their_promised_keys(home: Home) -> None:
    imported = home("asset", "import", str(DATA / "devices.csv"), "--json").json
    assert list(imported) == ["read", "assets", "components", "refused", "told"]
    assert (imported["read"], imported["assets"], imported["refused"]) == (9, 9, [])
    assert imported["told"] == [{"row": 0, "why": "the file is no UTF-8: read as Windows-1252"}]
    shown = home("asset", "show", "monitor-12", "--json").json
    assert shown["site"] == "Überwachung" and shown["human_impact"] == "very high"
    assert {"ref", "purl", "cpe", "name", "version"} <= set(shown["components"][0])
    read = home("risk", "source", "add", "kev", str(DATA / "kev.json"), "--json").json
    assert {
        "source": "kev",
        "read": 1,
        "kept": 1,
        "refused": [],
        "as_of": "2026-11-30",
    }.items() <= read.items()
    fill(home)
    vex = home("risk", "vex", "import", str(DATA / "portal.vex.cdx.json"), "--json").json
    assert set(vex) == {"source", "read", "kept", "refused", "told", "as_of"}
    findings = home("risk", "rank", "--why", "--json").json
    assert set(findings[0]) >= {
        "asset", "component", "vulnerability", "outcome", "outcome_range", "due", "match", "state", "why", "partner_evidence",
        "epss", "cvss", "because", "disagreement", "first_seen",
    }  # fmt: skip
    assert {"ref", "purl", "cpe", "name", "version"} <= set(findings[0]["component"])
    assert {tuple(one) for finding in findings for one in finding["why"]} == {
        ("input", "value", "source", "as_of", "status")
    }
    [proposal] = [
        one for one in home("risk", "alias", "list", "--json").json if one["own"]["vendor"] == "Corvia"
    ]
    assert set(proposal) == {
        "alias",
        "own",
        "assets",
        "theirs",
        "documents",
        "score",
        "evidence",
        "versions",
        "status",
    }
    assert len(proposal["alias"]) == 12 and proposal["status"] == "proposed" and proposal["evidence"]
    confirmed = home("risk", "alias", "confirm", proposal["alias"], "--json").json
    assert [one["status"] for one in confirmed] == ["confirmed"]
    assert home("risk", "alias", "reject", "0" * 12).code == 3


def test_candidates_have_no_day_and_no_place_in_the_plan_until_a_person_says_so(home: Home) -> None:
    fill(home)
    before = home("risk", "rank", "--json").json
    candidates = [one for one in before if one["match"] == "candidate-name"]
    assert {one["asset"] for one in candidates} == {"monitor-12", "monitor-13"}
    assert before[-2:] == candidates and all(one["due"] is None for one in candidates)
    assert not any("monitor-12" in one["assets"] for one in home("risk", "plan", "--json").json)
    assert home("risk", "alias", "confirm", "--vendor", "Corvia", "--product", "Vigil M40").code == 0
    [work, look] = [one for one in home("risk", "plan", "--json").json if one["component"] == "Vigil M40"]
    assert (work["assets"], work["states"]) == (["monitor-12"], ["affected"])
    assert (look["assets"], look["states"]) == (["monitor-13"], ["possible"])  # its version is not known
    assert home("risk", "alias", "reject", "--vendor", "Corvia", "--product", "Vigil M40").code == 0
    assert not any(
        one["component"]["name"] == "Vigil M40" for one in home("risk", "rank", "--all", "--json").json
    )


def test_nothing_that_matches_is_exit_code_3(home: Home) -> None:
    for command in (("rank",), ("plan",), ("decide", "--list"), ("diff",)):
        assert home("risk", *command).code == 3, command
        assert home("risk", *command, "--json").code == 3, command
    assert home("asset", "show", "none").code == 3
    assert home("asset", "set", "none", "--exposure", "open").code == 3
    assert home("risk", "rank", "--asset", "none").code == 3
    assert home("risk", "measure", "verify", "7", "--evidence", "seen").code == 3
    assert home("risk", "decide", hospital.VPN, "--accept", "--because", "x").code == 3


def test_what_is_typed_wrong_is_told_with_what_is_right(home: Home, tmp_path: Path) -> None:
    fill(home)
    wrong: tuple[tuple[tuple[str, ...], int, str], ...] = (
        (("asset", "set", "vpn-1"), 2, "nothing to set"),
        (("asset", "set", "vpn-1", "--exposure", "enormous"), 1, "none of: small, controlled, open"),
        (("risk", "decide", hospital.VPN, "--accept"), 2, "--because"),
        (("risk", "decide", hospital.VPN, "--accept", "--because", "x", "--until", "soon"), 2, "2027-01-31"),
        (
            ("risk", "decide", hospital.VPN, "--accept", "--because", "x", "--until", "2020-01-01"),
            1,
            "--until",
        ),
        (("risk", "diff", "--since", "0d0"), 2, "7d"),
        (("risk", "alias", "confirm"), 2, "--vendor"),
        (("risk", "alias", "confirm", "abc", "--vendor", "x", "--product", "y"), 2, "their ids, or"),
        (("risk", "exposure", "--cve", "CVE-1"), 2, "CVE-2026-12345"),
        (
            ("risk", "exposure", *(word for n in range(6) for word in ("--cve", f"CVE-2026-1000{n}"))),
            2,
            "ask in parts",
        ),
        (("risk", "source", "add", "csaf", str(DATA / "kev.json")), 1, ""),
        (("asset", "import", str(tmp_path / "none.csv")), 1, "none.csv"),
    )
    for arguments, code, hint in wrong:
        said = home(*arguments)
        assert (said.code, said.out) == (code, ""), arguments
        assert hint in said.err and "error: " in said.err, (arguments, said.err)


def test_without_the_extra_a_command_says_how_to_install_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "ijson", None)
    for command in (("asset", "list"), ("asset", "import", "x.csv"), ("risk", "rank"), ("risk", "report")):
        said = home(*command)
        assert said.code == 1
        assert "hint: pip install 'p2pshare[risk]'" in said.err


def test_a_worker_without_a_store_says_so(home: Home) -> None:
    said = home("risk", "worker", "--once")
    assert (said.code, said.out) == (1, "")
    assert "store.sqlite" in said.err and "a bug" not in said.err


# --- words that are never guessed ------------------------------------------------------------------------


def test_without_the_kev_file_it_is_not_checked_and_never_no(home: Home) -> None:
    fill(home, without="kev")
    for table in ("ssvc-deployer", "cisa-bod-26-04"):
        for finding in home("risk", "rank", "--why", "--all", "--table", table, "--json").json:
            [kev] = [one for one in finding["why"] if one["input"] == "kev"]
            assert (kev["status"], kev["value"]) == ("not-checked", "unknown")
        said = home("risk", "rank", "--why", "--table", table)
        assert "  kev: not checked\n" in said.out and "kev: no" not in said.out.replace(
            "kev: not checked", ""
        )
    sources = {row["kind"]: row["status"] for row in home("risk", "source", "list", "--json").json}
    assert sources["kev"] == "not-checked" and sources["epss"] == "checked"
    assert home("risk", "source", "add", "kev", str(DATA / "kev.json")).code == 0
    listed = home("risk", "rank", "--why", "--asset", "vpn-1").out
    assert "  kev: listed since 2026-11-28, KEV of 2026-11-30\n" in listed
    assert "  exploitation: active, KEV of 2026-11-30\n" in listed


def test_two_documents_that_disagree_are_both_shown(home: Home, tmp_path: Path) -> None:
    """The worst of third parties holds; what the product's own maker says beats them, whatever the dates."""
    assert home("asset", "import", str(DATA / "devices.csv")).code == 0

    def said(publisher: str, category: str, name: str, status: str, day: str) -> str:
        document = hospital.advisory("Torhus", name, hospital.VPN, "Edge Gateway", "<9.2", ["TH-900"], 9.8)
        head = document["document"]
        head["publisher"] = {
            "category": category,
            "name": publisher,
            "namespace": f"https://{name.lower()}.example",
        }
        head["tracking"] |= {
            "current_release_date": f"{day}T00:00:00Z",
            "initial_release_date": f"{day}T00:00:00Z",
        }
        document["vulnerabilities"][0]["product_status"] = {status: ["P1"]}
        return write(tmp_path, f"{name}.json", document)

    for path in (
        said("One CERT", "coordinator", "ONE-1", "known_not_affected", "2026-11-20"),
        said("Two CERT", "coordinator", "TWO-1", "known_affected", "2026-10-01"),
    ):
        assert home("risk", "source", "add", "csaf", path).code == 0
    [finding] = home("risk", "rank", "--asset", "vpn-1", "--json").json
    assert finding["state"] == "affected"
    told = {(one["document"], one["publisher"], one["date"], one["state"]) for one in finding["disagreement"]}
    assert told == {
        ("ONE-1", "One CERT", "2026-11-20", "not_affected"),
        ("TWO-1", "Two CERT", "2026-10-01", "affected"),
    }
    shown = home("risk", "rank", "--asset", "vpn-1", "--why").out
    assert "One CERT says not_affected (ONE-1, 2026-11-20)" in shown
    assert "Two CERT says affected (TWO-1, 2026-10-01)" in shown
    own = said("Torhus PSIRT", "vendor", "TORHUS-1", "known_not_affected", "2026-01-01")
    assert home("risk", "source", "add", "csaf", own).code == 0
    assert home("risk", "rank", "--asset", "vpn-1").code == 3
    [finding] = home("risk", "rank", "--asset", "vpn-1", "--all", "--json").json
    assert finding["state"] == "not_affected"
    assert {one["document"] for one in finding["disagreement"]} == {"ONE-1", "TWO-1", "TORHUS-1"}


# --- decisions, measures, plan, diff, report ---------------------------------------------------------------


def test_what_is_accepted_leaves_the_plan_and_comes_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home)
    assert any(one["vulnerability"] == hospital.VPN for one in home("risk", "plan", "--json").json)
    decided = home(
        "risk",
        "decide",
        hospital.VPN,
        "--accept",
        "--until",
        "30d",
        "--because",
        "a new one comes",
        "--by",
        "CIO",
        "--json",
    ).json
    assert (decided["kind"], decided["decided_by"], decided["is_over"]) == ("accept", "CIO", False)
    assert not any(one["vulnerability"] == hospital.VPN for one in home("risk", "plan", "--json").json)
    [hidden] = home("risk", "rank", "--all", "--asset", "vpn-1", "--json").json
    assert hidden["decided"]["because"] == "a new one comes"
    later = NOW + 31 * DAY
    monkeypatch.setattr(time, "time", lambda: float(later))
    [back] = [one for one in home("risk", "plan", "--json").json if one["vulnerability"] == hospital.VPN]
    assert back["is_late"] and back["due"] < opening.day_of(later)  # type: ignore[operator]
    over = home("risk", "diff", "--since", "7d", "--json").json["decisions_over"]
    assert [one["vulnerability"] for one in over] == [hospital.VPN]


def test_a_decision_without_an_end_is_warned_of(home: Home) -> None:
    fill(home)
    said = home("risk", "decide", hospital.VPN, "--avoid", "--because", "switched off")
    assert said.code == 0 and "warning: it never comes back by itself" in said.err


def test_measures_stand_beside_the_work_and_hide_nothing(home: Home) -> None:
    fill(home)
    added = home(
        "risk", "measure", "add", hospital.VPN, "--kind", "segment", "--text", "only from the jump host",
        "--asset", "vpn-1", "--reference", "M1030", "--due", "2027-01-31", "--json",
    ).json  # fmt: skip
    assert (added["status"], added["due"], added["reference"]) == ("planned", "2027-01-31", "M1030")
    number = str(added["id"])
    verified = home(
        "risk", "measure", "verify", number, "--evidence", "scanned from outside", "--by", "Net", "--json"
    ).json
    assert (verified["status"], verified["verified_by"], verified["evidence"]) == (
        "verified",
        "Net",
        "scanned from outside",
    )
    [work] = [one for one in home("risk", "plan", "--json").json if one["vulnerability"] == hospital.VPN]
    assert [one["status"] for one in work["measures"]] == ["verified"] and work["playbook"] is None


def test_the_plan_is_in_order_of_days_and_names_owner_and_remedy(home: Home) -> None:
    fill(home)
    plan = home("risk", "plan", "--json").json
    days = [one["due"] or "9999" for one in plan]
    assert days == sorted(days) and [one["work"] for one in plan] == list(range(1, len(plan) + 1))
    [pumps] = [one for one in plan if one["vulnerability"] == hospital.PUMP]
    assert pumps["assets"] == ["pump-ics-1", "pump-ics-2"] and pumps["owners"] == ["Medizintechnik"]
    assert pumps["remedies"] == ["vendor fix: install the vendor's update"]
    own = home("risk", "plan", "--owner", "Netzwerke", "--json").json
    assert [one["vulnerability"] for one in own] == [hospital.VPN]
    assert home("risk", "plan", "--owner", "nobody here").code == 3


def test_a_device_whose_name_stands_as_its_model_is_called_by_it(home: Home, tmp_path: Path) -> None:
    fill(home)
    rows = (DATA / "devices.csv").read_text("cp1252").splitlines()
    columns = rows[0].split(";")
    product, model = columns.index("product"), columns.index("model")
    moved = [rows[0]]
    for row in rows[1:]:
        cells = row.split(";")
        cells[product], cells[model] = "", cells[product]
        moved.append(";".join(cells))
    home("asset", "import", write(tmp_path, "devices.csv", "\n".join(moved)))
    aliases = home("risk", "alias", "list", "--json").json
    home("risk", "alias", "confirm", *[one["alias"] for one in aliases])
    work = home("risk", "plan", "--json").json
    [pumps] = [one for one in work if one["vulnerability"] == hospital.PUMP]
    assert pumps["assets"] == ["pump-ics-1", "pump-ics-2"]
    assert all(one["component"] for one in work), "nothing is nameless"


def test_diff_tells_what_came_and_went(home: Home, tmp_path: Path) -> None:
    fill(home)
    changes = home("risk", "diff", "--json").json["changes"]
    assert {(one["vulnerability"], one["before"], one["after"]) for one in changes} >= {
        (hospital.VPN, "", "affected")
    }
    mended = (DATA / "devices.csv").read_bytes().replace(b"9.1.4", b"9.1.5")
    (tmp_path / "devices.csv").write_bytes(mended)
    told = home("asset", "import", str(tmp_path / "devices.csv"), "--json").json["told"]
    assert any("gone: vpn-1: Edge Gateway 9.1.4" in one["why"] for one in told)
    assert home("risk", "rank", "--asset", "vpn-1").code == 3


def test_the_report_is_a_page_that_loads_nothing(home: Home, tmp_path: Path) -> None:
    fill(home)
    assert (
        home(
            "risk", "decide", hospital.LABORATORY, "--accept", "--until", "90d", "--because", "<b>spring</b>"
        ).code
        == 0
    )
    target = tmp_path / "report.html"
    assert home("risk", "report", "-o", str(target)).code == 0
    page = target.read_text()
    assert "default-src 'none'" in page
    assert not any(word in page for word in ("http://", "https://", "<script", "src=", "href=", "url("))
    assert "&lt;b&gt;spring&lt;/b&gt;" in page and "<b>" not in page
    for words in (
        "What is due",
        "What is late",
        "Trend",
        "What was decided otherwise",
        "What it is based on",
    ):
        assert words in page or words == "What is late"


# --- hostile text ------------------------------------------------------------------------------------------


HOSTILE = "x\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\u202e"


def test_hostile_text_reaches_neither_a_terminal_nor_a_page_nor_a_spreadsheet(
    home: Home, tmp_path: Path
) -> None:
    assert home("asset", "import", str(DATA / "devices.csv")).code == 0
    document = hospital.advisory(
        "Torhus", f"TH-{HOSTILE}", hospital.VPN, "Edge Gateway", "<9.2", ["TH-900"], 9.8
    )
    document["vulnerabilities"][0]["remediations"][0]["details"] = f"=cmd|' /C calc'!A0 {HOSTILE}"
    document["document"]["title"] = HOSTILE
    assert home("risk", "source", "add", "csaf", write(tmp_path, "hostile.json", document)).code == 0
    listed = "asset,vendor,product,version,owner\n" + f'"=1+1","Torhus","{HOSTILE}","1","{HOSTILE}"\n'
    assert home("asset", "import", write(tmp_path, "list.csv", listed)).code == 0
    for arguments in (
        ("asset", "list"), ("asset", "show", "=1+1"), ("risk", "rank", "--why", "--all"), ("risk", "plan"), ("risk", "alias", "list"),
        ("risk", "diff"), ("risk", "source", "list"), ("asset", "set", "=1+1", "--site", HOSTILE),
    ):  # fmt: skip
        said: Said = home(*arguments)
        assert not any(one in said.out + said.err for one in "\x1b\x07\u202e"), arguments
    for command in ("rank", "plan"):
        pages = home("risk", command, "--format", "html")
        assert "<script" not in pages.out and "\x1b" not in pages.out
        assert "<script" not in home("risk", command, "--json").out
        cells = [
            cell
            for row in csv.reader(io.StringIO(home("risk", command, "--format", "csv").out))
            for cell in row
        ]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


# --- the answer that may leave ------------------------------------------------------------------------------


def test_what_is_asked_again_within_a_day_is_answered_as_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the truth has changed, and for another space: two answers of one day would tell what changed."""
    fill(home)
    now = NOW

    def answered(space: str, at: int) -> list[tuple[str, str]]:
        from p2pshare.risk.responses import answer_exposure

        with opening.open_own(home.path) as store:
            answers = answer_exposure(store.file, [hospital.VPN, hospital.PUMP], space=space, now=at)
            return [(one.exposed, one.bucket) for one in answers]

    yes = [("yes", "1-9"), ("yes", "1-9")]
    assert answered("", now) == yes  # nothing was told: nothing is kept
    assert home("asset", "set", "vpn-1", "--retire").code == 0
    assert answered("a" * 64, now) == [("no", ""), ("yes", "1-9")]
    assert home("asset", "import", str(DATA / "devices.csv")).code == 0  # it is in use again
    assert answered("b" * 64, now + DAY - 1) == [("no", ""), ("yes", "1-9")]
    assert answered("", now + DAY - 1) == [("no", ""), ("yes", "1-9")]
    assert answered("b" * 64, now + DAY) == yes


def test_buckets_are_three_and_candidates_do_not_count(home: Home, tmp_path: Path) -> None:
    from p2pshare.risk.responses import bucket_of

    assert [bucket_of(count) for count in (0, 1, 9, 10, 99, 100, 10**6)] == [
        "",
        "1-9",
        "1-9",
        "10-99",
        "10-99",
        "100+",
        "100+",
    ]
    many = ["asset,vendor,product,model,version"] + [
        f"a{number},Torhus,Edge Gateway,TH-900,9.1.4" for number in range(12)
    ]
    assert home("asset", "import", write(tmp_path, "many.csv", "\n".join(many))).code == 0
    for name in ("torhus", "corvia"):
        assert home("risk", "source", "add", "csaf", str(DATA / "csaf" / f"{name}.csaf.json")).code == 0
    said = home("risk", "exposure", "--cve", hospital.VPN, "--cve", hospital.MONITOR, "--json").json
    assert [(one["exposed"], one["bucket"]) for one in said["answers"]] == [("yes", "10-99"), ("no", None)]
    assert said["entry"] is None and said["tlp"] == "TLP:AMBER+STRICT"


def test_where_no_document_says_which_products_have_it_there_is_no_answer(home: Home) -> None:
    """EPSS and KEV name it, and neither says whose it is: that is not "no"."""
    fill(home, without="csaf")
    said = home("risk", "exposure", "--cve", hospital.VPN)
    assert (said.code, said.out) == (3, "")
    assert f"{hospital.VPN}: not checked" in said.err


GOOD = Aggregate("2026-11-30", (("CVE-2026-97002", "yes", "1-9"), ("CVE-2026-97001", "no", "")))


def test_an_aggregate_is_read_as_it_was_written_in_256_bytes() -> None:
    cves = [f"CVE-2026-{1_000_000 + number}" for number in range(5)]
    longest = Aggregate("2026-11-30", tuple((cve, "yes", "10-99") for cve in cves))
    for one in (GOOD, longest):
        raw = write_aggregate(one)
        assert len(raw) <= AGGREGATE_BYTES_MAX
        assert read_aggregate(raw, [answer[0] for answer in one.answers]) == one


@pytest.mark.parametrize(
    "change",
    [
        {"note": "ward 3"},
        {"tlp": "CLEAR"},
        {"as_of": "2026-11-30 ward 3"},
        {"as_of": ["2026-11-30"]},
        {"cve": ["CVE-2026-97001", "CVE-2026-97002"]},
        {"cve": ["CVE-2026-97002", "CVE-2026-97001", "CVE-2026-97003"]},
        {"exposed": ["yes", "no", "no"]},
        {"exposed": ["yes", "perhaps"]},
        {"exposed": ["yes", ["no"]]},
        {"bucket": ["1-9", "1-9"]},
        {"bucket": ["", ""]},
        {"bucket": ["12", ""]},
        {"bucket": "1-9"},
    ],
)
def test_what_does_not_fit_the_grammar_does_not_leave(change: dict[str, Any]) -> None:
    fields = json.loads(write_aggregate(GOOD)) | change
    with pytest.raises(OperatorError, match="something else than it may"):
        read_aggregate(json.dumps(fields).encode(), ["CVE-2026-97002", "CVE-2026-97001"])


def test_a_process_that_says_more_or_fails_is_not_believed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talker.py").write_text("print('x' * 300)")
    (tmp_path / "failing.py").write_text("import sys; sys.exit(1)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    for child, words in (("talker", "something else than it may"), ("failing", "could not be asked")):
        monkeypatch.setattr(exposure_command, "CHILD", child)
        said = home("risk", "exposure", "--cve", hospital.VPN, "--json")
        assert (said.code, said.out) == (1, "")
        assert words in json.loads(said.err.splitlines()[-1])["error"]["message"]


# --- the view for the own SIEM -------------------------------------------------------------------------------


def test_the_view_has_the_columns_that_are_promised_and_the_rows_of_the_rank(
    home: Home, repository: Path
) -> None:
    fill(home)
    query = "import json, sqlite3, sys; db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True); db.row_factory = sqlite3.Row; print(json.dumps([dict(row) for row in db.execute('SELECT * FROM v1_exposure')]))"
    command = [sys.executable, "-c", query, str(opening.risk_path(home.path))]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    table = (repository / "docs" / "risk.md").read_text().partition("## v1_exposure")[2].partition("\n## ")[0]
    promised = [
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].replace("`", "").replace(",", " ").split()
    ]
    assert promised == list(found[0])
    ranked = home("risk", "rank", "--json").json
    due = {
        (one["asset"], one["vulnerability"], one["outcome"], one["due"])
        for one in ranked
        if one["match"] != "candidate-name"
    }
    assert {
        (one["asset"], one["vulnerability"], one["outcome"], one["due"])
        for one in found
        if one["decision_table"] == "ssvc-deployer"
    } == due
    [vpn] = [one for one in found if one["asset"] == "vpn-1" and one["decision_table"] == "ssvc-deployer"]
    assert vpn["reason"] == "exploited (KEV), exposure open, automatable yes, human impact high"
    assert (vpn["site"], vpn["owner"]) == ("Rechenzentrum", "Netzwerke")
