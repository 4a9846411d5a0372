"""Split files, written for tests, and what the audit finds in them."""

import json

from akd_toolkit.audit.split_files import audit_split_files

TRAIN = ["a1x.wav,Anna", "b2x.wav,Ben"]


def table(*rows, header="file,speaker"):
    return "\n".join((header, *rows)) + "\n"


def sides(train, test, header="file,speaker"):
    return {"train.csv": table(*train, header=header), "test.csv": table(*test, header=header)}


def whole(*rows, header="id,split,speaker"):
    return {"all.csv": table(*rows, header=header)}


def audited(folder, files, **options):
    """{(verdict, check): sentences} of files with this content."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    found = {}
    for finding in audit_split_files([folder], **options)[1]:
        found.setdefault((finding.verdict, finding.check), []).append(finding.sentence)
    return found


def verdict_of(found, check):
    """The most serious verdict of a check."""
    return next(verdict for verdict in ("leak", "not_proved", "warning", "proved") if (verdict, check) in found)
