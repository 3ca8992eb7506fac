"""Scripts of exercises for tests: one in which everybody does all that a pack expects, a minute after each inject."""

from __future__ import annotations

from typing import Any

from p2pshare.intel.exercise_pack import ExercisePack, PackExpectation, PackInject


def perfect_script(pack: ExercisePack, after: int = 60) -> dict[str, Any]:
    """Returns the script in which each place does each thing `after` seconds behind its inject, and an observer finds all of it good."""
    actions, ratings = [], []
    for inject in pack.injects:
        for one in inject.expect:
            for place in one.by:
                if one.action == "rated":
                    ratings.append({"by": "Eva", "about": place, "expectation": one.id, "rating": "P"})
                else:
                    actions.append({"at": inject.at_seconds + after, "by": place, **_act(inject, one)})
    return {"actions": actions, "ratings": ratings}


def _act(inject: PackInject, one: PackExpectation) -> dict[str, Any]:
    match = {name: list(value) if isinstance(value, tuple) else value for name, value in one.match.items()}
    match one.action:
        case "acknowledge":
            return {"action": one.action, "inject": inject.number}
        case "answer":
            if "choice" in match:
                return {"action": one.action, "inject": inject.number, "choice": match["choice"]}
            text = " ".join([*match.get("words", []), str(match.get("number", ""))]).strip() or "yes"
            return {"action": one.action, "inject": inject.number, "text": text}
        case "publish":
            fields = {"values": match["values"], "to": match.get("to"), "tlp": match.get("tlp_max")}
            return {"action": one.action} | {
                name: value for name, value in fields.items() if value is not None
            }
        case "note" | "ask":
            return {"action": one.action, "text": " ".join(match.get("words", ["?"]))} | (
                {"to": match["to"]} if "to" in match else {}
            )
    return {
        "action": one.action,
        **{"count" if name == "count_min" else name: value for name, value in match.items()},
    }
