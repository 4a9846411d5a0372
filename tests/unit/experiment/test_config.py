"""Strict settings: every problem at any depth, before anything is built."""

import textwrap

import pytest

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.settings import defines_result, is_fixed, with_defaults

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
    student: {name: micro_cnn}
    temperature: 2.0
    objective:
        task: {name: cross_entropy, weight: 1.0}
        distill:
            - {name: integrated_soft_targets, weight: 1.0, temperature: !ref <temperature>}
        weighting: {name: adapter}
        gate: {name: teacher_error, theta: 0.9}
    number_of_epochs: 3
    batch_size: 4
    window_s: 3.0
    test_overlap_s: 0.5
    opt_class: !name:torch.optim.AdamW {lr: 0.002}
    debug: {number_of_epochs: 1, data_folder: null}
"""


@pytest.fixture
def recipe(tmp_path):
    def write(text=YAML, *replacements):
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.yaml"
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


def problem(argv) -> str:
    with pytest.raises(ValueError) as caught:
        load_config(argv)
    return str(caught.value)


def test_overriding_with_a_typo_is_refused(recipe):
    with pytest.raises(ValueError, match="'embeding_dim'"):
        load_config([recipe(), "--data_folder=x"]).overridden({"student.embeding_dim": 64})


def test_a_good_recipe_is_read_with_its_references_resolved(recipe):
    config = load_config([recipe(), "--data_folder=x"])
    assert config["objective"]["distill"][0]["temperature"] == 2.0
    assert config["opt_class"] == {"!name:torch.optim.AdamW": {"lr": 0.002}}
    assert config.build()["opt_class"].keywords == {"lr": 0.002}


def test_command_line_reaches_nested_settings(recipe):
    config = load_config([recipe(), "--data_folder=x", "--objective.gate.theta=0.5", "--number_of_epochs", "7"])
    assert config["objective"]["gate"] == {"name": "teacher_error", "theta": 0.5}
    assert config["number_of_epochs"] == 7 and config.build()["number_of_epochs"] == 7


def test_a_reference_follows_an_override(recipe):
    config = load_config([recipe(), "--data_folder=x", "--temperature=4.0"])
    assert config["objective"]["distill"][0]["temperature"] == 4.0


def test_a_whole_mapping_replaces_the_old_one(recipe):
    config = load_config([recipe(), "--data_folder=x", "--objective.gate={name: always_open}"])
    assert config["objective"]["gate"] == {"name": "always_open"}


def test_a_number_reaches_into_a_list(recipe):
    config = load_config([recipe(), "--data_folder=x", "--objective.distill.0.weight=0.25"])
    assert config["objective"]["distill"][0]["weight"] == 0.25
    text = problem([recipe(), "--data_folder=x", "--objective.distill.3.weight=0.25"])
    assert "'3' is not a place from 0 to 0 in its list" in text


def test_reaching_into_a_plain_value_is_refused(recipe):
    assert "'batch_size' is 4 and holds no settings" in problem([recipe(), "--data_folder=x", "--batch_size.x=1"])


def test_a_file_of_settings_lies_between_the_recipe_and_the_command_line(recipe, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("number_of_epochs: 9\nbatch_size: 8\n")
    config = load_config([recipe(), "--data_folder=x", f"--with={extra}", "--batch_size=16"])
    assert (config["number_of_epochs"], config["batch_size"]) == (9, 16)


def test_debug_merges_its_section_below_the_command_line(recipe):
    config = load_config([recipe(), "--debug"])
    assert config.debug and config["number_of_epochs"] == 1 and config["data_folder"] is None
    assert load_config([recipe(), "--debug", "--number_of_epochs=2"])["number_of_epochs"] == 2


def test_the_command_line_changes_the_debug_section(recipe):
    changed = [recipe(), "--data_folder=x", "--debug.number_of_epochs", "4", "--debug.objective.gate.theta=0.5"]
    config = load_config([*changed, "--debug"])
    assert config["number_of_epochs"] == 4 and config["objective"]["gate"]["theta"] == 0.5
    assert load_config(changed)["number_of_epochs"] == 3
    for words in (["--debug"], []):
        assert "'number_of_epoch'" in problem([recipe(), "--data_folder=x", *words, "--debug.number_of_epoch=4"])


def test_build_makes_fresh_objects_with_a_candidate(recipe):
    config = load_config([recipe(), "--data_folder=x"])
    built = config.overridden({"student.embedding_dim": 64}).build()
    assert built["student"] == {"name": "micro_cnn", "embedding_dim": 64}
    assert config.build()["student"] == {"name": "micro_cnn"}


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--bach_size=8", "'bach_size'; did you mean 'batch_size'"),
        ("--student.embeding_dim=8", "'embeding_dim'; .* Did you mean 'embedding_dim'"),
        ("--student.name=micro_cn", "'micro_cn'. Did you mean 'micro_cnn'"),
        ("--student.num_classes=3", "'num_classes'; take it out"),
        ("--objective.gate.teta=0.5", "'teta'; .* Did you mean 'theta'"),
        ("--objective.gat={name: always_open}", "'objective.gat'; did you mean 'gate'"),
        ("--objective.task.wight=2", "'wight'; .* Did you mean 'weight'"),
        ("--objective.gate.theta=1.5", r"- objective.gate: .*theta.* 1.5"),
        ("--objective.task.weight=.inf", "- objective.task.weight: got Infinity"),
        ("--objective.distill.0.weight=x", '- objective.distill.0.weight: got "x"'),
        ("--objective.distill.0.title=total", "- objective.distill.0: .*'total'"),
        ("--teachers.statistics.melz=3", "- teachers.statistics: .*'melz'"),
        ("--batch_size=0", "- batch_size: got 0; .* from 1"),
        ("--batch_size=1.0", "- batch_size: got 1.0"),
        ("--views=true", "- views: got true"),
        ("--views=null", "- views: got null"),
        ("--warmup=2", "- warmup: got 2; .* up to 1"),
        ("--warmup=.nan", "- warmup: got NaN"),
        ('--warmup="0.1"', '- warmup: got "0.1"'),
        ("--backend=rai", '- backend: got "rai"; .* local or ray'),
        ("--seeds=17", "- seeds: got 17"),
        ("--seeds=[1, 4294967296]", "- seeds.1: got 4294967296"),
        ("--threads=1025", "- threads: got 1025"),
        ("--outer_folds=[[A], [B], []]", "- outer_folds.2: got"),
        ("--rows=[{titel: a}]", "'rows.0.titel'; did you mean 'title'"),
        ("--rows=[{title: a, set: {views: -1}}]", "- row 'a': views: got -1"),
        ("--student.embedding_dim=-1", "- student: .*-1"),
        ("--student.dropout=x", "- student: .*'x'"),
        ("--student={name: encoder_student, source: ./x}", r"- student: .*'\./x'"),
        ("--opt_class.betas=[]", "opt_class: IndexError"),
        ("--opt_class.lr=x", "opt_class: lr: got 'x'"),
        ("--opt_class.lr=-1", "opt_class: .*learning rate.*-1"),
        ("--opt_class={lr: 1}", "opt_class: .* one optimiser"),
    ],
)
def test_a_typo_or_a_bad_value_is_named_before_anything_is_built(recipe, argument, message):
    with pytest.raises(ValueError, match=message):
        load_config([recipe(), "--data_folder=x", argument])


def test_a_typo_in_a_distillation_loss_names_the_loss_and_its_signature(recipe):
    path = recipe(YAML, ("temperature: !ref <temperature>", "temprature: 2.0"))
    text = problem([path, "--data_folder=x"])
    assert "loss 'integrated_soft_targets'" in text and "temprature" in text
    assert "(temperature: float = 4.0" in text and "Did you mean 'temperature'" in text


def test_a_typo_inside_a_tag_names_the_callable(recipe):
    text = problem([recipe(YAML, ("{lr: 0.002}", "{lrr: 0.002}")), "--data_folder=x"])
    assert "torch.optim.AdamW" in text and "lrr" in text and "did you mean 'lr'" in text


def test_a_typo_in_a_candidate_is_found_and_counted(recipe):
    text = problem([recipe(YAML, ("{student.embedding_dim: 64}", "{student.widht: 8}")), "--data_folder=x"])
    assert "candidate 2" in text and "widht" in text


def test_a_candidate_cannot_change_the_protocol(recipe):
    text = problem([recipe(YAML, ("{student.embedding_dim: 64}", "{seeds: [1]}")), "--data_folder=x"])
    assert "candidate 2: seeds is of the whole protocol and cannot differ between candidates" in text


def test_all_problems_come_in_one_message(recipe):
    text = problem([recipe(), "--data_folder=x", "--bach_size=8", "--batch_size=0", "--objective.gate.teta=1"])
    assert "3 problems" in text


def test_a_problem_that_only_two_settings_have_together_comes_with_the_others_like_it(recipe):
    text = problem([recipe(), "--data_folder=x", "--folds=9", "--test_overlap_s=5", "--number_of_epochs=0"])
    assert "3 problems" in text


def test_what_is_absent_has_its_default_before_and_after_it_is_built(recipe):
    config = load_config([recipe(), "--data_folder=x"])
    built = config.build()
    for key, value in {"views": 0, "unlabelled_ratio": 1.0, "precision": "fp32", "augment": None, "jobs": 1}.items():
        assert config[key] == built[key] == value
    assert with_defaults({"views": 3})["views"] == 3


def test_a_setting_that_is_declared_is_all_that_others_need_to_know_of_it():
    assert defines_result("views") and not is_fixed("views")
    assert defines_result("outer_folds") and is_fixed("outer_folds")
    assert not defines_result("jobs") and is_fixed("jobs")
    assert defines_result("temperature") and not is_fixed("temperature") and not defines_result("__parts")


def test_a_placeholder_says_how_to_give_it(recipe):
    assert "--data_folder VALUE" in problem([recipe()])
    text = problem([recipe(YAML, ("[anger, sadness]", "!PLACEHOLDER")), "--bach_size=8"])
    assert "3 problems" in text and "--label_order VALUE" in text and "bach_size" in text


def test_a_missing_required_setting_is_named(recipe):
    text = problem([recipe(YAML, ("corpus: Toy", "")), "--data_folder=x"])
    assert "'corpus' is missing" in text
    assert "'batch_size' is missing" in problem([recipe(YAML, ("batch_size: 4", "")), "--data_folder=x"])


def test_a_file_that_is_not_utf8_is_named(recipe, tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("corpus: Böse".encode("latin-1"))
    for words in ([str(path)], [recipe(), f"--with={path}"]):
        text = problem([*words, "--data_folder=x"])
        assert "latin.yaml" in text and "UTF-8" in text
    including = recipe(YAML, ("prepare: {}", "prepare: !include:latin.yaml"))
    assert "recipe.yaml includes" in problem([including, "--data_folder=x"])


def test_a_missing_file_is_one_sentence():
    with pytest.raises(FileNotFoundError, match=r"there is no settings file nowhere\.yaml"):
        load_config(["nowhere.yaml"])


def test_a_wrong_import_is_named(recipe):
    assert "there is no 'torch.optim.AdamV'" in problem([recipe(YAML, ("AdamW", "AdamV")), "--data_folder=x"])


def test_a_setting_given_twice_is_refused(recipe):
    assert "--batch_size is given twice" in problem([recipe(), "--data_folder=x", "--batch_size=1", "--batch_size=2"])


@pytest.mark.parametrize("words", [["--only_run"], ["--only_run="], ["--with"], ["--folds", ""], ["--debug.folds"]])
def test_a_setting_without_a_value_is_refused(recipe, words):
    assert f"{words[0].strip('=')} was given without a value" in problem([recipe(), *words, "--data_folder=x"])


def test_an_explicit_null_is_a_value(recipe):
    assert load_config([recipe(), "--data_folder=null", "--folds", "null", "--with=null"])["folds"] is None


def test_rows_that_are_named_need_rows(recipe):
    rows = "--rows=[{title: a}, {title: b, set: {views: 1}}]"
    assert load_config([recipe(), "--data_folder=x", rows, "--only=[b]"])["only"] == ["b"]
    rows_of_debug = recipe(YAML, ("debug: {", "debug: {only: [b], "))
    load_config([rows_of_debug, "--data_folder=x", rows])
    assert "only" in problem([rows_of_debug, "--data_folder=x"])


def test_a_command_line_that_is_no_yaml_is_refused(recipe):
    assert "cannot be read as settings" in problem([recipe(), "--data_folder=x", "--student={name: [}"])


def test_a_recipe_that_is_no_yaml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("seeds: [1]\nstudent: {name: [}\n")
    assert "broken.yaml, line 2 is not valid YAML" in problem([str(path)])


@pytest.mark.parametrize(
    "argument",
    [
        "--objective=foo",
        "--objective.task=cross_entropy",
        "--objective.distill={name: soft_target_kl}",
        "--objective.gate=teacher_error",
        "--candidates=[5]",
        "--candidates=foo",
        "--student=micro_cnn",
        "--teachers=[1]",
        "--teachers={a: micro}",
        "--mixup=0.3",
        "--rows=[1]",
        "--prepare=[]",
    ],
)
def test_a_value_of_another_shape_is_one_sentence(recipe, argument):
    key = argument[2:].split("=")[0].split(".")[0]
    assert key in problem([recipe(), "--data_folder=x", argument])


def test_sections_of_another_shape_in_the_recipe_itself_are_problems_like_others(recipe):
    path = recipe(YAML, ("batch_size: 4", "2: 4"), ("debug: {number_of_epochs: 1, data_folder: null}", "debug: [1]"))
    text = problem([path, "--data_folder=x", "--student=null"])
    assert "2 problems" in text and "unknown setting '2'" in text and "debug: got [1]" in text


def test_options_of_the_preparer_are_checked(recipe):
    def prepare_toy(folder, *, expect_official=True):
        pass

    path = recipe(YAML, ("prepare: {}", "prepare: {expect_oficial: false}"))
    with pytest.raises(ValueError, match="'expect_oficial'.* did you mean 'expect_official'"):
        load_config([path, "--data_folder=x"], prepare_toy)


def test_the_debug_section_is_checked_without_debug(recipe):
    path = recipe(YAML, ("debug: {number_of_epochs: 1", "debug: {number_of_epoch: 1"))
    assert "debug: unknown setting 'number_of_epoch'" in problem([path, "--data_folder=x"])


def test_debug_wins_over_a_file_of_settings(recipe, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("number_of_epochs: 9\n")
    assert load_config([recipe(), "--debug", f"--with={extra}"])["number_of_epochs"] == 1


def test_a_tag_outside_the_recipe_is_refused(recipe, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("opt_class: !name:torch.optim.SGD {lr: 0.1}\n")
    assert "!name:torch.optim.SGD" in problem([recipe(), "--data_folder=x", f"--with={extra}"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--head_decay=30"], "head_decay: 'micro_cnn'"),
        (["--number_of_epochs=0"], "number_of_epochs is 0"),
        (["--folds=9"], "folds: got 9"),
        (["--seeds=[17, 3, 17]"], "seeds: got [17, 3, 17]"),
        (["--only=[a]"], "only: got ['a']"),
        (["--test_overlap_s=5"], "test_overlap_s: got 5"),
        (["--teachers={a/b: {name: logmel_statistics}}"], "'a/b'"),
        (["--teachers=null"], "objective.distill needs teachers"),
        (["--objective.distill=null"], "no objective.distill"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(recipe, arguments, message):
    assert message in problem([recipe(), "--data_folder=x", *arguments])


def test_a_teacher_that_is_null_is_left_out(recipe):
    two = "statistics: {name: logmel_statistics}\n        more: {name: logmel_statistics, num_mels: 8}"
    path = recipe(YAML, ("statistics: {name: logmel_statistics}", two))
    assert list(load_config([path, "--data_folder=x"])["teachers"]) == ["statistics", "more"]
    assert list(load_config([path, "--data_folder=x", "--teachers.more=null"])["teachers"]) == ["statistics"]
    none = ["--teachers.more=null", "--teachers.statistics=null"]
    assert "objective.distill needs teachers" in problem([path, "--data_folder=x", *none])


def test_a_long_list_may_replace_one_with_a_comment(recipe):
    path = recipe(YAML, ("candidates: [{}, {student.embedding_dim: 64}]", "candidates: [{}]  # to choose among"))
    losses = "[{name: soft_target_kl, temperature: 2.0}, {name: logit_mse}]"
    config = load_config([path, "--data_folder=x", f"--candidates=[{{}}, {{objective.distill: {losses}}}]"])
    assert [len(candidate.get("objective.distill", [])) for candidate in config["candidates"]] == [0, 2]


def test_a_head_that_is_fitted_at_once_reads_no_frames(recipe):
    encoder = "{name: encoder_student, source: openai/whisper-base}"
    options = ["--data_folder=x", f"--student={encoder}", "--candidates=[{}]", "--head_decay=1.0"]
    load_config([recipe(), *options])
    assert "'hint' reads frames" in problem([recipe(), *options, "--objective.distill=[{name: hint}]"])


@pytest.mark.parametrize(
    "words, message",
    [
        (["--device=cuda:99"], "device: got 'cuda:99', and this machine has cpu"),
        (["--device", "gpu"], "device: got 'gpu'"),
        (["--device=cpu", "--precision=fp16"], "precision: fp16"),
        (["--precision=fp8"], "'fp8'"),
        (["--max_grad_norm=0"], "max_grad_norm: got 0"),
        (["--debug_batches=0"], "debug_batches: got 0"),
        (["--device=cpu", "--eval_precision=fp16"], "eval_precision: fp16"),
        (["--nonfinite_patience=-1"], "nonfinite_patience: got -1"),
        (["--devise=cpu"], "'devise'; did you mean 'device'"),
        (["--dev=cpu"], "did you mean --device"),
        (["--device"], "--device"),
        (["--test_only"], "--test_only is unknown or has no effect"),
        (["--data"], "--data"),
        (["foo"], "foo"),
    ],
)
def test_a_run_option_that_cannot_be_is_refused(recipe, words, message):
    assert message in problem([recipe(), *words, "--data_folder=x"])


def test_a_command_line_without_a_recipe_is_one_sentence():
    assert "param_file" in problem([])


def test_fp16_in_the_recipe_needs_a_gpu(recipe):
    path = recipe(YAML, ("batch_size: 4", "batch_size: 4\n    precision: fp16"))
    options = ["--data_folder=x", "--device=cpu"]
    assert "precision: fp16" in problem([path, *options])
    assert load_config([path, *options, "--precision=bf16"]).precision == "bf16"


def test_debug_limits_reach_the_brain_and_debug_alone_does_not(recipe):
    def options(*words):
        return load_config([recipe(), "--data_folder=x", *words]).brain_options()

    assert "debug" not in options("--debug")
    limited = options("--debug_batches=3")
    assert limited["debug"] and limited["debug_batches"] == 3 and limited["debug_epochs"] == 0  # as many as there are
    assert options("--jobs=2")["noprogressbar"] and "noprogressbar" not in options("--jobs=1")


def test_run_options_that_define_the_result_are_told_from_others(recipe):
    config = load_config([recipe(), "--data_folder=x", "--max_grad_norm=1", "--noprogressbar", "--device=cpu"])
    assert config.fixed_run_options == {"max_grad_norm": 1.0}
