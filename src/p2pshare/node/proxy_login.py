"""The proxy of the configuration, with the login out of its file."""

from __future__ import annotations

from pathlib import Path

from p2pshare.config import Config, proxy_address
from p2pshare.errors import ConfigError, KeyFileError
from p2pshare.node.keyfile import read_passphrase_file
from p2pshare.peering.proxies import LOGIN_BYTES_MAX, Proxy


def proxy_of(config: Config) -> Proxy | None:
    """Returns what is dialled through, None for nothing. Raises ConfigError for a login file that cannot be used."""
    if not config.gossip.proxy:
        return None
    kind, host, port = proxy_address(config.gossip.proxy)
    return Proxy(kind, host, port, _login(config.gossip.proxy_login) if config.gossip.proxy_login else None)


def _login(file: str) -> tuple[bytes, bytes]:
    if not Path(
        file
    ).is_absolute():  # the login itself, mostly: it is not said again, for this goes into the log
        raise ConfigError(
            "gossip.proxy_login is no absolute path",
            hint="it names a file of mode 0600 of the daemon's user, whose first line is NAME:PASSWORD",
        )
    try:
        line = read_passphrase_file(Path(file)).reveal()
    except KeyFileError as error:
        raise ConfigError(
            f"gossip.proxy_login: {error.message}",
            hint="a file of mode 0600 of the daemon's user; its first line is NAME:PASSWORD",
        ) from None
    name, separator, password = line.partition(b":")
    if not separator or not name or not 0 < len(password) <= LOGIN_BYTES_MAX or len(name) > LOGIN_BYTES_MAX:
        raise ConfigError(
            f"gossip.proxy_login: the first line of {file} is not NAME:PASSWORD",
            hint=f"each at most {LOGIN_BYTES_MAX} bytes, and no colon in the name",
        )
    return name, password
