"""Names by which a component and a product of an advisory find each other, and the comparison of CPEs.

A key is text, equal on both sides where they may be the same thing; what is found by a key is then compared in full
(`matching`). Kinds of keys::

    purl:npm/@scope/inner           package-url without version, qualifiers and subpath
    cpe:a:rex:server                part, vendor and product of a CPE, unbound and folded
    model:8702104                   an order or catalogue number: letters and digits only
    models:rex                      the vendor group, for statements that name model numbers with wildcards

CPE names are read from both bindings (NISTIR 7695: URI, 2.2, sections 6.1; formatted string, 2.3, section 6.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from p2pshare.risk import extra
from p2pshare.risk.assets import Component
from p2pshare.risk.statements import AdvisoryProduct
from p2pshare.risk.vendors import vendor_group

CACHED_NAMES = 65_536  # distinct purls and CPEs that are remembered while a file is read; 20 MiB at worst
ANY = ""
NOT_APPLICABLE = "-"
CPE_FIELDS = 11

_MODEL = re.compile(r"[^0-9A-Za-z]+")
_URI_SPECIAL = {"%01": "?", "%02": "*"}
_LITERAL = {"*": "\uff0a", "?": "\uff1f"}  # quoted: the sign itself, and no wildcard; kept as its wide form


class Purl(NamedTuple):
    """A package-url's parts, as far as they tell packages apart. `distro` is the qualifier of that name."""

    type: str
    key: str
    version: str
    distro: str


@lru_cache(maxsize=CACHED_NAMES)
def read_purl(text: str) -> Purl | None:
    """Returns the parts of a package-url; None where it is none. An rpm's epoch belongs to its version."""
    purl = extra.package_url(text)
    if purl is None:
        return None
    qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
    version = purl.version or ""
    if purl.type == "rpm" and version and "epoch" in qualifiers and ":" not in version:
        version = f"{qualifiers['epoch']}:{version}"
    path = f"{purl.namespace}/{purl.name}" if purl.namespace else str(purl.name)
    return Purl(purl.type, f"purl:{purl.type}/{path}", version, str(qualifiers.get("distro", "")))


class Cpe(NamedTuple):
    """A CPE name, unbound and in lower case: 11 attributes from part to other. '' is ANY, '-' is NA."""

    part: str
    vendor: str
    product: str
    version: str
    update: str
    edition: str
    language: str
    sw_edition: str
    target_sw: str
    target_hw: str
    other: str

    @property
    def key(self) -> str:
        return f"cpe:{self.part}:{self.vendor}:{self.product}"


@lru_cache(maxsize=CACHED_NAMES)
def read_cpe(text: str) -> Cpe | None:
    """Returns the attributes of a CPE in either binding; None where it is none, or names no vendor and product."""
    text = text.strip()
    if text[:8].lower() == "cpe:2.3:":
        fields = _split_formatted(text[8:])
    elif text[:5].lower() == "cpe:/":
        fields = _split_uri(text[5:])
    else:
        return None
    if len(fields) > CPE_FIELDS:
        return None
    fields += [ANY] * (CPE_FIELDS - len(fields))
    name = Cpe(*fields)
    return name if name.part in ("a", "o", "h") and name.vendor and name.product else None


def _split_formatted(text: str) -> list[str]:
    """Returns the attributes of a formatted string: split at colons that no backslash quotes."""
    fields, field, is_quoted = [], "", False
    for character in text:
        if is_quoted:
            field, is_quoted = field + _LITERAL.get(character, character), False
        elif character == "\\":
            is_quoted = True
        elif character == ":":
            fields.append(field)
            field = ""
        else:
            field += character
    fields.append(field)
    return [ANY if one == "*" else one.lower() for one in fields]


def _split_uri(text: str) -> list[str]:
    """Returns the attributes of a URI: at most seven, the edition of which may hold five, packed with tildes."""
    fields = [_decoded(one) for one in text.split(":")]
    if len(fields) > 5 and fields[5].startswith("~"):
        _, edition, *packed = [*fields[5].split("~"), "", "", "", ""][:6]
        language = fields[6] if len(fields) > 6 else ANY
        fields = [*fields[:5], edition, language, *packed]
    return fields


def _decoded(text: str) -> str:
    if text == "*":  # is no URI's way to say ANY, and some write it
        return ANY
    for code, literal in (("%2a", _LITERAL["*"]), ("%3f", _LITERAL["?"])):
        text = text.replace(code, literal).replace(code.upper(), literal)
    for code, character in _URI_SPECIAL.items():
        text = text.replace(code, character)
    return unquote(text).lower()


class CpeFit(NamedTuple):
    """Whether a component's CPE may be what a statement's CPE names. `unknown`: attributes that the component does not say."""

    fits: bool
    unknown: tuple[str, ...]


def compare_cpe(stated: Cpe, own: Cpe, *, with_version: bool = True) -> CpeFit:
    """Returns whether `own` is among what `stated` names: ANY names all, other attributes must be equal (NISTIR 7696)."""
    unknown = []
    for name, theirs, ours in zip(Cpe._fields, stated, own, strict=True):
        if theirs == ANY or (name == "version" and not with_version):
            continue
        if ours == ANY:
            unknown.append(name)
        elif not _attribute_fits(theirs, ours):
            return CpeFit(False, ())
    return CpeFit(True, tuple(unknown))


def _attribute_fits(stated: str, own: str) -> bool:
    if stated == own:
        return True
    if stated == NOT_APPLICABLE or own == NOT_APPLICABLE or not ("*" in stated or "?" in stated):
        return False
    return wildcard(stated).fullmatch(own) is not None


@lru_cache(maxsize=4096)
def wildcard(text: str) -> re.Pattern[str]:
    """Returns a pattern for text in which `?` is one character and `*` any number."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in re.sub(r"\*+", "*", text)), re.DOTALL)


def folded_model(text: str) -> str:
    """Returns an order number without what people leave out when they write it down: blanks, dashes, case."""
    return _MODEL.sub("", text).lower()


def has_wildcard(text: str) -> bool:
    """Returns whether a model number names several (CSAF 2.1, section 3.1.3.3.5: unescaped `?` and `*`)."""
    return "*" in text or "?" in text


MODEL_CHARACTERS_MIN = 3  # a model number of two characters is in every list


def component_keys(component: Component) -> Iterator[str]:
    """Yields the keys under which a component is found."""
    if component.purl and (purl := read_purl(component.purl)):
        yield purl.key
    if component.cpe and (cpe := read_cpe(component.cpe)):
        yield cpe.key
    model = folded_model(component.model)
    if len(model) >= MODEL_CHARACTERS_MIN:
        yield f"model:{model}"
        if group := vendor_group(component.vendor):
            yield f"models:{group}"


def product_keys(product: AdvisoryProduct) -> Iterator[str]:
    """Yields the keys under which a product of an advisory is found, each once."""
    if product.purl and (purl := read_purl(product.purl)):
        yield purl.key
    if product.cpe and (cpe := read_cpe(product.cpe)):
        yield cpe.key
    found: set[str] = set()
    for number in (*product.models, *product.skus):
        if has_wildcard(number):
            if group := vendor_group(product.vendor):
                found.add(f"models:{group}")
        elif len(folded_model(number)) >= MODEL_CHARACTERS_MIN:
            found.add(f"model:{folded_model(number)}")
    yield from sorted(found)
