"""Sigma rules as queries of Splunk and Elasticsearch, through pySigma's backends where they are installed. Above each query stand the author and the
licence of its rule.

pySigma is no part of the core, and its backends are not even of the extra `detect`: whoever runs Splunk installs `pysigma-backend-splunk`,
whoever runs Elasticsearch `pysigma-backend-elasticsearch`. Both need pySigma below 2, and so an environment without `detect`. A rule that a backend cannot convert is refused, and the others are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from p2pshare.errors import OperatorError
from p2pshare.intel.refusals import Refusals
from p2pshare.intel.rule_record import RuleRecord, one_line


def splunk(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns a search a rule, in SPL; comments as SPL has them. Raises OperatorError `extra-missing`."""
    from pkgutil import resolve_name

    make = _backend(resolve_name, "sigma.backends.splunk:SplunkBackend", "pysigma-backend-splunk")
    return _converted(rules, refusals, make, lambda line: f"``` {line.replace('`', chr(39))} ```")


def elastic(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns a Lucene query a rule; Lucene has no comments, so their lines begin with `#`. Raises OperatorError `extra-missing`."""
    from pkgutil import resolve_name

    make = _backend(
        resolve_name, "sigma.backends.elasticsearch:LuceneBackend", "pysigma-backend-elasticsearch"
    )
    return _converted(rules, refusals, make, lambda line: f"# {line}")


def _backend(resolve: Callable[[str], Any], path: str, package: str) -> Callable[[], Any]:
    try:
        found: Callable[[], Any] = resolve(path)
    except (ImportError, AttributeError):
        raise OperatorError(
            f"{package} is not installed",
            hint=f"pip install {package}, in another environment than the extra detect: it needs pySigma below 2, which runs no rules here",
            reason="extra-missing",
        ) from None
    return found


def _converted(
    rules: Sequence[RuleRecord], refusals: Refusals, make: Callable[[], Any], comment: Callable[[str], str]
) -> bytes:
    from sigma.collection import SigmaCollection

    backend = make()
    written = []
    for rule in rules:
        try:
            queries = backend.convert(SigmaCollection.from_yaml(rule.text.decode()))
        except RecursionError:
            refusals.add("too-deep", rule.title)
            continue
        except Exception as error:  # noqa: BLE001 a library's own errors have no common root, and one rule ends no other
            refusals.add("not-converted", f"{rule.title}: {one_line(str(error))[:200]}")
            continue
        head = "".join(f"{comment(line)}\n" for line in rule.credits())
        written.append(head + "".join(f"{one_line(str(query))}\n" for query in queries))
    return "\n".join(written).encode()
