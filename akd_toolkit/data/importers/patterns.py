"""Utterances from names: a pattern such as ``{speaker}_{emotion}_{text}`` for the files of a folder, at any depth."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from akd_toolkit.data.names import are_partitions, some
from akd_toolkit.data.sounds import find_sounds, without_copies

TOKEN = re.compile(r"\{(?P<field>\w+)(:(?P<width>\d+))?\}|(?P<star>\*)|(?P<literal>[^{}*]+)|(?P<wrong>.)")
# Names of folders that are classes; a corpus with others needs a pattern.
EMOTION_WORDS = """
    anger angry ang annoyed anxiety anxious amused amusement bored boredom calm contempt contemptuous disgust disgusted
    dis excited excitement exc fear fearful fea frustrated frustration fru happiness happy hap joy joyful neutral neu
    sad sadness surprise surprised sur sleepy sleepiness
    wut ärger freude trauer traurig angst ekel langeweile überraschung
    colère joie tristesse peur dégoût neutre rabbia gioia tristezza paura disgusto sorpresa neutrale neutralità
    ira enfado alegría alegria tristeza miedo asco raiva medo nojo
"""


def compile_pattern(pattern: str) -> re.Pattern:
    """A pattern as a regular expression for the whole name.

    ``{speaker}`` ends before the character that follows it in the pattern, the last field takes the rest,
    ``{speaker:2}`` is two characters wide, ``*`` is anything; none of them contains a ``/``. A repeated field must have
    the same value. A pattern with ``(?P<`` is already a regular expression with named groups.

    Example
    -------
    >>> compile_pattern("{speaker:2}{text:3}{emotion:1}*").fullmatch("03a01Fa")["emotion"]
    'F'
    """
    expression = pattern if "(?P<" in pattern else _expression(pattern)
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(f"the pattern {pattern} is not a valid regular expression ({error}); correct it.") from None
    if "emotion" not in compiled.groupindex:
        raise ValueError(f"the pattern {pattern} has no emotion; write {{emotion}} where it stands.")
    return compiled


def _expression(pattern: str) -> str:
    tokens, parts, seen = list(TOKEN.finditer(pattern)), [], set()
    for index, token in enumerate(tokens):
        name, width = token["field"], token["width"]
        if token["wrong"]:
            raise ValueError(
                f"the pattern {pattern} has a stray '{token['wrong']}' at position {token.start() + 1}; a field is "
                "{name} or, three characters wide, {name:3}."
            )
        if token["literal"] or token["star"]:
            parts.append(re.escape(token["literal"]) if token["literal"] else "[^/]*?")
        elif name in seen:
            parts.append(f"(?P={name})")
        elif width:
            parts.append(f"(?P<{name}>[^/]{{{width}}})")
        else:
            end = next((other for other in tokens[index + 1 :] if not other["width"]), None)
            if end is not None and end["field"]:
                raise ValueError(
                    f"in the pattern {pattern} nothing separates {{{name}}} from {{{end['field']}}}; give the "
                    f"number of characters, {{{name}:2}}."
                )
            before = end["literal"] if end else None
            parts.append(f"(?P<{name}>[^/{re.escape(before[0])}]+?)" if before else f"(?P<{name}>[^/]+)")
        seen.add(name)
    return "".join(parts)


def list_recordings(folder: Path) -> list[Path]:
    """Every sound file below ``folder``, relative and sorted; without a second copy of the corpus inside it."""
    found = [path.relative_to(folder) for path in without_copies(find_sounds(folder))]
    twice = [str(name) for name, count in Counter(name.with_suffix("") for name in found).items() if count > 1]
    if twice:
        raise ValueError(f"{folder} holds {some(twice)} in two formats; keep one of each.")
    return found


def match_names(names: Sequence[Path], pattern: str, folder: Path) -> list[dict[str, str]]:
    """The fields of every name; a pattern without a slash is matched with the file's name alone."""
    compiled = compile_pattern(normalize("NFC", pattern))
    texts = [name.with_suffix("").as_posix() if "/" in pattern else name.stem for name in names]
    found = [compiled.fullmatch(normalize("NFC", text)) for text in texts]
    others = [str(name) for name, match in zip(names, found) if match is None]
    if others:
        raise ValueError(
            f"{len(others)} of {len(names)} files of {folder} do not match the pattern {pattern}: {some(others)}. "
            "Rename or move them, or write a pattern for all: without suffixes, and with folders only if it has a '/'."
        )
    return [{field: text or "" for field, text in match.groupdict().items()} for match in found]


def guess_folders(names: Sequence[Path]) -> str:
    """The pattern of a tree with a folder for each class: class/, speaker/class/ or class/speaker/.

    The class is the level whose folders have the names of emotions. Parts of a split (train, test, fold1) are neither
    classes nor speakers, nor is a single folder around all of them.
    """
    depths = {len(name.parts) - 1: name for name in reversed(names)}
    if len(depths) > 1:
        raise ValueError(
            f"files are at different depths ({' and '.join(str(name) for name in list(depths.values())[:2])}); "
            "folders of classes need all of them at one. Move them, or give --pattern."
        )
    levels = [sorted({name.parts[level] for name in names}) for level in range(next(iter(depths)))]
    kinds = [level for level, folders in enumerate(levels) if not are_partitions(folders)]
    if len(kinds) > 2:
        kinds = [level for level in kinds if len(levels[level]) > 1]
    words = {*EMOTION_WORDS.split()}
    named = {level: [normalize("NFC", name).lower() in words for name in levels[level]] for level in kinds}
    classes = [level for level, known in named.items() if 2 * sum(known) >= len(known)]
    if len(classes) != 1 or len(kinds) > 2:
        examples = " or ".join(", ".join(levels[level][:3]) for level in kinds) or "none"
        raise ValueError(
            f"cannot tell which folders of {names[0]} are classes, with or without one of speakers ({examples}); give "
            "a --pattern such as '{speaker}/{emotion}/*', or '{speaker}/*_{emotion}' if names of files hold the "
            "emotion, or a table."
        )
    fields = {**dict.fromkeys(kinds, "{speaker}"), classes[0]: "{emotion}"}
    return "/".join([*(fields.get(level, "*") for level in range(len(levels))), "*"])
