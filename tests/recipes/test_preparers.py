"""What the preparers of all corpora do alike, on generated speech under the names of each."""

import shutil
from pathlib import Path

import pytest
from programs import RECIPES, imported

from akd_toolkit.data.layouts import LAYOUTS
from akd_toolkit.data.synthetic import generate_corpus


@pytest.fixture(scope="module", params=["EmoDB", "RAVDESS", "CREMA-D", "IEMOCAP"])
def corpus(request, tmp_path_factory):
    """(title, preparer, its labels, folder of generated speech)."""
    title = request.param
    layout = title.lower()
    with imported(RECIPES / title / "prepare.py") as module:
        prepare, labels = getattr(module, f"prepare_{layout.replace('-', '_')}"), list(module.LABELS)
        spoken = {**LAYOUTS[layout].labels}
        folder = tmp_path_factory.mktemp("spoken") / "corpus"
        yield title, prepare, labels, generate_corpus(folder, 2, list(spoken), 1, layout=layout, progress=False)


def test_missing_and_empty_folders_are_named(corpus, tmp_path):
    _, prepare, _, _ = corpus
    with pytest.raises(FileNotFoundError, match="data_folder .*nowhere"):
        prepare(tmp_path / "nowhere", tmp_path / "save", expect_official=False)
    with pytest.raises(ValueError, match="no sound file"):
        prepare(tmp_path, tmp_path / "save", expect_official=False)


def test_each_label_must_be_named_once(corpus, tmp_path):
    title, prepare, labels, folder = corpus
    for wrong in (labels[:3], [*labels[:-1], "joy"], [*labels, labels[0]]):
        with pytest.raises(ValueError, match=f"{title} has exactly {labels[0]}, "):
            prepare(folder, tmp_path / "save", wrong, expect_official=False)


def test_bad_files_are_named_and_nothing_is_written(corpus, tmp_path):
    title, prepare, labels, folder = corpus
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    files = sorted(copy.rglob("*.wav"))[:4]
    whole = files[0].read_bytes()
    for file, content in zip(files, (b"", whole[: len(whole) // 2], b"words", whole[:44] + bytes(len(whole) - 44))):
        file.write_bytes(content)
    with pytest.raises(ValueError, match=f"4 of .* of {title} cannot be used") as info:
        prepare(copy, tmp_path / "save", labels, expect_official=False)
    reasons = ("0 bytes", "truncated", "cannot be read", "only zeros")
    for file, reason in zip(files, reasons):
        assert any(file.name in line and reason in line for line in str(info.value).splitlines())
    assert not (tmp_path / "save").exists()


@pytest.mark.parametrize(
    "title, stem, message",
    [
        ("EmoDB", "03a01Xa", "'X'"),
        ("EmoDB", "take-7", "SSTTTEV"),
        ("RAVDESS", "03-01-09-01-01-01-01", "'09'"),
        ("RAVDESS", "03-01-06-01-01-01-25", "'25'"),
        ("RAVDESS", "03-01-06-01-01-01", "MM-VV-EE-II-SS-RR-AA"),
        ("CREMA-D", "1001_XYZ_ANG_XX", "'XYZ'"),
        ("CREMA-D", "1001_DFA_JOY_XX", "'JOY'"),
        ("CREMA-D", "1001_DFA_ANG_ZZ", "'ZZ'"),
        ("CREMA-D", "1092_DFA_ANG_XX", "'1092'"),
        ("CREMA-D", "take-7", "AAAA_TTT_EEE_LL"),
        ("CREMA-D", "1040_ITH_SAD_X", "1040_ITH_SAD_XX.wav"),
    ],
)
def test_a_wrong_name_is_named(title, stem, message, tmp_path):
    layout = title.lower()
    folder = generate_corpus(tmp_path / "data", 2, list(LAYOUTS[layout].labels)[:1], 1, layout=layout, progress=False)
    wav = sorted(folder.rglob("*.wav"))[0]
    shutil.copy(wav, wav.with_name(f"{stem}.wav"))
    with imported(RECIPES / title / "prepare.py") as module:
        prepare = getattr(module, f"prepare_{layout.replace('-', '_')}")
        with pytest.raises(ValueError, match=rf"1 of 3 files of {title} cannot be used:\s+.*{stem}\.wav .*{message}"):
            prepare(folder, tmp_path / "save", list(module.LABELS), expect_official=False)
