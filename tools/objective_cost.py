"""The cost of the objective's terms, compared with the student that they train.

    python tools/objective_cost.py [batch size, default 64] [rounds, default 15]

A training step is cut in two, and both parts are timed in the same rounds, in CPU time of one thread with bfloat16
autocast, as the recipes train: what the student does (forward, backward from its outputs, AdamW), and what the
objective does (forward, backward to the student's outputs, AdamW for its own weights). The student is micro_cnn on
windows of 3 s. Two made-up teachers have the sizes of Whisper small and base: 150 frames of 768 and 512 numbers, stored
as float16.
"""

import statistics
import sys
import time
from dataclasses import replace

import torch

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import STUDENTS

CLASSES, WINDOW_S, FRAMES = 7, 3, 150
FRAME_DIMS, EMBEDDING_DIMS = [768, 512], [1536, 1024]
TASK = {"name": "cross_entropy", "balanced": True}
SOFT_TARGETS = {"name": "integrated_soft_targets", "temperature": 2.0}
ANGLES, COSINE = {"name": "angle_relation"}, {"name": "cosine_embedding"}
HINTS = {"name": "hint"}  # on every layer of the student
FEW_HINTS = {**HINTS, "groups": [["block_0", "block_1"], ["block_2", "block_3"]]}  # two layers a teacher
TRUST = {"weighting": {"name": "adapter"}, "gate": {"name": "teacher_error"}}
ROWS = {
    "labels alone (1)": {},
    "integrated soft targets (7)-(8)": {"distill": [SOFT_TARGETS]},
    "these, Adapter (5)-(6) and gate (12)-(13)": {**TRUST, "distill": [SOFT_TARGETS]},
    "angle relation (9)-(10)": {"distill": [ANGLES]},
    "hints (11), two layers a teacher": {"distill": [FEW_HINTS]},
    "hints (11), all five layers": {"distill": [HINTS]},
    "cosine embedding (14)": {"distill": [COSINE]},
    "(1)-(13), hints of two layers a teacher": {**TRUST, "distill": [SOFT_TARGETS, ANGLES, FEW_HINTS]},
    "(1)-(13), hints of all five layers": {**TRUST, "distill": [SOFT_TARGETS, ANGLES, HINTS]},
}


def stepper(student, spec: dict):
    """A function that trains one step with the objective ``spec`` and returns both parts' CPU seconds."""
    objective = build_objective(
        {"task": TASK, **spec},
        num_classes=CLASSES,
        class_counts=[60] * CLASSES,
        num_teachers=len(FRAME_DIMS),
        teacher_frame_dims=FRAME_DIMS,
        teacher_embedding_dims=EMBEDDING_DIMS,
        **student.output_dims(),
    )
    optimizers = [
        torch.optim.AdamW(list(module.parameters()), lr=1e-4, weight_decay=0.05) if list(module.parameters()) else None
        for module in (student, objective)
    ]

    def step(waveforms, lengths, teacher, labels) -> tuple[float, float]:
        clock = [time.process_time()]
        with torch.autocast("cpu", torch.bfloat16):
            output = student(waveforms, lengths)
        clock.append(time.process_time())
        cut = detached(output)
        with torch.autocast("cpu", torch.bfloat16):
            result = objective(cut, teacher, labels)
        result.total.backward()
        update(optimizers[1])
        clock.append(time.process_time())
        reached = [
            (mine, theirs.grad) for mine, theirs in zip(tensors(output), tensors(cut)) if theirs.grad is not None
        ]
        torch.autograd.backward(*zip(*reached))
        update(optimizers[0])
        clock.append(time.process_time())
        return clock[1] - clock[0] + clock[3] - clock[2], clock[2] - clock[1]

    return step


def tensors(output: ModelOutput) -> list[torch.Tensor]:
    """What an objective may read of a student."""
    return [output.logits, output.embedding, output.frames, *output.layers.values()]


def detached(output: ModelOutput) -> ModelOutput:
    """The same numbers, where gradients stop and are kept."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors(output)]
    return replace(
        output, logits=leaves[0], embedding=leaves[1], frames=leaves[2], layers=dict(zip(output.layers, leaves[3:]))
    )


def update(optimizer) -> None:
    if optimizer is not None:
        optimizer.step()
        optimizer.zero_grad()


def made_up(batch: int) -> tuple:
    """One batch of noise: waveforms, lengths, teachers and labels."""
    teacher = TeacherOutput(
        logits=torch.randn(len(FRAME_DIMS), batch, CLASSES),
        embedding=tuple(torch.randn(batch, dim) for dim in EMBEDDING_DIMS),
        frames=tuple(torch.randn(batch, FRAMES, dim).half() for dim in FRAME_DIMS),
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
    own = 1e3 * statistics.median(student_s for row in times for student_s, _ in row)
    print(f"| objective, batch {batch} | CPU ms | share of the student's {own:.0f} ms |")
    print("|---|---:|---:|")
    for column, title in enumerate(steps):
        ms = 1e3 * statistics.median(row[column][1] for row in times)
        print(f"| {title} | {ms:.1f} | {100 * ms / own:.1f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
