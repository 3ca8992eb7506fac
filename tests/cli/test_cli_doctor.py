"""The doctor on real homes: partners add each other, export their lists, and are told what would split them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Said
from whole_nodes import World, befriend

from p2pshare.cli.program import run_program
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.keys import reissue_card
from p2pshare.errors import PeerError
from p2pshare.limits import PARTNER_LIST_BYTES_MAX
from p2pshare.sharing.partners import apply_card_update


class Federation:
    """Homes under one folder, and the command line on each."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture

    def __call__(self, name: str, *arguments: str) -> Said:
        self._capture.readouterr()
        code = run_program(["--home", str(self.folder / name), *arguments])
        return Said(code, *self._capture.readouterr())

    def found(self, name: str, is_dialable: bool = True) -> None:
        address = ("--url", f"https://{name}.example:8443") if is_dialable else ("--dial-only",)
        assert self(name, "init", "--name", name, *address).code == 0

    def add(self, name: str, other: str, *options: str) -> None:
        told = self(other, "card", "show", "--json").json["fingerprint"]
        card = str(self.folder / other / "card.p2pcard")
        assert self(name, "partner", "add", card, "--fingerprint", told, *options).code == 0

    def link(self, name: str, other: str) -> None:
        self.add(name, other)
        self.add(other, name)

    def exported(self, *names: str) -> list[str]:
        files = [str(self.folder / f"{name}.json") for name in names]
        for name, file in zip(names, files, strict=True):
            assert self(name, "partner", "export", file).code == 0
        return files


@pytest.fixture
def federation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Federation]:
    def of(*names: str) -> Federation:
        made = Federation(tmp_path, capsys)
        for name in names:
            made.found(name)
        return made

    return of


def test_three_homes_in_a_chain_are_told_the_link_that_mends_it_and_then_all_is_well(
    federation: Callable[..., Federation],
) -> None:
    three = federation("alpha", "bravo", "charlie")
    three.link("alpha", "bravo")
    three.link("bravo", "charlie")
    said = three("alpha", "doctor", "topology", *three.exported("bravo", "charlie"))
    assert said.code == 1
    assert "main: 3 partners, 2 links, in one piece, 2 hops from end to end: to be mended\n" in said.out
    assert "  the loss of one of these splits it: bravo\n" in said.out
    assert "  mend: add a link between alpha and charlie: then no single partner splits 'main'\n" in said.out
    answer = three("alpha", "doctor", "topology", "--json", *three.exported("bravo", "charlie")).json
    (circle,) = answer["circles"]
    assert circle["cut_links"] == [["alpha", "bravo"], ["bravo", "charlie"]]
    assert circle["mends"][0] == {
        "between": ["alpha", "charlie"],
        "for": "no-single-partner",
        "enough": True,
    }
    three.link("alpha", "charlie")
    said = three("alpha", "doctor", "topology", *three.exported("bravo", "charlie"))
    assert (said.code, said.err) == (0, "")
    assert said.out == "main: 3 partners, 3 links, in one piece, 1 hop from end to end: well\n"


def test_one_sided_missing_and_dial_out_are_told(federation: Callable[..., Federation]) -> None:
    some = federation("alpha", "bravo", "charlie")
    some.found("hidden", is_dialable=False)
    some.add("alpha", "bravo")
    some.add("bravo", "alpha", "--no-link")
    some.link("alpha", "charlie")
    some.link("alpha", "hidden")
    said = some("alpha", "doctor", "topology", *some.exported("bravo", "hidden"))
    assert said.code == 1
    assert "one-sided: alpha has a link to bravo; bravo trusts alpha without a link" in said.out
    assert "  no list from: charlie\n" in said.out
    assert "  only dial out: hidden\n" in said.out
    assert "  piece 2: bravo\n" in said.out
    assert "nothing is said" in said.err


def test_what_is_well_without_all_lists_is_not_called_well(federation: Callable[..., Federation]) -> None:
    three = federation("alpha", "bravo", "charlie")
    for one, other in (("alpha", "bravo"), ("alpha", "charlie"), ("bravo", "charlie")):
        three.link(one, other)
    said = three("alpha", "doctor", "topology", *three.exported("bravo"), "--json")
    assert (said.code, said.json["complete"], said.json["circles"][0]["missing"]) == (6, False, ["charlie"])
    alone = three(
        "alpha", "doctor", "topology", *three.exported("bravo", "charlie"), "--without-own", "--json"
    )
    assert (alone.code, alone.json["lists"], alone.json["circles"][0]["missing"]) == (6, 2, ["alpha"])


def test_no_list_a_bad_list_and_a_list_of_ours_that_is_old(federation: Callable[..., Federation]) -> None:
    two = federation("alpha", "bravo")
    assert two("nobody", "doctor", "topology").code == 2
    bad = two.folder / "bad.json"
    bad.write_text('{"format": "p2pshare-partner-list"}')
    said = two("alpha", "doctor", "topology", str(bad))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"error: {bad}: version: missing, or of another type\nhint: ")
    old = json.loads(Path(two.exported("alpha")[0]).read_text()) | {"made_at": "2020-01-01T00:00:00Z"}
    bad.write_text(json.dumps(old))
    assert two("alpha", "doctor", "topology", str(bad), "--json").json["replaced"] == ["alpha"]


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_list_at_the_limit_of_its_size(federation: Callable[..., Federation], more: int) -> None:
    one = federation("alpha")
    file = Path(one.exported("alpha")[0])
    file.write_bytes(file.read_bytes().ljust(PARTNER_LIST_BYTES_MAX + more))
    said = one("alpha", "doctor", "topology", str(file), "--without-own", "--json")
    assert (said.out != "") == (more < 1)


def test_a_name_that_would_command_the_terminal_is_shown_as_text(
    federation: Callable[..., Federation],
) -> None:
    two = federation("alpha")
    evil = json.loads(Path(two.exported("alpha")[0]).read_text())
    evil |= {"partner_id": "ee" * 32, "name": "\x1b[2Jevil\n", "circles": ["\x1b[31mred", "main"]}
    (two.folder / "evil.json").write_text(json.dumps(evil))
    said = two("alpha", "doctor", "topology", str(two.folder / "evil.json"))
    assert "\x1b" not in said.out + said.err
    assert "\\x1b[31mred: 1 partner" in said.out


def test_the_node_is_examined_without_an_argument_and_a_failure_is_an_exit_code(
    federation: Callable[..., Federation],
) -> None:
    one = federation()
    one.found("alpha", is_dialable=False)
    said = one("alpha", "doctor")
    assert said.code == 0
    assert "ok      config        circles: main; " in said.out
    assert "warn    daemon        not running" in said.out
    (one.folder / "alpha" / "identity.p2pkey").chmod(0o644)
    said = one("alpha", "doctor", "--json")
    assert (said.code, [row["check"] for row in said.json if row["level"] == "fail"]) == (1, ["keys"])
    assert one("nobody", "doctor").code == 1


# --- proofs ----------------------------------------------------------------------------------------


def test_a_proof_leaves_as_a_file_that_anybody_can_verify_and_a_changed_one_is_refused(
    tmp_path: Path, federation: Callable[..., Federation]
) -> None:
    now = int(time.time())
    world = World(tmp_path, now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(bravo, alpha, now=now)
    one, other = (reissue_card(alpha.identity, now, name=name).card.raw for name in ("One", "Other"))
    apply_card_update(bravo, alpha.identity.partner_id, one, now)
    with pytest.raises(PeerError):
        apply_card_update(bravo, alpha.identity.partner_id, other, now)
    world.close()
    homes = federation("charlie")
    status = homes("bravo", "status")
    assert "alarm card-fork: alpha signed two different cards of one version" in status.out
    assert "\n  `p2pshare doctor proof alpha FILE` writes the proof" in status.out
    file = tmp_path / "alpha.proof"
    assert homes("bravo", "doctor", "proof", "alpha", str(file)).code == 0
    assert homes("bravo", "doctor", "proof", "alpha", str(file), "--kind", "envelope").code == 3
    said = homes("charlie", "verify", str(file))
    assert said.code == 0
    assert f"identifier    {fingerprint(alpha.identity.partner_id)}\n" in said.out
    assert "claims        two different cards of version 2\n" in said.out
    assert "proven: whoever has the keys of" in said.err
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    said = homes("charlie", "verify", str(file), "--json")
    assert (said.code, said.json["verdict"], said.json["checks"][1]["reason"]) == (1, "bad", "bad-signature")
