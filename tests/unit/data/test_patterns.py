import unicodedata
from pathlib import Path

import pytest

from akd_toolkit.data.importers.patterns import compile_pattern, guess_folders, match_names


@pytest.mark.parametrize(
    "pattern, name, fields",
    [
        ("{speaker}_{emotion}_{text}", "f01_anger_00_b", {"speaker": "f01", "emotion": "anger", "text": "00_b"}),
        ("{speaker:2}{text:3}{emotion:1}{v:1}", "03a01Fa", {"speaker": "03", "text": "a01", "emotion": "F", "v": "a"}),
        ("*-{emotion}-*-{speaker}", "03-01-06-01-02-01-12", {"emotion": "01", "speaker": "01-02-01-12"}),
        ("{a}-{b}-{emotion}-{c}-{d}-{e}-{speaker}", "03-01-06-01-02-01-12", {"emotion": "06", "speaker": "12"}),
        ("{speaker}/*/{emotion}/*", "anna/day 1/joy/x_1", {"speaker": "anna", "emotion": "joy"}),
        ("{speaker}/{speaker}_{emotion}", "anna/anna_joy", {"speaker": "anna", "emotion": "joy"}),
        ("{speaker}_{emotion}{take:2}", "DC_a01", {"speaker": "DC", "emotion": "a", "take": "01"}),  # SAVEE
        ("{speaker}_{emotion}{take:2}", "JE_su05", {"speaker": "JE", "emotion": "su", "take": "05"}),
        ("{emotion}{take:2}_*", "sa01_x_y", {"emotion": "sa", "take": "01"}),
        ("{emotion}{take:2}{v:1}-{speaker}", "joy01b-anna-2", {"emotion": "joy", "take": "01", "speaker": "anna-2"}),
        (r"(?P<speaker>[a-z]+)(?P<emotion>\d)", "anna7", {"speaker": "anna", "emotion": "7"}),
        ("{speaker}.{emotion}+*", "a.b+c", {"speaker": "a", "emotion": "b"}),
    ],
)
def test_fields_are_found(pattern, name, fields):
    found = compile_pattern(pattern).fullmatch(name).groupdict()
    assert {key: found[key] for key in fields} == fields


@pytest.mark.parametrize(
    "pattern, token",
    [
        ("{speaker}_{text}", "no emotion"),
        ("{speaker}{take:2}{emotion}", r"separates \{speaker\}"),
        ("{speaker_{emotion}", r"stray '\{'"),
        ("{1st}_{emotion}", "1st"),
        ("(?P<emotion>[", "not a valid regular expression"),
        ("{speaker}_{emotion}", r"2 of 3 files of /corpus .*: b\.wav, c-d\.wav"),
        ("{speaker:2}_{emotion}", "3 of 3 files"),
        ("{emotion}/*", "3 of 3 files"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern, token):
    with pytest.raises(ValueError, match=token):
        match_names([Path("a_joy.wav"), Path("b.wav"), Path("c-d.wav")], pattern, Path("/corpus"))


@pytest.mark.parametrize(
    "names, pattern",
    [
        (["joy/1.wav", "fear/2.wav"], "{emotion}/*"),
        (["joy/anna/1.wav", "fear/anna/2.wav"], "{emotion}/{speaker}/*"),
        (["anna/Joy/1.wav", "bert/FEAR/2.wav"], "{speaker}/{emotion}/*"),
        ([unicodedata.normalize("NFD", "anna/Ärger/1.wav"), "bert/Trauer/2.wav"], "{speaker}/{emotion}/*"),
        (["train/joy/1.wav", "valid/fear/2.wav", "test/fear/3.wav"], "*/{emotion}/*"),
        (["fold1/joy/1.wav", "fold_2/fear/2.wav"], "*/{emotion}/*"),
        (["x/train/anna/joy/1.wav", "x/dev/bert/fear/2.wav"], "*/*/{speaker}/{emotion}/*"),
    ],
)
def test_the_class_level_has_emotion_words(names, pattern):
    assert guess_folders([Path(name) for name in names]) == pattern


@pytest.mark.parametrize(
    "names, token",
    [
        (["1.wav"], r"1\.wav .*\(none\)"),
        (["a/b/c/1.wav", "x/y/z/1.wav"], "a, x or b, y or c, z"),
        (["anna/1.wav", "bert/2.wav"], "anna, bert"),  # speakers, which must not become classes
        (["train/1.wav", "test/2.wav"], r"\(none\)"),
        (["joy/1.wav", "fear/anna/2.wav"], r"different depths \(.*joy/1.wav"),
        (["anna/x1/1.wav", "bert/x2/1.wav"], "anna, bert or x1, x2"),
    ],
)
def test_an_unclear_tree_needs_a_pattern(names, token):
    with pytest.raises(ValueError, match=token):
        guess_folders([Path(name) for name in names])


def test_letters_with_accents_match_however_they_are_composed():
    names = [Path(unicodedata.normalize(form, "Jörg_Ärger_1.wav")) for form in ("NFC", "NFD")]
    for pattern in map(unicodedata.normalize, ("NFC", "NFD"), ["{speaker}_Ärger_{emotion}"] * 2):
        assert match_names(names, pattern, Path("x")) == [{"speaker": "Jörg", "emotion": "1"}] * 2
