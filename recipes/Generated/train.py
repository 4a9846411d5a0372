"""The main job on generated speech: two teachers, one small student, unseen speakers, one ONNX file, one prediction.

    python recipes/Generated/train.py recipes/Generated/hparams/demo.yaml          (what `make demo` runs)

Nothing is downloaded. The voices are made by the toolkit: the scores show that the whole path works, not that it
understands people.
"""

import sys
from pathlib import Path

from akd_toolkit.data.synthetic import prepare_generated
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import (
    build_objective,
    build_student,
    build_teachers,
    make_datasets,
    prove_split,
    save_results,
    training_hparams,
)
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.export_run import export_run
from akd_toolkit.recipe import report_student, run_recipe
from akd_toolkit.recognizer import EmotionRecognizer
from akd_toolkit.training.brain import DistillBrain


def train_student(run):
    """One training: build its parts, fit, score the test speakers, write what is kept."""
    teachers = build_teachers(run)
    proof = prove_split(run, teachers)  # a leak is refused before anything is trained
    student = build_student(run)
    objective = build_objective(run, student, teachers)
    data = make_datasets(run, objective, teachers)
    hparams = training_hparams(run)
    brain = DistillBrain(
        modules={"student": student, "objective": objective},
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run.config.brain_options(),
        checkpointer=hparams["checkpointer"],
    )
    if hparams["head_decay"] is not None:
        brain.fit_head(data.whole)
    brain.fit(
        hparams["epoch_counter"],
        data.train,
        data.valid,
        train_loader_kwargs=data.train_options,
        valid_loader_kwargs=data.test_options,
    )
    posteriors = brain.evaluate(data.test, test_loader_kwargs=data.test_options)
    save_results(run, brain, posteriors, proof, teachers)


def main(argv):
    config = load_config(argv, prepare_generated)
    print("This corpus is GENERATED: its scores say that the toolkit works, nothing about human speech.")
    manifest = prepare_generated(
        config["output_folder"], label_order=config["label_order"], **config.get("prepare", {})
    )
    protocol = NestedCrossValidation(config, manifest)
    scores = protocol.run(train_student)
    report_student(protocol, scores, generated=True)

    run = protocol.outer_runs()[0]  # its speakers are unseen by this student
    export = export_run(run.folder, to=config["output_folder"], progress=False)
    difference = export.parity.largest_difference
    print(f"{export.file}: {export.size_bytes / 1000:.0f} kB, differs from the module by {difference:.1e}")
    utterance = run.test.utterances[0]
    answer = EmotionRecognizer.from_pretrained(export.file)(utterance.wav)
    sure = f" with {answer.probability:.2f}" if answer.speech else ""
    print(f"{utterance.id}, an unseen speaker: {answer.label}{sure}; true is {utterance.emotion}")
    print((Path(config["output_folder"]) / "report.md").read_text(encoding="utf-8").split("## Confusion")[0])
    print(f"report and confusion matrix: {config['output_folder']}/report.md")


if __name__ == "__main__":
    sys.exit(run_recipe(main))
