"""Recipes of what once cost too much, each named for what it makes work. The search begins with them."""

from __future__ import annotations

from costs.recipes import Objects, Recipe, Sealed

_THOUSAND = Sealed((Objects(values=1_000, shape="in"),))

KNOWN: dict[str, Recipe] = {
    "many claims about the same values": (
        Sealed((Objects(count=400, values=1_000, value_step=0, shape="in"),)),
    ),
    "many values in few bytes": (Sealed((Objects(count=60, values=1_000, shape="in"),)),),
    "sets of labels": (Sealed((Objects(count=700, labels=64, label_characters=250),)),),
    "long values": (Sealed((Objects(count=1_000, value_bytes=8_190),)),),
    "values that grow": (Sealed((Objects(count=1_000, value_bytes=8_190, value_type="url"),)),),
    "long domains": (Sealed((Objects(count=4_000, value_bytes=240, value_type="domain"),)),),
    "domains with parents of their own": (
        Sealed((Objects(count=4_000, value_bytes=240, value_type="below"),)),
    ),
    "parents of values in one pattern": (
        Sealed((Objects(count=4, values=400, shape="in", value_bytes=200, value_type="below"),)),
    ),
    "ids as text and many types": (
        Sealed((Objects("unknown", count=20_000, value_bytes=240, is_text_id=True),)),
    ),
    "sightings of a thousand values": (_THOUSAND, Sealed((Objects("sighting", count=1_000, target_step=0),))),
    "false positives of a thousand values": (
        _THOUSAND,
        Sealed((Objects("false-positive", count=1_000, target_step=0),)),
    ),
    "sightings of one of a thousand values": (
        _THOUSAND,
        Sealed((Objects("sighting", count=1_000, target_step=0, names_value="first"),)),
    ),
    "sightings that wait": (
        Sealed((Objects("sighting", count=20_000, target_step=0),)),
        _THOUSAND,
    ),
    "sightings that wait for ever": (
        Sealed((Objects("sighting", count=40_000, target_step=0, names_value="none"),)),
        _THOUSAND,
        Sealed((Objects(version_base=1_000),)),
    ),
    "sightings that wait for one value each": (
        Sealed((Objects("sighting", count=1_000, target_step=0, names_value="first"),)),
        _THOUSAND,
    ),
    "sightings that wait for ever for values of their own": (
        Sealed((Objects("sighting", count=20_000, target_step=0, names_value="none"),)),
        _THOUSAND,
        Sealed((Objects(version_base=1_000),)),
    ),
    "claims beside too many claims": (
        Sealed((Objects(count=40, values=1_000, value_step=0, shape="in"),)),
        Sealed((Objects(count=1, id_base=1_000, values=1_000, shape="in"),)),
    ),
    "withdrawals that differ": (
        _THOUSAND,
        Sealed((Objects("withdrawal", count=250, target_step=0, version_step=1, is_replacing=True),)),
    ),
    "withdrawals of a thousand values": (
        _THOUSAND,
        Sealed((Objects("withdrawal", count=2_000, target_step=0, version_step=1),)),
    ),
    "one withdrawal again and again": (
        _THOUSAND,
        Sealed((Objects("withdrawal", count=10_000, target_step=0, id_step=0),)),
    ),
    "many versions, then an earlier place": (
        Sealed((Objects(count=20_000, id_step=0, version_step=1),)),
        Sealed((Objects(),), is_earlier=True),
        Sealed((Objects(),), is_earlier=True),
    ),
    "many versions, and the current one at an earlier place": (
        Sealed((Objects(count=20_000, id_step=0, version_step=1),)),
        Sealed((Objects(version_base=19_999, value_base=19_999),), is_earlier=True),
        Sealed((Objects(version_base=19_999, value_base=19_999),), is_earlier=True),
    ),
    "old versions of wide objects": (
        Sealed((Objects(count=60, values=1_000, value_step=0, shape="in", version_base=1_000),)),
        Sealed((Objects(count=60),)),
    ),
    "earlier forks of wide objects": (
        Sealed((Objects(count=60, values=1_000, value_step=0, shape="in"),)),
        Sealed((Objects(count=60),), is_earlier=True),
        Sealed((Objects(count=60, is_distinct=True),), is_earlier=True),
    ),
    "earlier forks of objects in a large frame": (
        Sealed((Objects(count=1_000, filler="numbers", filler_bytes=4_000),), frame_objects=1_024),
        Sealed((Objects(count=250, is_distinct=True),), is_earlier=True),
    ),
    "mentions of many wide objects": (
        Sealed((Objects(values=1_000, value_step=0, shape="in", version_base=1_000),), times=80),
        Sealed((Objects(count=80),), times=8, shifts="values"),
    ),
    "many wide objects of many values that are withdrawn": (
        Sealed((Objects(values=1_000, shape="in"),), times=40, shifts="both"),
        Sealed((Objects("withdrawal", count=40, version_base=1_000),)),
        Sealed((Objects(count=40, version_base=2_000),), times=8, shifts="versions"),
    ),
    "narrow forks of many wide objects, later": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=120),
        Sealed((Objects(count=120, is_distinct=True),), times=8, shifts="values"),
    ),
    "forks of many wide objects": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=80),
        Sealed((Objects(count=80, is_distinct=True),), times=8, shifts="values", is_earlier=True),
    ),
    "many wide objects that are withdrawn, and mentioned": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=80),
        Sealed((Objects("withdrawal", count=80, version_base=1_000),)),
        Sealed((Objects(count=80, version_base=2_000),), times=8, shifts="versions"),
    ),
    "withdrawals again and again": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=80),
        Sealed((Objects("withdrawal", count=80, version_step=1),), times=8, shifts="versions"),
    ),
    "values said too often, and once more": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=80),
        Sealed((Objects(id_base=1_000, values=1_000, value_step=0, shape="in"),), times=8),
    ),
    "values said too often, and touched": (
        Sealed((Objects(values=1_000, value_step=0, shape="in"),), times=80),
        Sealed((Objects("sighting", target_step=0),), times=8),
    ),
    "very many waiting sightings": (
        Sealed((Objects("sighting", count=250, target_step=0, names_value="none"),), times=80),
        _THOUSAND,
        Sealed((Objects(version_base=1_000),), times=8, shifts="versions"),
    ),
    "very many versions": (
        Sealed((Objects(count=250, id_step=0, version_step=1, value_step=0),), times=120, shifts="versions"),
        Sealed((Objects(version_base=29_999, is_distinct=True),), times=8, shifts="values", is_earlier=True),
    ),
    "large frames, compared": (
        Sealed((Objects("raw", filler="numbers", filler_bytes=800_000), Objects(count=5)), times=80),
        Sealed((Objects(count=200, is_distinct=True),), times=8, shifts="values", is_earlier=True),
    ),
    "versions that are moved": (
        Sealed((Objects(count=20_000),)),
        Sealed((Objects(count=20_000),), is_earlier=True),
    ),
    "old frames to be compared": (
        Sealed((Objects(count=60, filler="text", filler_bytes=200_000),), frame_objects=1),
        Sealed((Objects(count=60, is_distinct=True),)),
    ),
    "old frames of many objects to be compared": (
        Sealed((Objects(count=20_000, filler="numbers", filler_bytes=400),), frame_objects=1_024),
        Sealed((Objects(count=1_000, id_step=20, is_distinct=True),)),
    ),
    "versions of a thousand values": (
        _THOUSAND,
        Sealed((Objects(count=60, id_step=0, version_base=1, version_step=1, values=1_000, shape="in"),)),
    ),
    "forks": (Sealed((Objects(count=20_000, id_step=0, is_distinct=True),)),),
    "the same object again": (Sealed((Objects("note", count=20_000, id_step=0),)),),
    "patterns that give nothing": (Sealed((Objects(count=10, values=90_000, shape="or-other"),)),),
    "patterns that are opaque at their end": (Sealed((Objects(count=800, values=990, shape="opaque"),)),),
    "deep JSON": (Sealed((Objects("raw", count=4, filler="deep", filler_bytes=2_000_000),)),),
    "brackets beside NaN": (
        Sealed(
            (
                Objects("raw", filler="nan", filler_bytes=20),
                Objects("note", count=4, filler="brackets", filler_bytes=1_000_000),
            )
        ),
    ),
    "words of markings": (Sealed((Objects("note", count=200, filler="words", filler_bytes=40_000),)),),
    "disguised words": (Sealed((Objects("note", count=40, filler="disguised", filler_bytes=200_000),)),),
    "escapes": (Sealed((Objects("note", count=10, filler="escapes", filler_bytes=1_000_000),)),),
    "duplicate keys": (Sealed((Objects("note", count=10, filler="duplicates", filler_bytes=1_000_000),)),),
    "lists in lists": (Sealed((Objects("note", filler="brackets", filler_bytes=250_000),)),),
    "objects in objects": (Sealed((Objects("note", count=10, filler="objects", filler_bytes=1_000_000),)),),
    "many keys": (Sealed((Objects("note", count=10, filler="keys", filler_bytes=1_000_000),)),),
    "many frames": (Sealed((Objects("note", count=4_096),), frame_objects=1),),
    "references to markings": (Sealed((Objects(count=20, marking_refs=10_000),)),),
    "markings": (Sealed((Objects("marking", count=40_000),)),),
    "space": (Sealed((Objects("raw", count=3, filler="spaces", filler_bytes=4_000_000),), frame_objects=1),),
    "what stems from eight others": (Sealed((Objects(count=20_000, id_base=100_000, origins=8),)),),
    "public sources": (Sealed((Objects(count=20_000, public_source="counted"),)),),
    "wide objects that stem from one, which is withdrawn": (
        Sealed(
            (Objects(count=40, id_base=1, values=1_000, value_step=0, shape="in", origins=1, origin_step=0),)
        ),
        Sealed((Objects(),)),
        Sealed((Objects("withdrawal", version_base=1_000),)),
    ),
    "many that stem from one, which is withdrawn again and again": (
        Sealed((Objects(count=250, id_base=1, origins=1, origin_step=0),), times=80),
        Sealed((Objects("withdrawal", version_base=1_000),), times=8, shifts="versions"),
    ),
    "many that stem from one, which is said again and again": (
        Sealed((Objects(count=250, id_base=1, origins=1, origin_step=0),), times=80),
        Sealed((Objects(),), times=8, shifts="versions"),
    ),
    "a chain of which the first is withdrawn": (
        Sealed((Objects(count=20_000, id_base=1, origins=1),)),
        Sealed((Objects("withdrawal", version_base=1_000),), times=8, shifts="versions"),
    ),
    "webs of which one is withdrawn": (
        Sealed((Objects(count=250, id_base=8, origins=8),), times=80),
        Sealed((Objects("withdrawal", count=8, version_base=1_000),), times=8, shifts="versions"),
    ),
    "claims that begin one after another": (
        Sealed((Objects(count=60, values=1_000, value_step=0, shape="in", valid_step=61, is_ending=True),)),
    ),
    "withdrawals of ids as text": (Sealed((Objects("withdrawal", count=20_000, is_text_id=True),)),),
    "notes": (Sealed((Objects("note", count=40_000),)),),
    "one of everything": (Sealed((Objects(),)),),
}

# The worst of each measure that a search of half an hour found on 30 November 2026, on two shared cores under a load of 5 to 12, 252
# recipes in all (docs/performance.md). They are held by tests/sharing/test_sharing_worst_envelope.py.
WORST: dict[str, Recipe] = {
    "cpu": (
        Sealed(
            (
                Objects("raw", filler="nan", filler_bytes=1),
                Objects("note", count=4, filler="brackets", filler_bytes=62_500),
            )
        ),
    ),
    "disk": (
        Sealed((Objects("raw", filler="spaces", filler_bytes=250_000),), frame_objects=1),
        Sealed(
            (
                Objects(count=1_909, is_distinct=True, value_bytes=1_384),
                Objects(count=8_145, version_base=1_000, values=324, value_base=100, is_random=True),
                Objects(count=28_860, is_text_id=True, value_type="ipv4", filler="escapes"),
            ),
            frame_objects=250,
            level=3,
            shifts="",
            padding_bytes=1_000,
        ),
    ),
    "memory": KNOWN["many wide objects of many values that are withdrawn"],
    "later": (
        Sealed((Objects(count=3, values=1_000, value_step=0, shape="in", valid_step=61, is_ending=True),)),
    ),
}
# Were above fifty times, as searches found them; those of withdrawals once more where few values wait for the end of a transaction, and
# what touches the same ones again and again evaluates them each time.
ABOVE: dict[str, Recipe] = {
    "forks of many wide objects": KNOWN["forks of many wide objects"],
    "withdrawals again and again": KNOWN["withdrawals again and again"],
    "withdrawals again and again of what has a source": (  # 55 under a load of 10, 32 alone; now 21
        Sealed((Objects(values=1_000, value_step=0, shape="in", public_source="same"),), times=80),
        Sealed((Objects("withdrawal", count=80, version_step=1),), times=8, shifts="versions"),
    ),
    "forks of thousands of narrow objects": (
        Sealed((Objects(count=4000, value_bytes=240, value_type="below", is_ending=True),), is_earlier=True),
        Sealed((Objects(count=4000, value_bytes=240, value_type="below"),), is_earlier=True),
        Sealed((Objects(kind="note", count=20),)),
    ),
}
