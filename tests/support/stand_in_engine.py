"""In the place of an engine and its caged child: a rule hits each line in which these words stand. What surrounds a run is tested with it; engines and
the cage have tests of their own."""

from __future__ import annotations

from p2pshare.cli.lab_trials import Trial, TriedRule

WORDS = (b"certutil", b"urlcache")


def hit_the_words(trial: Trial) -> TriedRule:
    """A run in which each sample is hit once for each of its lines that has the words."""
    matches = [
        (one, sum(all(word in line for word in WORDS) for line in one.content.splitlines()))
        for one in trial.samples
    ]
    hit = {id(one) for one, hits in matches if hits}
    by_label = {
        label: [id(one) in hit for one in trial.samples if one.label == label]
        for label in ("positive", "negative")
    }
    positive, negative = by_label["positive"], by_label["negative"]
    return TriedRule(
        engine="stand-in 1",
        tp=sum(positive),
        fn=len(positive) - sum(positive),
        fp=sum(negative),
        tn=len(negative) - sum(negative),
        errors=0,
        events=sum(len(one.content.splitlines()) for one in trial.samples),
        hits=sum(hits for _, hits in matches),
        milliseconds=1,
        matches=[(one, hits) for one, hits in matches if hits],
    )
