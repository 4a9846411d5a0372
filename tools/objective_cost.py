"""What the objective's terms cost: a training step with each of the paper's terms over one on labels alone.

    python tools/objective_cost.py [batch size, 64 unless told] [rounds, 15 unless told]

A step is forward, objective, backward and AdamW, of micro_cnn on 3 s windows, one thread, bfloat16 autocast, as the
recipes train, in CPU time. Two made-up teachers have the sizes of Whisper small and base: 150 frames of 768 and 512
numbers. One step of every row is timed in each round; a ratio is the median over rounds of two steps of the same round,
so that other work on the machine touches both.
"""

import statistics
import sys
import time

import torch

import akd_toolkit.students  # noqa: F401  (registers)
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.objective import build_objective
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.registry import STUDENTS

CLASSES, WINDOW_S, FRAMES = 7, 3, 150
FRAME_DIMS, EMBEDDING_DIMS = [768, 512], [1536, 1024]
TASK = {"name": "cross_entropy", "balanced": True}
SOFT_TARGETS = {"name": "integrated_soft_targets", "temperature": 2.0}
ANGLES, COSINE = {"name": "angle_relation"}, {"name": "cosine_embedding"}
ALL_HINTS = {"name": "hint"}  # every layer of the student
HINTS = {**ALL_HINTS, "groups": [["block_1"], ["block_3"]]}  # one layer a teacher
TRUST = {"weighting": {"name": "adapter"}, "gate": {"name": "teacher_error"}}
ROWS = {
    "labels alone (1)": {},
    "+ integrated soft targets (7)-(8)": {"distill": [SOFT_TARGETS]},
    "+ these, Adapter (5)-(6) and gate (12)-(13)": {**TRUST, "distill": [SOFT_TARGETS]},
    "+ angle relation (9)-(10)": {"distill": [ANGLES]},
    "+ hint (11), one layer a teacher": {"distill": [HINTS]},
    "+ hint (11), all five layers": {"distill": [ALL_HINTS]},
    "+ cosine embedding (14)": {"distill": [COSINE]},
    "+ (5)-(13), hint of one layer a teacher": {**TRUST, "distill": [SOFT_TARGETS, ANGLES, HINTS]},
    "+ (5)-(14), the same": {**TRUST, "distill": [SOFT_TARGETS, ANGLES, HINTS, COSINE], "complementary": True},
}


def stepper(student, spec: dict):
    """A function that trains one step with the objective ``spec`` and returns its CPU seconds."""
    objective = build_objective(
        {"task": TASK, **spec},
        num_classes=CLASSES,
        class_counts=[60] * CLASSES,
        num_teachers=len(FRAME_DIMS),
        teacher_frame_dims=FRAME_DIMS,
        teacher_embedding_dims=EMBEDDING_DIMS,
        **student.output_dims(),
    )
    optimizer = torch.optim.AdamW([*student.parameters(), *objective.parameters()], lr=1e-4, weight_decay=0.05)

    def step(waveforms, lengths, teacher, labels) -> float:
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            result = objective(student(waveforms, lengths), teacher, labels)
        result.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - start

    return step


def made_up(batch: int) -> tuple:
    """One batch of noise: waveforms, lengths, teachers and labels."""
    teacher = TeacherOutput(
        logits=torch.randn(len(FRAME_DIMS), batch, CLASSES),
        embedding=tuple(torch.randn(batch, dim) for dim in EMBEDDING_DIMS),
        frames=tuple(torch.randn(batch, FRAMES, dim) for dim in FRAME_DIMS),
        lengths=torch.ones(batch),
    )
    waveforms = 0.1 * torch.randn(batch, WINDOW_S * SAMPLE_RATE_HZ)
    return waveforms, torch.ones(batch), teacher, torch.randint(CLASSES, (batch,))


def main(argv: list[str]) -> int:
    if len(argv) > 2 or not all(value.isdigit() and int(value) > 0 for value in argv):
        print(__doc__, file=sys.stderr)
        return 2
    batch, rounds = (int(value) for value in [*argv, *("64", "15")[len(argv) :]])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student = STUDENTS.build("micro_cnn", num_classes=CLASSES).train()
    steps = {title: stepper(student, spec) for title, spec in ROWS.items()}
    data = made_up(batch)
    times = [[step(*data) for step in steps.values()] for _ in range(rounds + 1)][1:]  # the first warms up
    print(f"| objective, batch {batch} | CPU ms a step | over labels alone |")
    print("|---|---:|---:|")
    for column, title in enumerate(steps):
        ms = 1e3 * statistics.median(row[column] for row in times)
        ratio = statistics.median(row[column] / row[0] for row in times)
        print(f"| {title} | {ms:.1f} | {100 * (ratio - 1):+.1f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
