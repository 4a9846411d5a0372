"""``akd new-recipe`` from each source to a training, on generated speech."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pandas as pd
import pytest
from programs import run_well

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import MARK, WATERMARK
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.evaluate.report.results import read_results
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.scores_file import read_scores

ROOT = Path(__file__).resolve().parents[2]
PATTERN = "{speaker}_{emotion}_{text}"
SHORT = ("--folds=1", "--seeds=[17]", "--number_of_epochs=1", "--views=0")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """f01_anger_00.wav and so on: six speakers, three emotions, one utterance of each."""
    folder = tmp_path_factory.mktemp("speech") / "corpus"
    return generate_corpus(folder, 6, ("anger", "fear", "sadness"), 1, progress=False) / "wav"


@pytest.fixture
def arranged(speech, tmp_path):
    """(layout such as "{emotion}/{speaker}/{number}.wav") -> folder of the same files under other names."""

    def make(layout: str, **changes) -> Path:
        for path in sorted(speech.glob("*.wav")):
            speaker, emotion, number = path.stem.split("_")
            fields = {"speaker": speaker, "emotion": emotion, "number": number}
            fields |= {key: change(fields[key]) for key, change in changes.items()}
            target = tmp_path / "my corpus" / layout.format(**fields)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return tmp_path / "my corpus"

    return make


@pytest.fixture
def make(tmp_path):
    """(data folder, options) -> folder of the new recipe."""

    def call(data_folder, *options, name="Mine") -> Path:
        arguments = ["new-recipe", name, "--data_folder", str(data_folder), "--to", str(tmp_path / "recipes")]
        assert main([*arguments, *options]) == 0
        return tmp_path / "recipes" / name

    return call


@pytest.fixture
def refused(tmp_path, capsys):
    """(data folder, options) -> the error message of a call that creates nothing."""

    def call(data_folder, *options, name="Mine") -> str:
        arguments = ["new-recipe", name, "--data_folder", str(data_folder), "--to", str(tmp_path / "refused")]
        assert main([*arguments, *options]) == 1
        assert not (tmp_path / "refused").exists()
        return capsys.readouterr().err.split("error: ")[1]

    return call


def test_a_pattern_makes_a_recipe_that_distils_at_once(speech, make, capsys):
    recipe = make(speech, "--pattern", PATTERN)
    output = capsys.readouterr().out
    assert "18 utterances, 6 speakers, 3 classes." in output and "| f01 | 1 | 1 | 1 | 3 |" in output
    assert f"cd {recipe}" in output and MARK not in output
    run_well(recipe, "hparams/akd.yaml", "--debug", "--with", "hparams/small_teachers.yaml")
    page = (recipe / "results/debug/akd/report.md").read_text(encoding="utf-8")
    assert page.startswith("# Mine: akd+mixtures\n\n> **The corpus is generated") and "| log-mel |" in page
    assert not (recipe / "results/results.csv").exists()


def test_folders_with_blanks_and_umlauts_make_a_recipe_that_trains(arranged, make):
    labels = {"anger": "Ärger", "fear": "Angst", "sadness": "Trauer"}
    folder = arranged("{speaker}/{emotion}/{number} ä.wav", emotion=labels.get, speaker="Jörg {}".format)
    recipe = make(folder)
    config = load_config([str(recipe / "hparams/student.yaml")])
    assert config["label_order"] == ["Angst", "Trauer", "Ärger"] and config["data_folder"] == str(folder)
    assert sorted(name for group in config["outer_folds"] for name in group)[0] == "Jörg f01"
    run_well(recipe, "hparams/student.yaml", *SHORT)
    scores = read_scores(recipe / "results/student/scores.csv")
    assert set(scores["speaker"]) == set(config["outer_folds"][0])
    row = read_results(recipe / "results/results.csv").iloc[0]
    assert (row["corpus"], row["recipe"], row["folds"]) == ("Mine", "student", "1")


def test_a_table_makes_a_recipe_that_trains(speech, make, refused, tmp_path):
    lines = ["file;who;label;gender;start;stop"]
    numbers = {name: f"{index:02d}" for index, name in enumerate(["f01", "m01", "f02", "m02", "f03", "m03"], start=6)}
    for path in sorted(speech.glob("*.wav")):
        speaker, emotion, _ = path.stem.split("_")
        lines.append(f"{path.name};{numbers[speaker]};{emotion};{speaker[0]};0.1;1.1")
    (tmp_path / "sheet.csv").write_text("\n".join(lines), encoding="utf-8")
    options = ("--table", str(tmp_path / "sheet.csv"), "--columns", "speaker=who", "--labels", "sadness=sad")
    shutil.copy(tmp_path / "sheet.csv", speech)
    assert "--table sheet.csv" in refused(speech)  # what to do where a folder holds a table
    (speech / "sheet.csv").unlink()
    recipe = make(speech, *options)
    text = (recipe / "hparams/akd.yaml").read_text(encoding="utf-8")
    assert '"06"' in text and '"08"' in text
    run_well(recipe, "hparams/student.yaml", *SHORT)
    manifest = pd.read_csv(recipe / "results/student/manifest.csv", dtype=str)
    assert set(manifest["emotion"]) == {"anger", "fear", "sad"} and set(manifest["speaker"]) == set(numbers.values())
    assert set(manifest["sex"]) == {"female", "male"} and set(manifest["start"]) == {"1600"}


def test_unknown_speakers_need_an_option_and_then_every_table_is_marked(arranged, make, refused):
    folder = arranged("{emotion}/{speaker}{number}.wav")
    assert "--no-speakers" in refused(folder)
    recipe = make(folder, "--no-speakers")
    assert "speaker_independent: false" in (recipe / "hparams/akd.yaml").read_text(encoding="utf-8")
    assert MARK in (recipe / "README.md").read_text(encoding="utf-8")
    teachers = "--teachers={log-mel: {name: logmel_statistics}}"
    distilled = "--objective.distill=[{name: logit_mse, weight: 0.2}]"
    done = run_well(recipe, "hparams/student.yaml", *SHORT, teachers, distilled)
    assert f"utterances ({MARK})" in done.stderr and "unseen speakers" not in done.stderr
    page = (recipe / "results/student/report.md").read_text(encoding="utf-8")
    assert page.startswith(f"# Mine ({MARK}): student\n\n{WATERMARK}") and "| log-mel |" in page
    assert read_results(recipe / "results/results.csv")["corpus"].tolist() == [f"Mine ({MARK})"]
    audit = (recipe / "results/student/seed17/fold1/outer/record.json").read_text(encoding="utf-8")
    proved, not_proved = audit.split('"not_proved"')
    assert "no speaker is on both sides" not in proved and "speaker" in not_proved


@pytest.fixture(scope="module")
def rules():
    """The checks that every recipe of the toolkit must pass."""
    file = ROOT / "tests/consistency/test_recipes.py"
    spec = importlib.util.spec_from_file_location("rules_of_recipes", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("options", [(), ("--no-speakers",)], ids=["speakers", "no speakers"])
def test_a_new_recipe_keeps_the_rules_of_all_recipes(speech, make, rules, monkeypatch, options):
    recipe = make(speech, "--pattern", PATTERN.replace("speaker", "who") if options else PATTERN, *options)
    yamls = sorted(recipe.glob("hparams/*.yaml"))
    assert [path.name for path in yamls] == ["akd.yaml", "small_teachers.yaml", "student.yaml", "teacher.yaml"]
    for path in yamls[:1] + yamls[2:]:  # the second is laid over another
        rules.test_yaml_binds(path, monkeypatch)
        rules.test_yaml_is_short_and_explains_itself(path)
    rules.test_recipe_is_complete_and_thin(recipe)
    written = [path.read_text(encoding="utf-8") for path in recipe.rglob("*") if path.is_file()]
    assert len(written) == 7 and not any("$" in text for text in written)
    assert max(len(line) for text in written for line in text.splitlines() if "data_folder" not in line) <= 160
    ruff = Path(sys.executable).with_name("ruff")
    settings = ("--config", str(ROOT / "pyproject.toml"), "--config", "src = ['" + str(ROOT) + "']")
    for check in (("check",), ("format", "--check")) if ruff.exists() else ():
        done = subprocess.run([ruff, *check, *settings, recipe], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_templates_are_in_the_package_data():
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    globs = settings["options.package_data"]["akd_toolkit"].split()
    files = [path for path in (ROOT / "akd_toolkit/recipe_template").rglob("*") if path.is_file()]
    assert files and all(any(path.match(f"akd_toolkit/{glob}") for glob in globs) for path in files)


def test_many_names_go_into_a_file_of_their_own(make, arranged, monkeypatch):
    monkeypatch.setattr("akd_toolkit.cli.recipe_maker.MAX_LINES", 2)
    recipe = make(arranged("{emotion}/{speaker} {number}.wav"), "--no-speakers")
    folds = load_config([str(recipe / "hparams/akd.yaml")])["outer_folds"]
    assert sum(map(len, folds)) == 18 and (recipe / "folds.yaml").is_file()
    assert "anger/f01 00" in [name for group in folds for name in group]
    given = load_config([str(recipe / "hparams/akd.yaml"), "--outer_folds=[[a], [b], [c]]"])
    assert given["outer_folds"] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--pattern", "{speaker}-{emotion}"], "pattern .*f01_anger_00.wav"),
        ([], "which folders"),
        (["--layout", "pattern"], "--pattern"),
        (["--layout", "csv"], "0 CSV"),
        (["--table", "x.csv", "--pattern", PATTERN], "--pattern"),
        (["--table", "x.csv", "--layout", "folders"], "--layout csv"),
        (["--table", "/absent.csv"], "/absent.csv"),
        (["--pattern", PATTERN, "--labels", "anger"], "--labels .*anger"),
        (["--pattern", PATTERN, "--labels", "a=b", "a=c"], "--labels"),
        (["--pattern", PATTERN, "--labels", "fear=-", "anger=-"], "sadness"),
        (["--pattern", PATTERN, "--folds", "2"], "--folds"),
        (["--pattern", PATTERN, "--no-speakers"], "speak"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_creates_nothing(speech, refused, options, message):
    error = refused(speech, *options)
    assert re.search(message, error) and len(error.splitlines()) == 1, error


def test_impossible_names_and_existing_folders_are_refused(speech, make, refused, tmp_path, capsys):
    for name in ("a/b", "..", "08", "Ärger", "a b", "", "x" * 65):
        assert "name" in refused(speech, "--pattern", PATTERN, name=name)
    assert "corpus 'generated'" in refused(speech, "--pattern", PATTERN, name="Generated")
    assert "absent" in refused(tmp_path / "absent")
    recipe = make(speech, "--pattern", PATTERN)
    (recipe / "README.md").write_text("mine")
    arguments = ["new-recipe", "Mine", "--data_folder", str(speech), "--pattern", PATTERN]
    assert main([*arguments, "--to", str(recipe.parent)]) == 1
    assert (recipe / "README.md").read_text() == "mine" and not list(recipe.parent.glob(".*"))
    assert main([*arguments, "--to", str(speech / "below")]) == 1


def test_unsuitable_corpora_and_bad_files_are_named(arranged, refused):
    folder = arranged("{speaker}_{emotion}_{number}.wav", speaker=lambda name: name[0])
    assert "(f, m)" in refused(folder, "--pattern", PATTERN)
    shutil.rmtree(folder)
    folder = arranged("{speaker}_{emotion}_{number}.wav")
    (folder / "f01_anger_00.wav").rename(folder / "f01_awe_00.wav")
    assert "'awe'" in refused(folder, "--pattern", PATTERN)
    (folder / "f01_awe_00.wav").write_bytes(b"")
    (folder / "m03_fear_00.wav").write_bytes(b"RIFF")
    error = refused(folder, "--pattern", PATTERN)
    assert "2 of 18 files" in error and "f01_awe_00.wav" in error and "m03_fear_00.wav" in error


def test_the_page_that_walks_through_it_works(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs/new_recipe.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for kind, block in re.findall(r"```(python)?\n(.*?)```", page, flags=re.S):
        if kind:
            exec(block, {})
        calls = [] if kind else [shlex.split(line, comments=True) for line in block.splitlines()]
        for words in (words for words in calls if words[:1] == ["akd"]):
            nameless = words[2] == "Nameless" and "--no-speakers" not in words
            assert main(words[1:]) == nameless, capsys.readouterr().err
    made = ("MyCorpus", "FromFolders", "FromTable", "Nameless")
    assert all((tmp_path / name / "train.py").is_file() for name in made)
    printed = capsys.readouterr().out
    shown = re.search(r"^48 utterances.*?all \| 12.*?$", page, flags=re.M | re.S)[0]
    assert shown in printed
