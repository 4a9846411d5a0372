"""IEMOCAP's preparer on the real layout and number of labels; the sound is generated or one tone."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import RECIPES

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.synthetic import generate_corpus

RECIPE = RECIPES / "IEMOCAP"
LABELS = ["ang", "hap", "sad", "neu"]
SESSIONS = [1085, 1023, 1151, 1031, 1241]  # published: turns by session
COUNTS = {  # published: category -> turns by session
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "sad": (194, 197, 305, 143, 245),
    "neu": (384, 362, 320, 258, 384),
}
IMPROVISED = {"ang": 289, "hap": 284, "exc": 663, "sad": 608, "neu": 1099}
OTHERS = {"xxx": 2507, "fru": 1849, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
OPINIONS = (
    "C-E2:\tAnger;\t()\nC-F1:\tOther; Anger;\t(tired)\nA-E3:\tval 2; act 4; dom  4;\t()\n"
    "A-M1:\tval 1; act 3; dom  ;\t()\n"
)


def labelled_tree(folder: Path, sound: bool) -> Path:
    """The 10039 labels of the corpus in its own layout; with ``sound`` every turn has a recording, else only one."""
    turns = []  # (session, kind, category)
    for category, counts in COUNTS.items():
        sessions = [session for session, count in enumerate(counts, start=1) for _ in range(count)]
        turns += [(s, "impro" if i < IMPROVISED[category] else "script", category) for i, s in enumerate(sessions)]
    others = [category for category, count in OTHERS.items() for _ in range(count)]
    turns += [(1 + i % 5, ("impro", "script")[i % 2], category) for i, category in enumerate(others)]
    tone = folder / "tone.wav"
    folder.mkdir(parents=True)
    soundfile.write(tone, 0.1 * np.sin(np.arange(1600)), 16000, subtype="PCM_16")
    labels, words, place = {}, {}, Counter()
    for session, kind, category in turns:
        index = place[session, kind]
        place[session, kind] += 1
        part = "impro01" if kind == "impro" else "script01_1"
        dialogue = f"Ses0{session}{'FM'[index // 400 % 2]}_{part}{'abcd'[index // 800]}"
        name = f"{dialogue}_{'FM'[index % 2]}{index % 400 // 2:03d}"
        line = f"[{index}.0000 - {index + 1}.5000]\t{name}\t{category}\t[2.5000, 3.0000, 3.3333]\n{OPINIONS}\n"
        labels[session, dialogue] = labels.get((session, dialogue), "") + line
        words[session, dialogue] = (
            words.get((session, dialogue), "") + f"{name} [{index:03d}.0-{index + 1:03d}.5]: Well,  I said {index}.\n"
        )
        wav = folder / f"Session{session}/sentences/wav/{dialogue}/{name}.wav"
        if sound or name == "Ses01F_impro01a_F000":
            wav.parent.mkdir(parents=True, exist_ok=True)
            os.link(tone, wav)
    for kind, texts in (("EmoEvaluation", labels), ("transcriptions", words)):
        for (session, dialogue), text in texts.items():
            path = folder / f"Session{session}/dialog/{kind}/{dialogue}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            head = (
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" if kind == "EmoEvaluation" else "M: Hm.\n"
            )
            path.write_text(head + text)
            path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07[Mac OS X")  # what macOS leaves behind
    (folder / "Session1/dialog/EmoEvaluation/Categorical").mkdir()  # as in the release
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The whole corpus with a tone for every turn."""
    return labelled_tree(tmp_path_factory.mktemp("release") / "IEMOCAP_full_release", sound=True)


@pytest.fixture(scope="module")
def manifest(preparer, release, tmp_path_factory):
    wav = release / "Session1/sentences/wav/Ses01F_impro01a"
    (wav / "._Ses01F_impro01a_F000.wav").write_bytes(b"\x00\x05\x16\x07")
    save = tmp_path_factory.mktemp("save")
    made = preparer.prepare_iemocap(release.parent, save, LABELS)  # the folder above is accepted
    assert Manifest.read(save / "manifest.csv") == made
    return made


@pytest.fixture
def labels_only(tmp_path):
    """All labels and one recording, for errors that come before sound is read."""
    return labelled_tree(tmp_path / "labels", sound=False)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Two sessions: 4 speakers, 4 classes and exc, an improvised and a scripted turn of each."""
    folder = tmp_path_factory.mktemp("spoken") / "IEMOCAP"
    return generate_corpus(folder, 4, [*LABELS, "exc"], 2, layout="iemocap", progress=False)


@pytest.fixture
def copy(spoken, tmp_path):
    return Path(shutil.copytree(spoken, tmp_path / "copy"))


def test_the_5531_turns_have_the_published_counts_by_class_and_session(manifest):
    assert len(manifest) == 5531
    assert np.bincount(manifest.labels).tolist() == [1103, 1636, 1084, 1708]
    cells = Counter((row.speaker[:5], row.emotion) for row in manifest)
    names = [f"Ses0{n}" for n in range(1, 6)]
    assert [sum(cells[name, label] for label in LABELS) for name in names] == SESSIONS
    assert tuple(cells[name, "ang"] for name in names) == COUNTS["ang"]
    assert [cells[name, "hap"] for name in names] == [278, 327, 286, 303, 442]
    assert manifest.speakers == tuple(f"Ses0{n}{sex}" for n in range(1, 6) for sex in "FM")


def test_speaker_attributes_and_words_come_from_the_turn(manifest):
    row = manifest.by_id["Ses01F_impro01a_M003"]
    assert (row.speaker, row.sex, row.text) == ("Ses01M", "male", "Well, I said 7.")
    assert row.transcript == row.text
    assert row.attributes == {"valence": 2.5, "arousal": 3.0, "dominance": 3.3333}
    # The speaker is in the last field of the ID; the first field is who wears the markers.
    assert all(row.speaker == row.id[:5] + row.id.split("_")[-1][0] for row in manifest)
    assert row.duration == pytest.approx(0.1) and Path(row.wav).is_absolute()


def test_options_select_turns_and_classes(preparer, release, prepare, monkeypatch):
    def measured(row):
        return type(row)(**{**vars(row), "stop": 1600, "duration": 0.1})

    monkeypatch.setattr(preparer, "measure", lambda rows, corpus: [measured(row) for row in rows])
    official = {"expect_official": True}
    improvised = prepare(release, use="improvised", **official)
    assert all("_impro" in row.id for row in improvised)
    assert np.bincount(improvised.labels).tolist() == [289, 947, 608, 1099]
    assert len(prepare(release, use="scripted", **official)) == 2588
    left_out = prepare(release, merge_excitement=False, attributes=False, **official)
    assert np.bincount(left_out.labels).tolist() == [1103, 595, 1084, 1708] and left_out.attribute_names == ()
    five = prepare(release, [*LABELS, "exc"], merge_excitement=False, **official)
    assert np.bincount(five.labels).tolist() == [1103, 595, 1084, 1708, 1041]


def evaluation(folder, session, dialogue):
    return folder / f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt"


def test_other_counts_are_refused_with_class_and_session(prepare, labels_only, tmp_path):
    path = evaluation(labels_only, 3, "Ses03F_script01_1a")
    path.write_text(path.read_text().replace("\tang\t", "\tfru\t", 2).replace("\tsad\t", "\tneu\t", 1))
    with pytest.raises(ValueError, match="differs from the official IEMOCAP") as info:
        prepare(labels_only, expect_official=True)
    for part in ("turns 5529", "class ang 1101", "class neu 1709", "session 3 1149", "session 3 ang 238"):
        assert part in str(info.value)
    assert "hap" not in str(info.value) and "session 1" not in str(info.value) and not (tmp_path / "save").exists()
    shutil.rmtree(labels_only / "Session5")
    with pytest.raises(ValueError, match="session 5 0 instead of 1241"):
        prepare(labels_only, expect_official=True)


def test_missing_recordings_are_named(prepare, labels_only):
    with pytest.raises(ValueError, match="5530 of 5531 turns of IEMOCAP cannot be used") as info:
        prepare(labels_only, expect_official=True)
    assert "Ses01F_impro01a_M000" in str(info.value) and "5520 more" in str(info.value)


def test_generated_speech_is_read_and_its_manifest_reused(prepare, copy, caplog):
    caplog.set_level("INFO")
    made = prepare(copy)
    assert len(made) == 40 and made.speakers == ("Ses01F", "Ses01M", "Ses02F", "Ses02M")
    assert np.bincount(made.labels).tolist() == [8, 16, 8, 8] and "turns 40 instead of 5531" in caplog.text
    angry, sad = ([row.attributes["arousal"] for row in made if row.emotion == name] for name in ("ang", "sad"))
    assert min(angry) > max(sad)
    assert prepare(copy) == made and "reused" in caplog.text
    assert len(prepare(copy, use="scripted")) == 20 and "use changed" in caplog.text
    path = evaluation(copy, 1, "Ses01F_impro01")
    path.write_text(path.read_text().replace("\tang\t", "\txxx\t", 1) + f"{OPINIONS}\nlorem ipsum\n")
    shutil.rmtree(copy / "Session2/dialog/transcriptions")
    again = prepare(copy)
    assert len(again) == 39 and again.hash != made.hash and sum(not row.text for row in again) == 20
    assert "no words" in caplog.text and "Ses01F_impro01.txt line" in caplog.text


def test_unknown_values_are_left_out(prepare, copy):
    path = evaluation(copy, 1, "Ses01F_impro01")
    lines = path.read_text().splitlines()
    lines[2] = lines[2][: lines[2].index("[", 1)] + "[nan, 5.5000, 0.5000]"
    path.write_text("\n".join(lines))
    assert prepare(copy).by_id["Ses01F_impro01_F000"].attributes == {"arousal": 5.5, "dominance": 0.5}


GOOD = "[0.0000 - 1.0000]\tSes01F_impro01_F900\tang\t[2.5, 2.5, 2.5]"


@pytest.mark.parametrize(
    "line, message",
    [
        (GOOD[:30], r"Ses01F_impro01\.txt, line \d+"),
        (GOOD.replace("2.5,", "", 1), r"\[ 2\.5, 2\.5\]"),
        (GOOD.replace("2.5,", "high,", 1), r"\[high, 2\.5, 2\.5\]"),
        (GOOD.replace("\tang", "\tjoy"), "'joy'"),
        (GOOD.replace("_F900", ""), "'Ses01F_impro01'"),
        (GOOD.replace("Ses01F", "Ses02F"), "Ses02F_impro01_F900 .*Session1"),
        (GOOD.replace("F900", "F000"), "Ses01F_impro01_F000 .*twice"),
        (GOOD, "1 of 41 turns of IEMOCAP cannot be used"),
    ],
)
def test_a_bad_label_is_named_and_nothing_is_written(prepare, copy, tmp_path, line, message):
    path = evaluation(copy, 1, "Ses01F_impro01")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        prepare(copy)
    assert not (tmp_path / "save").exists()


def test_missing_labels_are_named(prepare, copy):
    shutil.rmtree(copy / "Session2/dialog/EmoEvaluation")
    with pytest.raises(FileNotFoundError, match="Session2/dialog/EmoEvaluation"):
        prepare(copy)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"labels": [*LABELS, "exc"]}, "'exc'"),
        ({"labels": [*LABELS, "fru"], "merge_excitement": False}, "exactly"),
        ({"use": "scripts"}, "'scripts'"),
    ],
)
def test_impossible_options_are_refused(prepare, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, **options)


def test_options_that_select_nothing_are_refused(prepare, copy):
    for path in copy.rglob("*impro*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match="improvised; 20 turns"):
        prepare(copy, use="improvised")
