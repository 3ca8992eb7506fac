"""What is told of an incident: what `show` prints, the record that exports read, and hostile text in every field of every format."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from incident_histories import DAY, START, IncidentTeller
from space_histories import partner

from p2pshare.exporters.incidents.incident_formats import INCIDENT_EXPORTERS, load_incident_exporter
from p2pshare.exporters.incidents.incident_markdown import sitrep
from p2pshare.exporters.incidents.incident_veris import veris_of
from p2pshare.intel.incident_record import IncidentRecord
from p2pshare.node.duty_files import load_duty_templates
from p2pshare.spaces.fold import fold
from p2pshare.spaces.incident_telling import Telling, duties_shown

TEMPLATES = load_duty_templates()
NAMES = {partner("L"): "Lead Ltd", partner("A"): "Alpha", partner("B"): "Bravo"}
HOSTILE = "'\"</td><script>alert(1)</script><img src=x onerror=alert(2)>|x|\n# head\n=1+1\x1b[2J\u202e[a](javascript:b)`c`**d** &lt; www.evil.example a@b.example https://evil.example\U0001f512"


def telling(told: IncidentTeller, **how: Any) -> Telling:
    return Telling(fold(told.entries.values()), NAMES, **how)


def worked_case(text: str = "files are encrypted") -> IncidentTeller:
    """A case in which something of everything was said."""
    told = IncidentTeller(title=text[:200])
    told.determine("L", "confirmed", 80)
    told.event("A", text, START + 3_600, START + 7_200)
    told.event("B", "no time stated")
    told.impact("A")
    told.object_("A", "evil.example")
    task = told.task("L", text[:200], START + DAY)
    told.claim("A", task)
    told.outcome("A", task, "successful")
    told.answer("A", told.ask("L", "A"))
    told.opine("B")
    told.note("B", text)
    told.lesson("A", text, "B")
    for name in "AB":
        told.own_status(name, "closed")
    told.duty("A", "aware", START)
    told.duty("A", "submitted", START + DAY - 60, "early")
    told.recur("B")
    told.recur("A")
    told.close("L", "done")
    return told


def test_show_has_the_keys_that_were_promised() -> None:
    told = worked_case()
    shown = telling(told).shown([{"duty": "x"}])
    assert {
        "incident", "title", "status", "determination", "lead", "members", "timeline", "tasks", "observables", "impacts", "lessons",
        "duties", "late", "contested", "heads",
    } <= shown.keys()  # fmt: skip
    assert {"name", "partner_id", "status", "introduced_by", "seen_up_to"} <= shown["members"][0].keys()
    assert {"entry", "kind", "author", "at", "claimed_at", "text", "badges"} <= shown["timeline"][0].keys()
    assert {"task", "title", "owner", "claims", "outcome", "due", "conflict"} <= shown["tasks"][0].keys()
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["status"], shown["determination"], shown["lead"]) == (
        "closed",
        "confirmed",
        partner("L").text,
    )
    assert (
        shown["tasks"][0]["owner"] == partner("A").text and shown["tasks"][0]["due"] == "2027-01-16T00:00:00Z"
    )
    assert [one["value"] for one in shown["observables"]] == ["evil.example"]
    assert len(shown["recurrences"]) == 1, "once a value and day, though two saw it"


def test_the_time_line_stands_by_stated_begin_or_by_the_graph() -> None:
    told = IncidentTeller()
    first = told.event("A", "later", START + 2 * DAY)
    second = told.event("B", "earlier", START)
    by_time = [row["entry"] for row in telling(told).shown()["timeline"]]
    assert by_time.index(second.text) < by_time.index(first.text)
    by_graph = [row["entry"] for row in telling(told).shown(is_by_graph=True)["timeline"]]
    assert by_graph.index(first.text) < by_graph.index(second.text)


def test_badges_say_what_is_unusual() -> None:
    told = IncidentTeller()
    told.own_status("A")
    seen = told.heads()
    backwards = told.event("A", "backwards", START, START - DAY)
    sealed = told.note("A", "for two", audience="LA")
    erased = told.note("A", "erased")
    told.redact("A", erased)
    clock = told.note("B", "my clock", created=1_000)
    gone = told.write("B", "note", None)
    close = told.close("L")
    late = told.note("B", "late", after=seen)
    after = told.note("A", "after", after=[close])
    told.remove("L", "B", after=[after, late])
    badges = {row["entry"]: (row["badges"], row["text"]) for row in telling(told).shown()["timeline"]}
    assert badges[backwards.text][0] == ["ends-before-start"]
    assert badges[sealed.text] == (["sealed"], None)
    assert badges[erased.text] == (["redacted"], None)
    assert badges[clock.text][0] == ["clock", "author-removed"]
    assert badges[gone.text] == (["content-missing", "author-removed"], None)
    assert badges[late.text][0] == ["late", "author-removed"]
    assert badges[after.text][0] == ["after-close"]
    assert telling(told).record().withheld == 3
    with_sealed = {
        row["entry"]: row["text"] for row in telling(told, is_sealed_told=True).shown()["timeline"]
    }
    assert with_sealed[sealed.text] == "for two", "whose node holds it is in the audience"


def test_a_sealed_body_that_is_nonsense_is_told_by_nobody() -> None:
    told = IncidentTeller()
    told.write("A", "event", b"\xff\x00nonsense", audience="LA")
    told.write("A", "note", b"\xff", audience="LA")
    shown = telling(told, is_sealed_told=True).shown()
    assert [row["text"] for row in shown["timeline"] if row["badges"] == ["sealed"]] == [None, None]


def test_an_author_that_claims_any_time_is_shown_and_breaks_nothing() -> None:
    told = IncidentTeller()
    told.note("A", "from the end of time", created=2**53 - 1)
    record = telling(told).record()
    for name in INCIDENT_EXPORTERS:
        assert load_incident_exporter(name)(record)
    assert telling(told).shown()["timeline"][-1]["claimed_at"] == "9999-12-31T23:59:59Z"


def test_the_duties_of_an_organisation_stand_in_show() -> None:
    record = telling(worked_case()).record()
    shown = duties_shown(record.duties, TEMPLATES, START + 2 * DAY)
    assert {"duty", "template", "stage", "from", "due", "state", "submitted_at"} <= shown[0].keys()
    rows = {row["stage"]: row for row in shown}
    assert rows["early"]["state"] == "done" and rows["early"]["submitted_at"] == "2027-01-15T23:59:00Z"
    assert rows["72h"]["state"] == "running" and rows["72h"]["due"] == "2027-01-18T00:00:00Z"
    assert rows["final"]["state"] == "not-running" and rows["final"]["due"] is None
    assert {row["organisation"] for row in shown} == {partner("A").text}, "nobody else has stated anything"
    assert duties_shown(record.duties, {}, START) == [], "a template that is not known here"


def test_a_report_needs_nothing_typed_but_its_free_text() -> None:
    told = worked_case()
    record = telling(told).record()
    rule = TEMPLATES["nis2"].rule_of("72h")
    assert rule is not None
    duties = duties_shown(record.duties, TEMPLATES, START + DAY)
    text = sitrep(record, duties, report=(TEMPLATES["nis2"], rule), organisation="Alpha").decode()
    assert "2027-01-15T00:00:00Z (zone Europe/Berlin)" in text and "Due: 2027-01-18T00:00:00Z" in text
    assert "evil.example" in text and "availability\\_impact 70" in text
    assert text.count("_(to be written)_") == 2, "what happened in words, and whether it is malicious"
    for template in TEMPLATES.values():
        for one in template.duties:
            assert (
                sitrep(record, duties, report=(template, one))
                .decode()
                .startswith(f"# {one.title}".split(",")[0])
            )
    situation = sitrep(record, duties).decode()
    assert "## Duties" in situation and "1, of which 0 open" in situation


# --- hostile text --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile() -> IncidentRecord:
    told = worked_case(HOSTILE)
    names = {partner("L"): "<b>Lead</b>|", partner("A"): HOSTILE, partner("B"): "=cmd"}
    return Telling(fold(told.entries.values()), names).record()


class Strict(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_no_text_becomes_a_tag_or_an_attribute_of_the_page(hostile: IncidentRecord) -> None:
    page = load_incident_exporter("html")(hostile).decode()
    parser = Strict()
    parser.feed(page)
    assert parser.tags == {
        "html", "head", "meta", "title", "style", "body", "p", "h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "br",
    }  # fmt: skip
    assert parser.attributes == {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "<script>alert(1)</script>" in "".join(parser.texts), "as it was written, to read"
    assert "\x1b" not in page and "\u202e" not in page
    assert page.count("<style>") == 1 and "default-src &#x27;none&#x27;" in page


def _plain(markdown: str) -> str:
    return html.unescape(re.sub(r"\\([^\w\s])", r"\1", markdown))


def test_no_text_becomes_markup_of_the_markdown(hostile: IncidentRecord) -> None:
    text = load_incident_exporter("markdown")(hostile).decode()
    unescaped = re.sub(r"\\[\\`*_\[\]<>|~&$@:.]", "", text)
    for line in unescaped.splitlines():
        cells = line.count("|")
        assert not re.search(r"[<>`\[\]*~&$@]|://|www\.", line), line
        assert "head" not in line or not line.startswith("# head")
        if line.startswith("| ") and "---" not in line:
            assert cells in (4, 5, 6), line  # its columns, and no more
    assert "\x1b" not in text and "\u202e" not in text
    assert "<script>alert(1)</script>" in _plain(text), "as it was written, to read"


def test_no_cell_is_computed_and_each_row_has_its_columns(hostile: IncidentRecord) -> None:
    rows = list(csv.reader(io.StringIO(load_incident_exporter("csv")(hostile).decode(), newline="")))
    assert {len(row) for row in rows} == {7}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert [row[3] for row in rows if row[3].startswith("'=cmd")], "a name that a spreadsheet would compute"


VERIS_REQUIRED = (
    "actor",
    "action",
    "asset",
    "discovery_method",
    "incident_id",
    "schema_version",
    "security_incident",
    "summary",
    "timeline",
)


@pytest.mark.parametrize("text", ["files are encrypted", HOSTILE])
def test_veris_has_its_required_fields_and_names_no_organisation(text: str) -> None:
    told = worked_case(text)
    record = telling(told).record()
    veris = json.loads(load_incident_exporter("veris")(record))
    assert set(VERIS_REQUIRED) <= veris.keys()
    assert veris["security_incident"] == "Confirmed" and veris["attribute"]["availability"]["variety"] == [
        "Interruption"
    ]
    assert veris["action"] == {"malware": {"variety": ["Ransomware"], "vector": ["Unknown"]}}
    assert veris["attribute"]["integrity"]["variety"] == ["Software installation"], (
        "VERIS asks that of malware"
    )
    assert veris["timeline"]["incident"] == {"year": 2027, "month": 1, "day": 15}
    assert veris["asset"]["assets"] == [{"variety": "S - Unknown", "amount": 7}]
    assert not any(name in json.dumps(veris) for name in NAMES.values())


def test_veris_of_an_incident_of_which_nothing_is_known() -> None:
    told = IncidentTeller()
    veris = veris_of(telling(told).record())
    assert set(VERIS_REQUIRED) <= veris.keys() and veris["security_incident"] == "Suspected"
    assert veris["actor"] == veris["action"] == {"unknown": {"notes": "not stated in the incident"}}
    assert veris["timeline"]["incident"].keys() == {"year"}
