"""Utterances from names: a pattern such as ``{speaker}_{emotion}_{text}`` over the files of a folder, at any depth."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from akd_toolkit.data.names import are_partitions
from akd_toolkit.data.preparing import shortened
from akd_toolkit.data.sounds import find_sounds, without_copies

KEPT = ("speaker", "emotion", "sex", "text")  # fields that become columns of the manifest; others are only skipped
TOKEN = re.compile(r"\{(?P<field>\w+)(:(?P<width>\d+))?\}|(?P<star>\*)|(?P<literal>[^{}*]+)|(?P<wrong>.)")
# Names of folders that are classes; a corpus with others says which level it is.
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

    ``{speaker}`` ends where the text after it first occurs, the last field takes the rest, ``{speaker:2}`` is two
    characters wide, also after an open field, ``*`` is anything; none of them reaches over a ``/``. A field that comes
    twice must be the same both times. What holds ``(?P<`` is a regular expression with named groups already.

    Raises
    ------
    ValueError
        If it cannot be read, two open fields touch, or no field is the emotion.

    Example
    -------
    >>> compile_pattern("{speaker}_{emotion}_*").fullmatch("anna_joy_01").groupdict()
    {'speaker': 'anna', 'emotion': 'joy'}
    >>> compile_pattern("{speaker:2}{text:3}{emotion:1}*").fullmatch("03a01Fa")["emotion"]
    'F'
    >>> compile_pattern("{speaker}_{emotion}{take:2}").fullmatch("DC_sa01")["emotion"]
    'sa'
    """
    if "(?P<" in pattern:
        written = pattern
    else:
        tokens = list(TOKEN.finditer(pattern))
        written, seen = "", set()
        for place, token in enumerate(tokens):
            written += _expression(token, tokens[place + 1 :], pattern, seen)
    try:
        compiled = re.compile(written)
    except re.error as error:
        raise ValueError(f"the pattern {pattern} is no regular expression ({error}); correct it.") from None
    if "emotion" not in compiled.groupindex:
        raise ValueError(f"the pattern {pattern} does not say where the emotion stands; write {{emotion}} there.")
    return compiled


def _expression(token: re.Match, rest: list[re.Match], pattern: str, seen: set) -> str:
    if token["wrong"]:
        raise ValueError(
            f"the pattern {pattern} has a stray '{token['wrong']}' at place {token.start() + 1}; a field is "
            "{name} or, three characters wide, {name:3}."
        )
    if token["literal"] or token["star"]:
        return re.escape(token["literal"]) if token["literal"] else "[^/]*?"
    name, width = token["field"], token["width"]
    if not name.isidentifier():
        raise ValueError(f"the pattern {pattern} has a field '{name}'; a name begins with a letter.")
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    if width:
        return f"(?P<{name}>[^/]{{{width}}})"
    fixed = list(itertools.takewhile(lambda other: other["width"], rest))  # an open field ends before those
    end = rest[len(fixed)] if len(fixed) < len(rest) else None
    if end is not None and end["field"]:
        raise ValueError(
            f"in the pattern {pattern} nothing parts {{{name}}} from {{{end['field']}}}; say how many characters "
            f"it has, {{{name}:2}}."
        )
    until = re.escape(end["literal"][0]) if end is not None and end["literal"] else ""
    ahead = f"(?=[^/{until}]{{{sum(int(other['width']) for other in fixed)}}}{until})" if fixed and until else ""
    return f"(?P<{name}>[^/{until}]+){ahead}"


def list_recordings(folder: Path) -> list[Path]:
    """Every sound file below ``folder``, from there and sorted, but for a second copy of the corpus inside it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there is no such file, or one recording lies there in two formats.
    """
    found = [path.relative_to(folder) for path in without_copies(find_sounds(folder))]
    twice = [str(name) for name, count in Counter(name.with_suffix("") for name in found).items() if count > 1]
    if twice:
        raise ValueError(f"{folder} holds {', '.join(shortened(twice))} in two formats; keep one of each.")
    return found


def match_names(names: Sequence[Path], pattern: str, where: Path) -> list[dict[str, str]]:
    """The fields of every name; a pattern without a slash is that of the file's name alone.

    Letters with accents are the same however they are composed (NFC and NFD).

    Raises
    ------
    ValueError
        If a name does not match; all of them are named at once.
    """
    compiled = compile_pattern(normalize("NFC", pattern))
    whole = "/" in pattern
    texts = [name.with_suffix("").as_posix() if whole else name.stem for name in names]
    found = [compiled.fullmatch(normalize("NFC", text)) for text in texts]
    strangers = [str(name) for name, match in zip(names, found) if match is None]
    if len(strangers) == len(names):
        raise ValueError(
            f"no file of {where} matches the pattern {pattern}; the first are {', '.join(strangers[:3])}. Suffixes "
            "are left out, and folders stand in a pattern only where it has a '/'."
        )
    if strangers:
        raise ValueError(
            f"{len(strangers)} of {len(names)} files of {where} do not match the pattern {pattern}: "
            f"{', '.join(shortened(strangers))}. Rename them, move them away, or write a pattern for all."
        )
    return [{field: text or "" for field, text in match.groupdict().items()} for match in found]


def guess_folders(names: Sequence[Path]) -> str:
    """The pattern of a tree with a folder for each class: class/, speaker/class/ or class/speaker/.

    The class is the level whose folders have the names of emotions. Parts of a split (train, test, fold1) are neither
    classes nor speakers, nor is a single folder around all of them.

    Raises
    ------
    ValueError
        If files lie at different depths, or no level or two can be the class.

    Example
    -------
    >>> guess_folders([Path("01/sad/a.wav"), Path("02/happy/a.wav")])
    '{speaker}/{emotion}/*'
    >>> guess_folders([Path("train/happy/a.wav"), Path("test/sad/b.wav")])
    '*/{emotion}/*'
    """
    depths = {len(name.parts) - 1: name for name in reversed(names)}
    if len(depths) > 1:
        raise ValueError(
            f"files lie at different depths ({' and '.join(str(name) for name in list(depths.values())[:2])}); "
            "folders of classes need all of them at one. Move them, or give --pattern."
        )
    levels = [sorted({name.parts[level] for name in names}) for level in range(next(iter(depths)))]
    kinds = [place for place, level in enumerate(levels) if not are_partitions(level)]
    if len(kinds) > 2:
        kinds = [place for place in kinds if len(levels[place]) > 1]
    if not 1 <= len(kinds) <= 2:
        raise ValueError(
            f"{names[0]} lies {len(levels)} folders deep, and {len(kinds)} of them may be class or speaker, where one "
            "or two are needed; give --pattern, such as '{speaker}/*/{emotion}/*', or a table."
        )
    words = EMOTION_WORDS.split()
    known = {
        place: sum(normalize("NFC", name).lower() in words for name in levels[place]) / len(levels[place])
        for place in kinds
    }
    emotion = max(kinds, key=known.get)
    if known[emotion] < 0.5 or list(known.values()).count(known[emotion]) > 1:
        examples = " or ".join(", ".join(levels[place][:3]) for place in kinds)
        raise ValueError(
            f"are the folders {examples} classes ({names[0]})? Say so with a --pattern such as "
            "'{speaker}/{emotion}/*', or where names of files hold the emotion, '{speaker}/*_{emotion}'."
        )
    fields = {**dict.fromkeys(kinds, "{speaker}"), emotion: "{emotion}"}
    return "/".join([*(fields.get(place, "*") for place in range(len(levels))), "*"])
