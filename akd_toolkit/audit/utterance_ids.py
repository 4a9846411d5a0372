"""The utterance ID of each row of a table, and whether two names mean the same recording."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations, product

from akd_toolkit.audit.records import Placed
from akd_toolkit.audit.split_tables import COLUMNS, SUFFIX
from akd_toolkit.data.importers.tables import plain_name
from akd_toolkit.data.verdicts import Split

PLAIN = re.compile(r"[^\W\d]{0,9}[\s_-]*\d{1,5}")  # 001, audio_12: many folders have a file of this name
MIN_COUNTED, DENSE = 3, 0.8  # names that count up: at least so many, and so dense
Named = list[tuple[Placed, str]]


@lru_cache(2**20)
def path_of(name: str) -> tuple[str, ...]:
    r"""The parts of a path, normalised: ``("emodb", "03a01fa")`` of ``C:\EmoDB\.\03a01Fa.WAV``."""
    parts = posixpath.normpath(SUFFIX.sub("", name).replace("\\", "/")).casefold().split("/")
    return tuple(part for part in parts if part not in ("", "..", ".") and not part.endswith(":"))


def _one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Name -> one spelling for all names of its file.

    A path that is the end of another, such as ``b.wav`` of ``corpus/a/b.wav``, is the same file, unless it is the end
    of several or a plain number, which many folders have.
    """
    names = list(dict.fromkeys(names))
    first: dict[tuple, str] = {}
    for name in names:
        first.setdefault(path_of(name), posixpath.normpath(name.replace("\\", "/")))
    whole = defaultdict(set)  # the end of a path -> spellings of the longer paths
    for path in sorted(first, key=len, reverse=True):
        if len(whole[path]) == 1 and not PLAIN.fullmatch(path[-1]):
            (first[path],) = whole[path]
        for skipped in range(1, len(path)):
            whole[path[skipped:]].add(first[path])
    return {name: first[path_of(name)] for name in names}


def _counts_from_start(names: Iterable[str]) -> str:
    """The shape, ``dia#_utt#``, of names that count up from 0 or 1, as every file of a corpus may; "" for others."""
    names = set(names)
    shapes = {re.sub(r"\d+", "#", name) for name in names}
    if len(names) < MIN_COUNTED or len(shapes) > 1 or "#" not in (shape := shapes.pop()):
        return ""
    numbers = sorted(tuple(map(int, re.findall(r"\d{1,18}", name))) for name in names)
    lasts = {number[:-1]: number[-1] for number in numbers}  # the highest of each beginning
    slots = sum(last - numbers[0][-1] + 1 for last in lasts.values())
    return shape if max(numbers[0]) <= 1 and len(names) >= DENSE * slots else ""


def name_rows(placed: Sequence[Placed], given: Sequence[str]) -> tuple[list[Placed], dict[str, str]]:
    """(rows with IDs, check -> why their names do not prove it).

    ``given`` are columns that together are the ID. Without them the first usual column is used that holds neither plain
    numbers nor values that restart within a partition or in the next, then the path, and last the number of the row.
    ValueError if a row lacks a given column, or its values repeat within a partition.
    """
    spelling = _one_spelling(item.row.wav for item in placed if item.row.wav)
    placed = [item.of(wav=spelling.get(item.row.wav, "")) for item in placed]
    across = _restart_across([(item, item.row.wav) for item in placed if item.row.wav])
    rejected = {"path": across} if across else {}
    names = _from_given_columns(placed, given) if given else _from_usual_columns(placed, rejected)
    unproved = {"segments": f"column 'path': {across}"} if across else {}
    if all(names):
        names = [SUFFIX.sub("", name) for name in names]
        spelling = _one_spelling(names)
        names = [spelling[name] for name in names]
    else:
        names = [item.where for item in placed]
        why = "; ".join(f"column '{column}': {why}" for column, why in rejected.items())
        unproved = dict.fromkeys(("utterances", "segments"), why or "no column names the recordings")
    return [item.of(id=name, wav="" if across else item.row.wav) for item, name in zip(placed, names)], unproved


def _from_given_columns(placed: Sequence[Placed], given: Sequence[str]) -> list[str]:
    for item in placed:
        if absent := [column for column in given if not item.record.get(plain_name(column))]:
            raise ValueError(f"--id: {item.where} has no '{absent[0]}'; it has {', '.join(item.record)}.")
    names = ["_".join(item.record[plain_name(column)] for column in given) for item in placed]
    if within := _restart_within(list(zip(placed, names))):
        raise ValueError(f"--id {','.join(given)}: {within}; name the columns that together are an ID.")
    return names


def _from_usual_columns(placed: Sequence[Placed], rejected: dict[str, str]) -> list[str]:
    """Each row's ID; a column that cannot be one is added to ``rejected``, and the next is tried."""
    while True:
        columns = [column for column in (*COLUMNS["id"], "path") if column not in rejected]
        chosen = [next((name for name in columns if _id_cell(item, name)), "") for item in placed]
        wrong = {}
        for column in set(chosen) - {""}:
            named = [(item, _id_cell(item, column)) for item, own in zip(placed, chosen) if own == column]
            if why := _plain_numbers(named) or _restart_within(named) or _restart_across(named):
                wrong[column] = why
        if not wrong:
            return [_id_cell(item, column) for item, column in zip(placed, chosen)]
        rejected |= wrong


def _id_cell(item: Placed, column: str) -> str:
    if column != "path":
        cell = item.record.get(column, "")
        return "" if column == "utterance" and " " in cell else cell  # a sentence is not a name
    piece = "-".join(item.cell(kind) for kind in ("start", "stop")).strip("-")
    return f"{item.row.wav} {piece}" if item.row.wav and piece else item.row.wav


def _groups(named: Named) -> dict[tuple[str, str, str], dict[str, list[Placed]]]:
    groups: dict = defaultdict(lambda: defaultdict(list))
    for item, name in named:
        groups[item.scope, item.fold, item.partition][name].append(item)
    return groups


def _restart_within(named: Named) -> str:
    """Rows of one partition that have one name, and are not the same row nor of one file."""
    for (_, fold, partition), names in _groups(named).items():
        for name, same in names.items():
            keys = {item.row.wav for item in same}
            keys = {tuple(sorted(item.record.items())) for item in same} if "" in keys else keys
            if len(keys) > 1:
                return f"{name} occurs {len(same)} times in {partition or fold} ({same[0].where}, {same[1].where})"
    return ""


def _restart_across(named: Named) -> str:
    """Two partitions whose names count up from the start, each by itself."""
    groups = _groups(named)
    shapes = {place: shape for place, names in groups.items() if (shape := _counts_from_start(names))}
    for one, other in combinations(shapes, 2):
        comparable = one[0] == other[0] and (one[1] == other[1] or not (one[1] and one[2] and other[1] and other[2]))
        if comparable and shapes[one] == shapes[other] and set(groups[one]) & set(groups[other]):
            return f"it counts {shapes[one]} from the start in {one[2] or one[1]} and again in {other[2] or other[1]}"
    return ""


def _plain_numbers(named: Named) -> str:
    """Numbers that occur once each may be those of the rows; those of two speakers are each speaker's own."""
    owners = {(name, item.cell("speaker")) for item, name in named}
    names = {name for name, _ in owners}
    wrong = all(map(str.isdecimal, names)) and (len(names) == len(named) or len(owners) > len(names))
    return f"it holds plain numbers ({named[0][1]})" if wrong else ""


def doubtful(splits: Sequence[Split]) -> list[tuple[str, str]]:
    """Pairs (training, test) of names that may mean the same recording; only comparing the sound can decide."""
    found = []
    for split in splits:
        train, test = defaultdict(set), defaultdict(set)  # last part of a path -> whole paths
        for side, rows in ((train, split.train), (test, split.test)):
            for row in rows:
                if not row.sha256:
                    side["".join(path_of(row.wav or row.id)[-1:])].add(row.wav or row.id)
        # Where a name occurs in several folders, or all names count up, the folders are a part of it.
        apart = any(len(names) > 1 for side in (train, test) for names in side.values())
        apart = apart or all(map(_counts_from_start, (train, test)))
        for name in train.keys() & test.keys():
            for one, other in product(train[name], test[name]):
                paths = sorted((path_of(one), path_of(other)), key=len)
                within = paths[1][-len(paths[0]) :] == paths[0]
                if paths[0] != paths[1] and (within or not (apart or PLAIN.fullmatch(name))):
                    found.append((one, other))
    return sorted(found)
