"""A daemon that reaches its partner through a real proxy alone: it exchanges, and says where it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from free_port import free_port
from real_proxies import LOGIN, proxy_running

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def reason_of_the_link(partner: Partner) -> str:
    [link] = partner.status()["partners"]
    return str(link["last_error"])


def login_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / f"login-{time.monotonic_ns()}"
    path.write_text(text + "\n")
    path.chmod(mode)
    return json.dumps(str(path))


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_node_behind_a_proxy_exchanges_through_it_and_tells_where_it_fails(
    company: Company, tmp_path: Path, eventually: Eventually, kind: str
) -> None:
    """Both ways over one dial: alpha is dial-only, and its partner's card has a name that alpha need not know."""
    alpha = company.found("alpha", is_dialable=False)
    bravo = company.found("bravo")
    alpha.trust(bravo)
    bravo.trust(alpha)
    port = free_port()
    alpha.configure("proxy", f'"{kind}://127.0.0.1:{port}"')
    alpha.configure("proxy_login", login_file(tmp_path, ":".join(LOGIN)))
    bravo.start()
    alpha.start()
    eventually(lambda: reason_of_the_link(alpha) == "proxy-unreachable", "the proxy is not there")
    with proxy_running(kind, tmp_path, login=True, port=port):
        alpha.publish("through-the-proxy.example\n")
        bravo.wait_for("through-the-proxy.example")
        bravo.publish("and-back.example\n")
        alpha.wait_for("and-back.example")
        assert LOGIN[1] not in alpha.log()
    alpha.stop()
    alpha.configure("proxy_login", login_file(tmp_path, "anna:wrong"))
    with proxy_running(kind, tmp_path, login=True, port=port):
        alpha.start()
        eventually(lambda: reason_of_the_link(alpha) == "proxy-auth", "the login is wrong")
    alpha.stop()


def test_an_invitation_and_a_knock_go_through_the_proxy_and_no_straight_way(
    company: Company, tmp_path: Path, eventually: Eventually
) -> None:
    """While the proxy is down nothing comes of either, though bravo's door is open to anybody on this machine."""
    alpha, bravo = company.found("alpha", is_dialable=False), company.found("bravo")
    port = free_port()
    alpha.configure("proxy", f'"socks5://127.0.0.1:{port}"')
    bravo.start()
    alpha.start()
    line = bravo.cli_json("invite", "alpha", "--json")["line"]
    refused = alpha.cli("join", "-", "--json", stdin=line.encode(), codes=(1, 5))
    assert "proxy-unreachable" in refused.err
    with proxy_running("socks5", tmp_path, port=port):
        joined = json.loads(alpha.cli("join", "-", "--json", stdin=line.encode()).out)
        for one, other in ((alpha, bravo), (bravo, alpha)):
            one.cli("partner", "accept", other.partner_id, "--words", joined["words"], "--json")
        eventually(lambda: [one["state"] for one in alpha.status()["partners"]], "they are partners")
        bravo.publish("after-the-invitation.example\n")
        alpha.wait_for("after-the-invitation.example")
        # bravo forgets alpha: what is left to alpha is to knock, through the proxy
        bravo.cli("partner", "remove", alpha.partner_id)
        eventually(lambda: alpha.status()["partners"][0]["knock"], "alpha has knocked")
    acts = [one["action"] for one in alpha.cli_json("audit", "list", "--json")]
    assert {"join", "partner-accept"} <= set(acts)
    assert line.encode() not in b"".join(one.read_bytes() for one in (alpha.home / "audit").glob("*.log"))


def test_a_proxy_that_shows_a_certificate_of_its_own_reads_nothing(
    company: Company, tmp_path: Path, eventually: Eventually
) -> None:
    """A proxy that breaks TLS open is another server: bravo's card does not name its certificate."""
    alpha, bravo, mallory = (
        company.found("alpha", is_dialable=False),
        company.found("bravo"),
        company.found("mallory"),
    )
    alpha.trust(bravo)
    port = free_port()
    alpha.configure("proxy", f'"http://127.0.0.1:{port}"')
    mallory.start()
    with redirecting(port, mallory.port):
        alpha.start()
        eventually(lambda: reason_of_the_link(alpha) == "other-certificate", "mallory's certificate is seen")
    alpha.stop()


def redirecting(port: int, target: int) -> Any:
    """A proxy that takes every CONNECT to another server."""
    import asyncio
    import threading
    from contextlib import contextmanager, suppress

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            there, away = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(pump(reader, away), pump(there, writer))

    @contextmanager
    def running() -> Any:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", port))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    return running()


@pytest.mark.parametrize(
    ("proxy", "login", "told"),
    [
        ("http://anna:secret@127.0.0.1:3128", None, "a proxy's login does not stand in its address"),
        ("http://anna:secret@127.0.0.1:99999", None, "a proxy's login does not stand in its address"),
        ("anna:secret@127.0.0.1:3128", None, "a proxy's login does not stand in its address"),
        ("http://anna:secret@[::1:3128", None, "a proxy's login does not stand in its address"),
        ("http://a..b:3128", None, "is not a proxy's address"),
        ("https://127.0.0.1:3128", None, "is not a proxy's address"),
        ("127.0.0.1:3128", None, "is not a proxy's address"),
        ("http://127.0.0.1", None, "is not a proxy's address"),
        ("http://a b:3128", None, "is not a proxy's address"),
        ("", "anna:secret", "there is no proxy to log in at"),
    ],
)
def test_a_proxy_that_is_configured_wrongly_is_told_before_a_daemon_starts_and_no_login_is_said(
    wrong: Partner, tmp_path: Path, proxy: str, login: str | None, told: str
) -> None:
    wrong.configure("proxy", json.dumps(proxy))
    wrong.configure("proxy_login", '""' if login is None else login_file(tmp_path, login))
    said = wrong.cli("config", "check", code=78)
    assert told in said.err, said
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("login", "mode", "told"),
    [("no colon", 0o600, "is not NAME:PASSWORD"), ("anna:secret", 0o644, "others can read")],
)
def test_a_login_that_cannot_be_used_keeps_the_daemon_from_starting(
    wrong: Partner, tmp_path: Path, login: str, mode: int, told: str
) -> None:
    wrong.configure("proxy", '"http://127.0.0.1:3128"')
    wrong.configure("proxy_login", login_file(tmp_path, login, mode))
    said = wrong.run_refused(78)
    assert told in said, said
    assert "secret" not in said


def test_a_login_that_stands_in_the_config_itself_is_not_said_again(wrong: Partner) -> None:
    wrong.configure("proxy", '"http://127.0.0.1:3128"')
    wrong.configure("proxy_login", '"anna:secret"')
    said = wrong.run_refused(78)
    assert "gossip.proxy_login is no absolute path" in said, said
    assert "secret" not in said


def test_a_reload_refuses_a_login_with_which_the_next_start_would_fail(
    company: Company, tmp_path: Path
) -> None:
    alpha = company.found("alpha", is_dialable=False)
    alpha.start()
    alpha.configure("proxy", '"http://127.0.0.1:3128"')
    alpha.configure("proxy_login", login_file(tmp_path, "anna:secret", 0o644))
    refused = alpha.cli("config", "reload", code=78)
    assert "others can read" in refused.err, refused
    alpha.stop()


@pytest.fixture(scope="module")
def wrong(shared_company: Company) -> Partner:
    return shared_company.found("wrong", is_dialable=False)
