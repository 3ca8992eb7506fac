"""The configuration: what is wrong is named with file, line and the nearest known key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import p2pshare.config
from p2pshare.config import (
    LOGGED_ROOMS,
    Config,
    LogConfig,
    field_explanations,
    fields_changed,
    load_config,
    parse_config,
    render_config,
)
from p2pshare.errors import ConfigError

MINIMAL = 'name = "alpha"\nurl = "https://127.0.0.1:8443"\n'


def parse(text: str) -> Config:
    return parse_config(tomllib.loads(text), text, "config.toml")


@pytest.mark.parametrize(
    ("addition", "line", "words"),
    [
        ("naem = 3\n", 3, "unknown key 'naem'"),
        ("[gossip]\nreconcile_secnds = 3\n", 4, "unknown key 'gossip.reconcile_secnds'"),
        ("[gosip]\n", 3, "unknown key 'gosip'"),
        ('[gossip]\n\n# note\nreconcile_seconds = "60"\n', 6, "expected `int`"),
        ("[gossip]\nreconcile_seconds = 0\n", 4, "out of range"),
        ("[limits]\nmib_per_second = 5000\n", 4, "out of range"),
        ('ttl = "91d"\n', 3, "no ttl class"),
        ('listen = "nowhere"\n', 3, "not HOST:PORT"),
        ('[groups]\n"bad name" = ["bravo"]\n', 4, "not a usable name"),
        ("[policy]\nsiem_red = 1\n", 4, "expected `bool`"),
    ],
)
def test_wrong_field_is_refused_with_its_line(addition: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(MINIMAL + addition)
    assert f"config.toml:{line}:" in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 78


def test_misspelt_key_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(MINIMAL + "[gossip]\ncircels = []\n")
    assert caught.value.hint == "did you mean 'circles'?"


@pytest.mark.parametrize(
    "url",
    [
        "http://a:1",
        "https://",
        "https://a:1/path",
        "ftp://a",
        "https://u:p@a:1",
        "https://a:99999",
        "https://a:x",
        "a:1",
        "https://[::1",
        "https://[fe80::1%eth0]:8443",
    ],
)
def test_url_that_no_partner_could_dial_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="url"):
        parse(f'name = "a"\nurl = "{url}"\n')


def test_missing_name_and_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="required field `name`"):
        parse('url = "https://a:1"\n')
    with pytest.raises(ConfigError, match="no configuration"):
        load_config(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_bytes(b"name = \xff\n")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(tmp_path / "config.toml")


def test_listen_falls_back_to_the_url_and_reads_ipv6() -> None:
    assert parse(MINIMAL).listen_address == ("127.0.0.1", 8443)
    assert parse(MINIMAL + 'listen = "[::]:9443"\n').listen_address == ("::", 9443)


def test_the_rendered_file_is_the_default_configuration() -> None:
    text = render_config('Clinic "North"', "https://clinic.example:8443", "0.0.0.0:8443")
    config = parse(text)
    assert config == Config('Clinic "North"', "https://clinic.example:8443", "0.0.0.0:8443")


def test_the_example_explains_every_field(repository: Path) -> None:
    text = (repository / "config" / "example.toml").read_text()
    assert text == render_config("Example CERT", "https://cert.example:8443", "")
    for key, (_, explanation) in field_explanations().items():
        assert len(explanation) > 30, key
        assert explanation.splitlines()[0] in text, key


def test_a_level_for_each_room_and_no_other_word() -> None:
    assert parse(MINIMAL + '[log]\nlevel = "debug"\nrooms = ["peering=error"]\n').log == LogConfig(
        "debug", ("peering=error",)
    )
    for wrong in (
        'level = "loud"',
        'rooms = ["peering"]',
        'rooms = ["kitchen=debug"]',
        'rooms = ["peering=debug", "peering=info"]',
    ):
        with pytest.raises(ConfigError, match="log"):
            parse(MINIMAL + f"[log]\n{wrong}\n")


def test_the_rooms_that_can_have_a_level_are_those_that_log() -> None:
    folder = Path(p2pshare.config.__file__).parent
    logging = {
        file.relative_to(folder).parts[0]
        for file in folder.rglob("*.py")
        if "logging.getLogger(__name__)" in file.read_text()
    }
    assert logging == set(LOGGED_ROOMS)


def test_fields_that_changed_are_named_and_their_values_are_not() -> None:
    before = parse(MINIMAL)
    after = parse(MINIMAL.replace("8443", "9443") + "[limits]\nauthor_mib = 64\n")
    assert fields_changed(before, after) == ["url", "limits.author_mib"]
    assert fields_changed(before, before) == []
