"""What an audit finds: one sentence each, and the verdict that follows from them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import counted

VERDICTS = {"leak": "LEAK", "warning": "WARNING", "not_proved": "COULD NOT PROVE", "proved": "PROVED"}
MAX_SHOWN = 5  # findings of one kind in a text; the rest is counted


@dataclass(frozen=True)
class Finding:
    """One sentence of the check ``check``, with names and counts, and for a leak with what to do.

    ``verdict`` is ``leak`` (scores of this split are too optimistic), ``warning`` (true, and for the
    reader to judge), ``not_proved`` (the data do not allow the check) or ``proved``.
    """

    verdict: str
    check: str
    sentence: str


@dataclass(frozen=True)
class Split:
    """Two sides of a partition; of the utterances perhaps only the ID is known."""

    name: str  # such as fold 1
    train: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    sides: tuple[str, str] = ("training", "test")
    strict: bool = True  # something on both sides is a leak; inside the training it is only a warning

    @cached_property
    def ids(self) -> tuple[set[str], set[str]]:
        """IDs of training and of test."""
        return {row.id for row in self.train}, {row.id for row in self.test}

    def divides(self, one: Utterance, other: Utterance) -> bool:
        """Whether the first is in training and the second in test."""
        return one.id in self.ids[0] and other.id in self.ids[1]

    def wrong(self, check: str, sentence: str, leak: bool = True) -> Finding:
        """A leak, or a warning if the split is not strict or ``leak`` is False."""
        verdict = "leak" if self.strict and leak else "warning"
        return Finding(verdict, check, f"{self.name}: {sentence}" if self.name else sentence)

    def pair(self, one: Utterance, other: Utterance) -> str:
        """An utterance of training and one of test, for a sentence."""
        return f"{one.id} ({self.sides[0]}) and {other.id} ({self.sides[1]})"


def by_verdict(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Verdict -> findings, leaks first; of each check ``MAX_SHOWN`` leaks and warnings at most, the rest counted."""
    kept: dict[str, list[Finding]] = {verdict: [] for verdict in VERDICTS}
    seen = Counter()
    for finding in findings:
        key = finding.verdict, finding.check
        seen[key] += 1
        if seen[key] <= MAX_SHOWN or finding.verdict in ("proved", "not_proved"):
            kept[finding.verdict].append(finding)
    for (verdict, check), count in seen.items():
        if count > MAX_SHOWN and verdict in ("leak", "warning"):
            more = f"... and {counted(count - MAX_SHOWN, 'more finding')} of this kind."
            kept[verdict].append(Finding(verdict, check, more))
    return kept


def has_leak(findings: Iterable[Finding]) -> bool:
    """Whether any finding is a leak."""
    return any(finding.verdict == "leak" for finding in findings)


def unproved(findings: Iterable[Finding]) -> list[str]:
    """Which of ``speakers`` and ``utterances`` could not be proved to be on one side."""
    checks = [finding.check for finding in findings if finding.verdict == "not_proved"]
    return [check for check in ("speakers", "utterances") if check in checks]


def as_text(title: str, findings: Sequence[Finding]) -> str:
    """The findings for a terminal, leaks first, the verdict last.

    Example
    -------
    >>> print(as_text("toy", [Finding("proved", "speakers", "no speaker is shared.")]))
    toy
      PROVED           speakers     no speaker is shared.
    verdict: no leak found (1 proved, 0 warnings, 0 could not be proved).
    """
    lines = [title]
    for verdict, found in by_verdict(findings).items():
        lines += [f"  {VERDICTS[verdict]:<16} {one.check:<12} {one.sentence}" for one in found]
    counts = Counter(finding.verdict for finding in findings)
    leaks = counted(counts["leak"], "leak") if counts["leak"] else "no leak"
    open_checks = f"; {' and '.join(unproved(findings))} could not be proved" if unproved(findings) else ""
    details = f"{counts['proved']} proved, {counted(counts['warning'], 'warning')}, {counts['not_proved']} could not be"
    return "\n".join([*lines, f"verdict: {leaks} found{open_checks} ({details} proved)."])


def as_dict(title: str, findings: Sequence[Finding]) -> dict:
    """The same for a program, with every finding."""
    return {"title": title, "leak": has_leak(findings), "findings": [asdict(finding) for finding in findings]}
