"""A rule of a lab and the samples on which it is tried: what `lab test` hands to the caged child, and what it tells the lab afterwards.

The lab's own samples are those of which the content is here: in the lab, or kept in this home. A sample that nobody told the lab of is tried with
`only_own` alone, so that all who hold the same contents have the same set, and the same figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from p2pshare.errors import NotFoundError, OperatorError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.own_samples import content_of, own_samples
from p2pshare.operations.labs import EVENT_KINDS, FoundText, LabTold
from p2pshare.spaces.lab import HeldRule, HeldRuleVersion
from p2pshare.spaces.lab_entries import ENGINE_BYTES_MAX, LabRun, sample_set_hash

if TYPE_CHECKING:
    from p2pshare.engines.trial_words import TrialAnswer

KINDS_TRIED = {
    "sigma": EVENT_KINDS,
    "yara": (*EVENT_KINDS, "file", "pcap"),
}
"""Language of a rule that is run here -> kinds of sample that it can say anything of."""


class TrialSample(NamedTuple):
    """A sample with its content."""

    digest: bytes
    kind: str
    label: str
    content: bytes


class Trial(NamedTuple):
    """A text of a rule, and the samples on which it is tried, by label and SHA-256. `not_here`: samples that the lab names, and whose content is not
    here."""

    rule: HeldRule
    version: HeldRuleVersion
    text: bytes
    samples: list[TrialSample]
    not_here: int

    @property
    def sample_set(self) -> bytes:
        return sample_set_hash((one.label, one.digest) for one in self.samples)


def trials_of(told: LabTold, home: Path, found: Iterable[FoundText], *, only_own: bool) -> list[Trial]:
    """Returns the trials of some rules. Raises NotFoundError for a remedy, a language that no engine here runs, a text that is not here."""
    return [_trial(told, home, one, only_own=only_own) for one in found]


def _trial(told: LabTold, home: Path, found: FoundText, *, only_own: bool) -> Trial:
    rule, version = found.rule, found.version
    if rule is None or version is None:
        raise NotFoundError("that is a remedy, and no rule", hint="see `p2pshare lab status`")
    language = version.said.language
    if language not in KINDS_TRIED:
        raise NotFoundError(
            f"no engine runs {language} here",
            hint=f"there are engines for {' and '.join(KINDS_TRIED)}; reviews and figures of the field need none",
            reason="no-engine",
        )
    lab, own = told.row.space, told.node.card.partner_id
    named = _named(told, rule, own if only_own else None, KINDS_TRIED[language])
    if only_own:
        for one in own_samples(home, lab):
            is_meant = not one.rules or rule.rule.text in one.rules
            if not one.is_told and is_meant and one.kind in KINDS_TRIED[language]:
                named.setdefault((one.label, one.digest), one.kind)
    held = told.wholes({digest for _, digest in named})
    samples = []
    for (label, digest), kind in sorted(named.items()):
        content = held.get(digest)
        if content is None:
            content = content_of(home, lab, digest)
        if content is not None:
            samples.append(TrialSample(digest, kind, label, content))
    return Trial(rule, version, told.text(version.said.digest), samples, len(named) - len(samples))


def _named(
    told: LabTold, rule: HeldRule, of: PartnerId | None, kinds: tuple[str, ...]
) -> dict[tuple[str, bytes], str]:
    """Returns the samples that a lab names for a rule, (label, SHA-256) -> kind."""
    return {
        (one.said.label, one.said.digest): one.said.kind
        for one in told.fold.sample_set(rule.rule, of)
        if one.said.kind in kinds
    }


class TriedRule(NamedTuple):
    """What an engine made of a trial. tp to tn count samples; `matches`: those in which the rule hit, and how often."""

    engine: str
    tp: int
    fn: int
    fp: int
    tn: int
    errors: int
    events: int
    hits: int
    milliseconds: int
    matches: list[tuple[TrialSample, int]]


def run_told(trial: Trial, outcome: TriedRule) -> LabRun:
    """Returns what the lab is told of a run: counts alone."""
    return LabRun(
        trial.version.said.digest,
        trial.sample_set,
        outcome.engine,
        outcome.tp,
        outcome.fn,
        outcome.fp,
        outcome.tn,
        outcome.milliseconds,
        outcome.errors,
        outcome.events,
        outcome.hits,
    )


def run_together(trials: Sequence[Trial]) -> dict[int, TriedRule]:
    """Returns what came of trials that have the same samples, by their place: one child reads those once for all. What is missing is to be
    run by itself: it has samples of its own, or it is refused, or it ended the child for the others."""
    from p2pshare.engines.launch import run_rules
    from p2pshare.engines.trial_words import RULES_MAX, EngineSample

    alike: defaultdict[tuple[str, bytes], list[int]] = defaultdict(list)
    for place, trial in enumerate(trials):
        if trial.samples:
            alike[trial.version.said.language, trial.sample_set].append(place)
    tried: dict[int, TriedRule] = {}
    for (language, _), places in alike.items():
        first = trials[places[0]]
        given: list[Any] = [EngineSample(one.label, one.kind, one.content) for one in first.samples]  # type: ignore[arg-type]
        for start in range(0, len(places) if len(places) > 1 else 0, RULES_MAX):
            together = places[start : start + RULES_MAX]
            with suppress(RefusedError, OperatorError):
                answers = run_rules(language, [trials[one].text for one in together], given)  # type: ignore[arg-type]
                tried |= {
                    place: _tried(trials[place], answer)
                    for place, answer in zip(together, answers, strict=True)
                    if not answer.reason
                }
    return tried


def run_trial(trial: Trial) -> TriedRule:
    """Run the rule on the samples, in a caged child process. Raises RefusedError for a rule that is refused or ended, OperatorError where there is
    no engine or no cage, each with a reason of `p2pshare.engines.launch`."""
    from p2pshare.engines.launch import run_rule
    from p2pshare.engines.trial_words import EngineSample

    given: list[Any] = [EngineSample(one.label, one.kind, one.content) for one in trial.samples]  # type: ignore[arg-type]
    return _tried(trial, run_rule(trial.version.said.language, trial.text, given))  # type: ignore[arg-type]


def _tried(trial: Trial, answer: TrialAnswer) -> TriedRule:
    engine = f"{answer.engine}; {', '.join(answer.walls)}".encode("utf-8", "replace")
    return TriedRule(
        engine=engine[:ENGINE_BYTES_MAX].decode("utf-8", "ignore"),
        tp=answer.tp,
        fn=answer.fn,
        fp=answer.fp,
        tn=answer.tn,
        errors=answer.errors,
        events=answer.events,
        hits=answer.hits,
        milliseconds=answer.milliseconds,
        matches=[(one, hits) for one, hits in zip(trial.samples, answer.hits_of, strict=True) if hits > 0],
    )
