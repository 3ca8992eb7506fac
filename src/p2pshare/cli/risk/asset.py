"""`p2pshare asset`: what is ours. Read from files, shown and set here; nothing of it leaves this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import EXIT_PARTLY_DONE, UsageProblem, json_option
from p2pshare.cli.risk.opening import as_told, day_of, now_seconds, open_own
from p2pshare.errors import NotFoundError

if TYPE_CHECKING:
    from p2pshare.risk.risk_store import AssetRow, PlaceRow

FORMATS = ("auto", "cyclonedx-json", "cyclonedx-xml", "spdx-json", "csv")
ENCODINGS = ("auto", "utf-8", "cp1252")
SHOWN_PLACES = 20  # told on a terminal; --json has all


@click.group(cls=Group)
def asset() -> None:
    """import, list, show and set what is ours: devices, systems and the software on them; it stays here"""


@asset.command("import")
@click.argument("file", metavar="FILE", shell_complete=complete_file)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="what FILE is",
)
@click.option(
    "--map", "column_map", metavar="FIELD=COLUMN,...", default="", help="of CSV: which column is which field"
)
@click.option(
    "--values", metavar="FIELD:WORD=VALUE,...", default="", help="of CSV: your words for exposure, impact ..."
)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default="auto",
    show_default=True,
    help="of CSV: its characters",
)
@click.option(
    "--asset", "name", metavar="NAME", default="", help="what a bill of materials is about; else what it says"
)
@json_option
@click.pass_obj
def import_(
    home: Path,
    file: str,
    format_name: str,
    column_map: str,
    values: str,
    encoding: str,
    name: str,
    as_json: bool,
) -> int:
    """read a list of assets (CSV) or a bill of materials (CycloneDX 1.2 to 1.6, SPDX 2.3); FILE replaces what it said before"""
    from p2pshare.risk.inventory.asset_lists import parse_map, parse_values

    with open_own(home) as store:
        imported = store.import_inventory(
            Path(file),
            format=format_name,
            column_map=parse_map(column_map),
            values=parse_values(values),
            encoding=encoding,
            asset=name,
            now=now_seconds(),
        )
    refused, told = as_told(imported.refused), as_told(imported.told)
    if as_json:
        console.print_json(
            {
                "read": imported.read,
                "assets": imported.assets,
                "components": imported.components,
                "refused": refused,
                "told": told,
            }
        )
    else:
        print_places("refused", refused)
        print_places("note", told)
        assets = console.counted(imported.assets, "asset")
        components = console.counted(imported.components, "component")
        console.print_result(
            f"{console.shown(Path(file).name)}  {imported.read} read  {assets}  {components}"
        )
    return EXIT_PARTLY_DONE if refused else 0


def print_places(what: str, places: Iterable[Mapping[str, Any]]) -> None:
    """Say what was refused or noted, with its place: talk, not result."""
    listed = list(places)
    for one in listed[:SHOWN_PLACES]:
        where = f"{one['row']}: " if one.get("row") else ""
        console.say(f"{what}: {where}{console.shown(one['why'])}")
    if len(listed) > SHOWN_PLACES:
        console.say(f"{what}: {len(listed) - SHOWN_PLACES} more; --json shows them")


@asset.command("list")
@click.option("--retired", is_flag=True, help="those that are no longer in use, too")
@json_option
@click.pass_obj
def list_(home: Path, retired: bool, as_json: bool) -> None:
    """list the assets: where each is, whose it is, how exposed, and what harm its failure does"""
    with open_own(home) as store:
        rows = store.assets(with_retired=retired)
    if as_json:
        console.print_json([fields_of_asset(row) for row in rows])
        return
    heading = ("asset", "model", "site", "owner", "exposure", "human impact", "components")
    fields = [fields_of_asset(row) for row in rows]
    names = ("name", "model", "site", "owner", "exposure", "human_impact", "components")
    console.print_table(heading, [[one[name] for name in names] for one in fields])


@asset.command("show")
@click.argument("name", metavar="ASSET")
@json_option
@click.pass_obj
def show(home: Path, name: str, as_json: bool) -> None:
    """show one asset with its components, and the file each was read from; exit code 3 when there is none of that name"""
    with open_own(home) as store:
        row = store.asset(name)
        places = store.components_of(name)
    fields = fields_of_asset(row)
    if as_json:
        console.print_json(fields | {"components": [fields_of_place(place) for place in places]})
        return
    console.print_fields(fields)
    for place in places:
        one = fields_of_place(place)
        words = (
            one["ref"],
            one["name"] or one["model"],
            one["version"],
            one["purl"] or one["cpe"],
            one["file"],
        )
        console.print_result("  " + "  ".join(map(console.shown, words)))


@asset.command("set")
@click.argument("name", metavar="ASSET")
@click.option("--exposure", metavar="WORD", help="small, controlled, open or unknown: who can reach it")
@click.option(
    "--human-impact",
    metavar="WORD",
    help="low, medium, high, very high or unknown: what harm its failure does",
)
@click.option(
    "--safety",
    metavar="WORD",
    help="negligible, marginal, critical, catastrophic; with --mission it gives human impact",
)
@click.option("--mission", metavar="WORD", help="degraded, crippled, mef failure, mission failure")
@click.option("--data", metavar="CLASS,...", help="what data it holds")
@click.option("--controls", metavar="WORD,...", help="what protects it already")
@click.option("--site", metavar="TEXT", help="where it is")
@click.option("--owner", metavar="TEXT", help="who answers for it")
@click.option("--kind", metavar="WORD", help="STIX asset-type-ov, such as medical-device")
@click.option("--retire", is_flag=True, help="it is no longer in use: nothing is due for it any more")
@json_option
@click.pass_obj
def set_(home: Path, /, name: str, retire: bool, as_json: bool, **said: str | None) -> None:
    """say of an asset what no file says: how exposed it is, what harm its failure does, who answers for it"""
    from p2pshare.risk.assets import AssetSaid
    from p2pshare.risk.words import Exposure, HumanImpact, Mission, Safety, word_of

    if not retire and not any(value is not None for value in said.values()):
        raise UsageProblem("nothing to set", hint="`p2pshare asset set --help` lists what there is")
    words: dict[str, Any] = {
        option: None if said[option] is None else word_of(kind, said[option] or "")
        for option, kind in {
            "exposure": Exposure,
            "human_impact": HumanImpact,
            "safety": Safety,
            "mission": Mission,
        }.items()
    }
    with open_own(home) as store:
        if not any(row.name == name for row in store.assets(with_retired=True)):
            raise NotFoundError("there is no asset of that name", hint="see `p2pshare asset list`")
        store.set_asset(
            AssetSaid(
                name=name,
                site=said["site"],
                owner=said["owner"],
                kind=said["kind"],
                data_classes=_listed(said["data"]),
                controls=_listed(said["controls"]),
                **words,
            ),
            now_seconds(),
        )
        if retire:
            store.retire_asset(name, now_seconds())
        [row] = [row for row in store.assets(with_retired=True) if row.name == name]
    fields = fields_of_asset(row)
    if as_json:
        console.print_json(fields)
    else:
        console.print_fields(fields)


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(one.strip() for one in text.split(",") if one.strip())


def fields_of_asset(row: AssetRow) -> dict[str, Any]:
    """Returns an asset as JSON has it, days in ISO 8601."""
    days = {"added_at": day_of(row.added_at), "retired_at": day_of(row.retired_at)}
    return {name: value for name, value in row.as_json().items() if name != "id"} | days


def fields_of_place(place: PlaceRow) -> dict[str, Any]:
    """Returns a component in its place, as JSON has it: {ref, purl, cpe, vendor, name, model, version, file}."""
    return place._asdict()
