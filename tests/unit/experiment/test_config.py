"""Strict settings: overrides, and every problem at any depth before anything is built."""

import textwrap

import pytest

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.settings import defines_result, is_fixed

YAML = """
    seeds: [1]
    corpus: Toy
    data_folder: !PLACEHOLDER
    output_folder: results
    store_folder: results/store
    prepare: {}
    label_order: [anger, sadness]
    outer_folds: [["A"], ["B"], ["C"]]
    candidates: [{}, {student.embedding_dim: 64}]
    teachers:
        statistics: {name: logmel_statistics}
        more: {name: logmel_statistics, num_mels: 8}
    student: {name: micro_cnn}
    temperature: 2.0
    objective:
        task: {name: cross_entropy, weight: 1.0}
        distill:
            - {name: integrated_soft_targets, weight: 1.0, temperature: !ref <temperature>}
        weighting: {name: adapter}
        gate: {name: teacher_error, theta: 0.9}
    number_of_epochs: 3
    batch_size: 4  # windows
    window_s: 3.0
    test_overlap_s: 0.5
    opt_class: !name:torch.optim.AdamW {lr: 0.002}
    debug: {number_of_epochs: 1, data_folder: null}
"""


@pytest.fixture
def recipe(tmp_path):
    def write(*replacements):
        text = YAML
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.yaml"
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


@pytest.fixture
def load(recipe):
    return lambda *words: load_config([recipe(), "--data_folder=x", *words])


def problem(argv, prepare=None) -> str:
    with pytest.raises(ValueError) as caught:
        load_config(argv, prepare)
    return str(caught.value)


def test_a_recipe_is_read_with_references_and_defaults_and_built(load):
    config = load()
    built = config.build()
    assert config["objective"]["distill"][0]["temperature"] == 2.0
    assert load("--temperature=4.0")["objective"]["distill"][0]["temperature"] == 4.0
    assert config["opt_class"] == {"!name:torch.optim.AdamW": {"lr": 0.002}}
    assert built["opt_class"].keywords == {"lr": 0.002}
    for key, value in {"views": 0, "unlabelled_ratio": 1.0, "precision": "fp32", "augment": None, "jobs": 1}.items():
        assert config[key] == built[key] == value
    assert config.overridden({"student.embedding_dim": 64}).build()["student"]["embedding_dim"] == 64
    assert config.build()["student"] == {"name": "micro_cnn"}
    with pytest.raises(ValueError, match="'embeding_dim'"):
        config.overridden({"student.embeding_dim": 64})


def test_overrides_reach_into_mappings_and_lists_or_replace_them(load):
    config = load("--objective.gate.theta=0.5", "--number_of_epochs", "7", "--objective.distill.0.weight=0.25")
    assert config["objective"]["gate"] == {"name": "teacher_error", "theta": 0.5}
    assert config["number_of_epochs"] == 7 and config.build()["number_of_epochs"] == 7
    assert config["objective"]["distill"][0]["weight"] == 0.25
    assert load("--objective.gate={name: always_open}")["objective"]["gate"] == {"name": "always_open"}
    losses = "[{name: soft_target_kl, temperature: 2.0}, {name: logit_mse}]"
    config = load(f"--candidates=[{{}}, {{objective.distill: {losses}}}]", "--folds=null", "--with=null")
    assert len(config["candidates"][1]["objective.distill"]) == 2 and config["folds"] is None


def test_layers_of_overrides(recipe, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("number_of_epochs: 9\nbatch_size: 8\n")

    def numbers(*words):
        config = load_config([recipe(), *words])
        return config["number_of_epochs"], config["batch_size"], config["data_folder"]

    assert numbers("--data_folder=x", f"--with={extra}", "--batch_size=16") == (9, 16, "x")
    assert numbers("--debug", f"--with={extra}") == (1, 8, None)
    assert numbers("--debug", "--number_of_epochs=2") == (2, 4, None)
    assert numbers("--debug", "--debug.number_of_epochs", "5") == (5, 4, None)
    assert numbers("--data_folder=x", "--debug.number_of_epochs", "5") == (3, 4, "x")
    (tmp_path / "based.yaml").write_text("based_on: recipe.yaml\nbatch_size: 2\n")
    config = load_config([str(tmp_path / "based.yaml"), "--data_folder=x"])
    assert config["batch_size"] == 2 and config["number_of_epochs"] == 3


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--bach_size=8", "'bach_size'; did you mean 'batch_size'"),
        ("--student.embeding_dim=8", "'embeding_dim'; .* Did you mean 'embedding_dim'"),
        ("--student.name=micro_cn", "'micro_cn'. Did you mean 'micro_cnn'"),
        ("--student.num_classes=3", "'num_classes'"),
        ("--objective.gate.teta=0.5", "'teta'; .* Did you mean 'theta'"),
        ("--objective.gat={name: always_open}", "'objective.gat'; did you mean 'gate'"),
        ("--objective.task.wight=2", "'wight'; .* Did you mean 'weight'"),
        ("--objective.gate.theta=1.5", r"- objective.gate: .*theta.* 1.5"),
        ("--objective.task.weight=.inf", "- objective.task.weight: got Infinity"),
        ("--objective.distill.0.weight=x", '- objective.distill.0.weight: got "x"'),
        ("--objective.distill.0.temprature=2", "integrated_soft_targets.*'temprature'.*Did you mean 'temperature'"),
        ("--objective.distill.0.title=total", "- objective.distill.0: .*'total'"),
        ("--objective.distill.3.weight=0.25", "'objective.distill.3.weight'.*'3'"),
        ("--teachers.statistics.melz=3", "- teachers.statistics: .*'melz'"),
        ("--batch_size=0", "- batch_size: got 0; .* 1"),
        ("--batch_size=1.0", "- batch_size: got 1.0"),
        ("--batch_size.x=1", "'batch_size.x'.* 4"),
        ("--views=true", "- views: got true"),
        ("--views=null", "- views: got null"),
        ("--warmup=2", "- warmup: got 2; .* 1"),
        ("--warmup=.nan", "- warmup: got NaN"),
        ('--warmup="0.1"', '- warmup: got "0.1"'),
        ("--backend=rai", '- backend: got "rai"; .*local.*ray'),
        ("--seeds=17", "- seeds: got 17"),
        ("--seeds=[1, 4294967296]", "- seeds.1: got 4294967296"),
        ("--seeds=[17, 3, 17]", r"seeds: got \[17, 3, 17\]"),
        ("--outer_folds=[[A], [B], []]", "- outer_folds.2: got"),
        ("--rows=[{titel: a}]", "'rows.0.titel'; did you mean 'title'"),
        ("--rows=[{title: a, set: {views: -1}}]", "- row 'a': views: got -1"),
        ("--only=[a]", "only: got"),
        ("--candidates=[{}, {student.widht: 8}]", "- candidate 2: .*'widht'"),
        ("--candidates=[{}, {seeds: [1]}]", "- candidate 2: seeds"),
        ("--student.embedding_dim=-1", "- student: .*-1"),
        ("--student.dropout=x", "- student: .*'x'"),
        ("--student={name: encoder_student, source: ./x}", r"- student: .*'\./x'"),
        ("--opt_class.betas=[]", "opt_class: IndexError"),
        ("--opt_class.lr=x", "opt_class: lr: got 'x'"),
        ("--opt_class.lr=-1", "opt_class: .*learning rate.*-1"),
        ("--opt_class.lrr=1", "torch.optim.AdamW.*'lrr'.*did you mean 'lr'"),
        ("--opt_class={lr: 1}", "opt_class"),
        ("--head_decay=30", "head_decay: 'micro_cnn'"),
        ("--number_of_epochs=0", "number_of_epochs is 0"),
        ("--objective.gate.theta=foo", "objective.gate: .*'theta' is text"),
        ("--folds=9", "folds: got 9"),
        ("--test_overlap_s=5", "test_overlap_s: got 5"),
        ("--teachers={a/b: {name: logmel_statistics}}", "'a/b'"),
        ("--teachers=null", "objective.distill needs teachers"),
        ("--objective.distill=null", "no objective.distill"),
        ("--objective.distill=[{name: soft_target_kl, speech: unlabelled}]", "objective.distill.0.speech"),
        ("--debug.number_of_epoch=4", "debug: .*'number_of_epoch'"),
        ("--batch_size=1 --batch_size=2", "--batch_size is given twice"),
        ("--student={name: [}", "--student|command line"),
        *((f"{word}", word.strip("=")) for word in ("--only_run", "--only_run=", "--with", "--debug.folds")),
        *(
            (f"--{key}={value}", f"- {key}")
            for key, value in [
                *(("objective", "foo"), ("objective.task", "cross_entropy"), ("objective.gate", "teacher_error")),
                *(("candidates", "[5]"), ("candidates", "foo"), ("student", "micro_cnn"), ("teachers", "[1]")),
                *(("teachers", "{a: micro}"), ("mixup", "0.3"), ("rows", "[1]"), ("prepare", "[]")),
            ]
        ),
    ],
)
def test_a_typo_or_a_bad_value_is_named_before_anything_is_built(recipe, argument, message):
    words = argument.split(" --")
    with pytest.raises(ValueError, match=message):
        load_config([recipe(), words[0], *(f"--{word}" for word in words[1:]), "--data_folder=x"])


def test_all_problems_come_in_one_message(recipe):
    bad = recipe(("corpus: Toy", "2: 4"), ("debug: {number_of_epochs: 1, data_folder: null}", "debug: [1]"))
    text = problem([bad, "--bach_size=8", "--batch_size=0", "--objective.gate.teta=1"])
    assert "7 problems" in text and "--data_folder VALUE" in text and "'corpus' is missing" in text and "'2'" in text
    assert "3 problems" in problem([recipe(), "--data_folder=x", "--folds=9", "--test_overlap_s=5", "--seeds=[1, 1]"])


def test_a_setting_declares_whether_it_defines_the_result():
    assert defines_result("views") and not is_fixed("views")
    assert defines_result("outer_folds") and is_fixed("outer_folds")
    assert not defines_result("jobs") and is_fixed("jobs")
    assert defines_result("temperature") and not is_fixed("temperature") and not defines_result("__parts")


def test_files_that_cannot_be_read_are_named(recipe, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes("corpus: Böse".encode("latin-1"))
    for words in ([str(path)], [recipe(), f"--with={path}"]):
        assert "bad.yaml is not UTF-8" in problem(words)
    including = recipe(("prepare: {}", "prepare: !include:bad.yaml"))
    assert "recipe.yaml includes" in problem([including, "--data_folder=x"])
    path.write_text("seeds: [1]\nstudent: {name: [}\n")
    assert "bad.yaml, line 2" in problem([str(path)])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        load_config(["nowhere.yaml"])
    assert "param_file" in problem([])


def test_a_tag_must_name_what_exists_and_stand_in_the_recipe(recipe, tmp_path):
    assert "'torch.optim.AdamV'" in problem([recipe(("AdamW", "AdamV")), "--data_folder=x"])
    (tmp_path / "extra.yaml").write_text("opt_class: !name:torch.optim.SGD {lr: 0.1}\n")
    assert "!name:torch.optim.SGD" in problem([recipe(), "--data_folder=x", f"--with={tmp_path / 'extra.yaml'}"])


def test_options_of_the_preparer_are_checked(recipe):
    def prepare_toy(folder, *, expect_official=True):
        pass

    path = recipe(("prepare: {}", "prepare: {expect_oficial: false}"))
    assert "did you mean 'expect_official'" in problem([path, "--data_folder=x"], prepare_toy)


def test_the_command_line_wins_over_the_debug_section_also_where_that_is_only_checked(recipe):
    path = recipe(("debug: {", "debug: {batch_size: 0, "))
    with pytest.raises(ValueError, match="debug: batch_size"):
        load_config([str(path), "--data_folder=x"])
    load_config([str(path), "--data_folder=x", "--batch_size=2"])


def test_rows_can_be_selected_also_by_the_debug_section(recipe):
    rows = "--rows=[{title: a}, {title: b, set: {views: 1}}]"
    path = recipe(("debug: {", "debug: {only: [b], "))
    assert load_config([path, "--data_folder=x", rows, "--only=[b]"])["only"] == ["b"]
    assert "only" in problem([path, "--data_folder=x"])


def test_a_teacher_that_is_null_is_left_out(load):
    assert list(load("--teachers.more=null")["teachers"]) == ["statistics"]
    with pytest.raises(ValueError, match="needs teachers"):
        load("--teachers.more=null", "--teachers.statistics=null")


def test_an_encoder_of_low_rank_is_not_trained_from_random_weights(load):
    ranks = "{conv1: 8, conv2: 8, attention: 8, project: 8, expand: 8, contract: 8}"
    options = [f"--student={{name: encoder_student, source: openai/whisper-base, ranks: {ranks}}}", "--candidates=[{}]"]
    load(*options, "--head_decay=1.0")
    with pytest.raises(ValueError, match="head_decay"):
        load(*options)


def test_a_head_that_is_fitted_before_training_reads_no_frames(load):
    encoder = "{name: encoder_student, source: openai/whisper-base}"
    options = [f"--student={encoder}", "--candidates=[{}]", "--head_decay=1.0"]
    load(*options)
    with pytest.raises(ValueError, match="'hint' reads frames"):
        load(*options, "--objective.distill=[{name: hint}]")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--device=cuda:99"], "device: got 'cuda:99', and this machine has cpu"),
        (["--device=cpu", "--precision=fp16"], "precision: fp16"),
        (["--precision=fp8"], "'fp8'"),
        (["--max_grad_norm=0"], "max_grad_norm: got 0"),
        (["--debug_batches=0"], "debug_batches: got 0"),
        (["--device=cpu", "--eval_precision=fp16"], "eval_precision: fp16"),
        (["--nonfinite_patience=-1"], "nonfinite_patience: got -1"),
        (["--devise=cpu"], "'devise'; did you mean 'device'"),
        (["--dev=cpu"], "did you mean --device"),
        (["--device"], "--device"),
        (["--test_only"], "--test_only"),
        (["foo"], "foo"),
    ],
)
def test_a_run_option_that_is_impossible_is_refused(recipe, words, message):
    assert message in problem([recipe(), *words, "--data_folder=x"])


def test_run_options_reach_the_brain_and_those_that_define_the_result_are_recorded(load):
    assert "debug" not in load("--debug").brain_options()
    limited = load("--debug_batches=3").brain_options()
    assert limited["debug"] and limited["debug_batches"] == 3 and limited["debug_epochs"] == 0  # no limit
    assert load("--jobs=2").brain_options()["noprogressbar"] and "noprogressbar" not in load().brain_options()
    config = load("--max_grad_norm=1", "--noprogressbar", "--device=cpu")
    assert config.fixed_run_options == {"max_grad_norm": 1.0}


def test_precision_of_the_command_line_wins_over_the_recipe(recipe):
    path, cpu = recipe(("batch_size: 4", "batch_size: 4\n    precision: fp16")), ["--data_folder=x", "--device=cpu"]
    assert "precision: fp16" in problem([path, *cpu])
    assert load_config([path, *cpu, "--precision=bf16"]).precision == "bf16"
