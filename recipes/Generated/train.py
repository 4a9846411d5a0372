"""The main job on generated speech: two teachers, one small student, unseen speakers, one ONNX file, one prediction.

    python recipes/Generated/train.py recipes/Generated/hparams/demo.yaml          (what `make demo` runs)

Nothing is downloaded. The voices are made by the toolkit: the scores show that the whole path works, not that it
understands people.
"""

import sys
from pathlib import Path

from akd_toolkit.data.synthetic import prepare_generated
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_objective, build_student, build_teachers, make_datasets, prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.export_run import export_run
from akd_toolkit.recipe import report_student, run_recipe
from akd_toolkit.recognizer import EmotionRecognizer
from akd_toolkit.training.brain import DistillBrain, predict


def train_student(run):
    """One training: build its parts, fit, score the test speakers, write what is kept."""
    teachers = build_teachers(run)
    proof = prove_split(run, teachers)  # a leak is refused before anything is trained
    student = build_student(run)
    objective = build_objective(run, student, teachers)
    data = make_datasets(run, objective, teachers)
    brain = DistillBrain(student, objective, run.config.build(), run.seed, run.folder, run.config.brain_options())
    trained = brain.train_student(data.train)
    run.keep(trained, predict(trained, data.test, brain.device), brain.history, brain.seconds, proof, teachers)


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
