"""Warning lists and the allow list as a person uses them, with the daemons running and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.warninglists.warning_index import open_warning_index
from p2pshare.warninglists.warning_lists import ListAction, parse_warning_list

if TYPE_CHECKING:
    from conftest import Company, Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def write_list(path: Path, name: str, *entries: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, "version": 1, "type": "string", "list": list(entries)}))
    return path


def exported(partner: Partner) -> set[str]:
    return set(partner.cli("export", "--format", "list").out.split())


def test_a_list_imported_at_a_running_daemon_takes_a_stored_value_out_of_exports_and_puts_it_back(
    chain: Chain, tmp_path: Path
) -> None:
    alpha, _, charlie = chain
    alpha.publish("listed-later.example\nnever-listed.example\n")
    charlie.wait_for("listed-later.example", "never-listed.example")
    write_list(tmp_path / "a" / "list.json", "ours", "LISTED-LATER.example")
    done = charlie.cli_json("warninglist", "import", str(tmp_path), "--action", "block", "--json", code=0)
    assert (done["quarantined"], done["released"], done["failed"]) == (1, 0, [])
    assert "listed-later.example" not in exported(charlie)
    assert "never-listed.example" in exported(charlie)
    assert charlie.query(
        "SELECT active, status, reason FROM v1_indicators WHERE value = 'listed-later.example'"
    ) == [(0, "delisted", "warning-list")]
    [answer] = charlie.cli_json("warninglist", "check", "hxxp://listed-later[.]example:80/x", "--json")
    assert answer["on"] == [{"list": "ours", "action": "block", "entry": "listed-later.example"}]
    charlie.cli("warninglist", "set", "ours", "--enabled", "no")
    assert "listed-later.example" in exported(charlie)


def test_what_a_partner_confirmed_is_quarantined_where_it_arrives(chain: Chain) -> None:
    alpha, _, charlie = chain
    alpha.publish("8.8.8.8\nbeside-a-resolver.example\n", "--share-listed")
    charlie.wait_for("beside-a-resolver.example")
    assert "8.8.8.8" not in exported(charlie) | exported(alpha)
    [answer] = charlie.cli_json("lookup", "8.8.8.8", "--json")
    assert answer["found"]


def test_the_allow_list_at_a_running_daemon(chain: Chain) -> None:
    alpha, _, charlie = chain
    alpha.publish("our-own.example\n")
    charlie.wait_for("our-own.example")
    done = charlie.cli_json("allow", "our-own[.]example", "--reason", "our web site", "--json")
    assert (done["is_new"], done["quarantined"]) == (True, 1)
    assert "our-own.example" not in exported(charlie)
    assert "our-own.example" in exported(alpha)
    assert [row["reason"] for row in charlie.cli_json("allow", "--list", "--json")] == ["our web site"]
    assert charlie.cli_json("allow", "our-own.example", "--remove", "--json")["released"] == 1
    assert "our-own.example" in exported(charlie)
    charlie.cli("allow", "our-own.example", "--remove", code=3)


def test_what_must_not_leave_is_refused_with_reason_examples_and_the_way_out(chain: Chain) -> None:
    alpha, _, _ = chain
    text = b"10.1.2.3\nprinter.local\n8.8.8.8\nleaves.example\n"
    arguments = ("publish", "-", "--format", "list", "--tlp", "green", "--yes")
    said = alpha.cli(*arguments, "--dry-run", stdin=text, code=6)
    assert "refused: 1 private-address, for example 10.1.2.3" in said.err
    assert "8.8.8.8 (public resolvers)" in said.err
    assert "--share-listed --share-private" in said.err
    done = alpha.cli_json(*arguments, "--json", stdin=text, code=6)
    assert (done["read"], done["published"]) == (4, 1)
    assert sum(one["count"] for one in done["refused"]) == 3
    alpha.cli(*arguments, stdin=b"10.1.2.3\n", code=5)


def test_without_a_daemon_the_same_commands_work(company: Company, tmp_path: Path) -> None:
    alpha = company.found("alpha")
    names = {one["name"] for one in alpha.cli_json("warninglist", "list", "--json")}
    assert names == {"empty files", "public resolvers", "special-purpose addresses"}
    alpha.cli("warninglist", "check", "127.0.0.1", "dns.google", "d41d8cd98f00b204e9800998ecf8427e")
    alpha.cli("warninglist", "check", "nothing.example", "no value at all", code=3)
    good = write_list(tmp_path / "list.json", "ours", "nothing.example")
    assert alpha.cli("warninglist", "import", str(good)).out == "ours  version 1  1 entry  inform\n"
    alpha.cli("warninglist", "check", "nothing.example")
    broken = tmp_path / "broken.json"
    broken.write_text("[]")
    alpha.cli("warninglist", "import", str(good), str(broken), code=6)
    alpha.cli("warninglist", "import", str(broken), code=1)
    alpha.cli("warninglist", "import", str(tmp_path / "nowhere"), code=1)
    empty = tmp_path / "empty"
    empty.mkdir()
    alpha.cli("warninglist", "import", str(empty), code=2)
    alpha.cli("warninglist", "set", "ours", code=2)
    alpha.cli("warninglist", "set", "nobody's", "--enabled", "no", code=3)
    alpha.cli("allow", code=2)
    alpha.cli("allow", "no value at all", code=1)


def test_a_daemon_ends_an_evaluation_that_a_command_began(company: Company, eventually: Eventually) -> None:
    alpha, bravo = company.found("alpha"), company.found("bravo")
    alpha.trust(bravo)
    alpha.publish("half-way.example\nother.example\n")
    index = open_warning_index(
        alpha.home / "warninglists.sqlite"
    )  # as a command that was killed at this moment
    raw = json.dumps({"name": "ours", "type": "string", "list": ["half-way.example"]}).encode()
    index.replace(parse_warning_list(raw), ListAction.BLOCK, 0)
    index.close()
    assert exported(alpha) == {"half-way.example", "other.example"}
    alpha.start()
    eventually(lambda: exported(alpha) == {"other.example"}, "the daemon evaluates what is stored")


def test_a_list_cannot_write_to_the_terminal(company: Company, tmp_path: Path) -> None:
    alpha = company.found("alpha")
    path = write_list(tmp_path / "list.json", "ours", "\x1b[2Jevil", "a\nb.example", "ok.example")
    said = alpha.cli("warninglist", "import", str(path), code=6)
    assert "\x1b" not in said.out + said.err
    assert "unsafe-characters" in said.err
