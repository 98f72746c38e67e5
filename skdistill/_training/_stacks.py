"""Which nets are trained together: those of one shape."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from skdistill._students._encoded_rows import EncodedRows
from skdistill._training._lesson import Lesson
from skdistill._training._nets import options_of, pacers_of, stacked_outputs
from skdistill.utils._fingerprint import fingerprint
from skdistill.utils._probabilities import first

# On a CPU, a larger stack takes more time for each of its nets.
MAX_NETS = 12

# Optimizers that treat each weight by itself.
_ELEMENTWISE = {
    getattr(torch.optim, name)
    for name in ("Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
}


def stacks_of(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """Sort lessons, whose nets are initialized, into those that are learned together.

    Nets of one stack differ in their weights, rows, temperature and alpha, the weight
    of the loss, and the options of the optimizer.
    """
    if len(lessons) < 2:
        return [[lesson] for lesson in lessons]
    _share_inputs(lessons)
    groups: dict[Any, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        groups[_shape(lesson)].append(lesson)
    stacks = []
    for group in groups.values():
        group.sort(key=lambda lesson: options_of(lesson.net))
        on_cpu = torch.device(group[0].net.device).type == "cpu"
        n_stacks = math.ceil(len(group) / MAX_NETS) if on_cpu else 1
        parts = np.array_split(np.arange(len(group)), n_stacks)
        stacks += [[group[number] for number in part] for part in parts]
    return stacks


def _share_inputs(lessons: Sequence[Lesson]) -> None:
    """Let lessons with equal inputs have one array."""
    known: dict[str, Any] = {}
    for lesson in lessons:
        if isinstance(lesson.X, np.ndarray):
            mark = fingerprint(lesson.X)
            lesson.X = known.setdefault(mark.checksum, lesson.X) if mark else lesson.X


def _shape(lesson: Lesson) -> Any:
    """Return what nets have in common that can be trained in one stack.

    It is unique for a net that can not.
    """
    net = lesson.net
    lesson.alone = _why_alone(lesson)
    if lesson.alone is not None:
        return id(lesson)
    with lesson.hooked():
        _, numbers = lesson.split(net)
    skeleton = copy.deepcopy(net.module_)
    with torch.no_grad():
        for weight in skeleton.parameters():
            weight.zero_()
    mark = fingerprint(skeleton)
    return (
        id(lesson) if mark is None else mark.checksum,
        type(net.optimizer_),
        lesson.X.shape,
        lesson.rows.soft.shape,
        net.batch_size,
        net.max_epochs,
        str(net.device),
        repr(net.get_params_for("iterator_train")),
        tuple(map(len, numbers)),
        tuple(map(type, pacers_of(net))),
    )


def _why_alone(lesson: Lesson) -> str | None:
    """Say why a net cannot be trained with others; None if it can."""
    net, module = lesson.net, lesson.net.module_
    if isinstance(lesson.X, EncodedRows):
        return "the rows are so many that they are encoded batch by batch"
    if not isinstance(lesson.X, np.ndarray):
        return "the student's input is sparse"
    if not lesson.is_new:
        return "the student has learned before, or has warm_start"
    if type(net.optimizer_) not in _ELEMENTWISE or len(net.optimizer_.param_groups) > 1:
        return "the student's optimizer does not treat each weight by itself"
    parameters = list(module.parameters())
    if not all(p.requires_grad and p.dtype == torch.float32 for p in parameters):
        return "the student has weights that are fixed, or not float32"
    if not parameters or any(True for _ in module.buffers()):
        return "the student's module has no weights, or keeps statistics"
    module.train()
    example = torch.tensor(lesson.X[:2]).to(net.device)
    weights = {name: w.detach()[None] for name, w in module.named_parameters()}
    try:
        outputs = stacked_outputs(module, weights, example[None])[0]
    except (RuntimeError, NotImplementedError):
        return "the student's module draws, or cannot be stacked"
    with torch.no_grad():
        expected = first(module(example))
    if not torch.allclose(outputs, expected, rtol=1e-4, atol=1e-5, equal_nan=True):
        return "the student's module gives something else in a stack"
    return None
