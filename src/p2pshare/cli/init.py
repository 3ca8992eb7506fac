"""`p2pshare init`: a new home folder."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option


@click.command(cls=Command)
@click.option("--name", required=True, help="your organisation's name, as partners see it")
@click.option("--url", default="", metavar="https://HOST:PORT", help="where partners reach this node")
@click.option("--dial-only", is_flag=True, help="nobody can reach this node: it dials its partners")
@click.option(
    "--listen", default="", metavar="HOST:PORT", help="where to listen; else the host and port of --url"
)
@click.option(
    "--passphrase-file",
    metavar="FILE",
    shell_complete=complete_file,
    help="encrypt the key file with the first line of FILE; later commands find it through"
    " P2PSHARE_PASSPHRASE_FILE or as the systemd credential 'passphrase'",
)
@click.option(
    "--roots-to",
    "root_files",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_file,
    help="keep the root key in FILE, and not in the home; repeated, a key in each: the machine then issues no card"
    " by itself",
)
@click.option(
    "--threshold",
    type=int,
    metavar="NUMBER",
    help="how many of those root keys must sign a card; else more than half of them",
)
@json_option
@click.pass_obj
def init(
    home: Path,
    name: str,
    url: str,
    dial_only: bool,
    listen: str,
    passphrase_file: str | None,
    root_files: tuple[str, ...],
    threshold: int | None,
    as_json: bool,
) -> None:
    """make a home folder: root and operational keys, a commented config file and the card"""
    from p2pshare.cli.card import describe_card, now_seconds
    from p2pshare.node.init import found_home
    from p2pshare.node.keyfile import read_passphrase_file

    if dial_only == bool(url) or (dial_only and listen):
        raise UsageProblem(
            "a node has an address, or dials only",
            hint="give --url https://HOST:PORT, or --dial-only without --url and --listen",
        )
    secret = None if passphrase_file is None else read_passphrase_file(Path(passphrase_file))
    if threshold is not None and not root_files:
        raise UsageProblem(
            "--threshold is for root keys that are kept elsewhere", hint="give --roots-to, too"
        )
    identity = found_home(
        home,
        name=name,
        url=url,
        listen=listen,
        passphrase=secret,
        now=now_seconds(),
        root_files=[Path(file) for file in root_files],
        threshold=threshold if threshold is not None else len(root_files) // 2 + 1,
    )
    if secret is None:
        console.warn(
            f"the key file is not encrypted: whoever reads {home} or its backup has your keys; `p2pshare passphrase set`"
            " encrypts it"
        )
    if not root_files:
        console.say(
            "the root key is in the key file: whoever has it is this partner for good, and no revocation helps;"
            " --roots-to FILE keeps it elsewhere"
        )
    else:
        console.say(
            f"{identity.card.threshold} of {console.counted(len(root_files), 'root key')} must sign each new card: take"
            f" {', '.join(map(console.shown, root_files))} away, each to its keeper, and bring them for `p2pshare card sign`"
        )
    described = describe_card(identity.card)
    if as_json:
        told = {"home": str(home), "key_file_encrypted": secret is not None, "root_files": list(root_files)}
        console.print_json(described | told)
        return
    console.print_result(f"home         {console.shown(home)}")
    console.print_result(f"partner id   {described['partner_id']}")
    console.print_result(f"fingerprint  {described['fingerprint']}")
    console.say(
        "next: `p2pshare run`; then `p2pshare invite NAME` for a partner, or `p2pshare join` with the line that one sent you"
    )
