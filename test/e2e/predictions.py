"""Recomputes the figures of a run from predictions-<split>.npz, with numpy alone.

usage: python3 predictions.py RUN        prints one JSON object {split: {accuracy, agreement, kl, ...}}
"""

import glob
import json
import os
import re
import sys

import numpy as np


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def top(x, k):
    """The first k choices of every row; of equals the first class first."""
    return np.argsort(-x, axis=1, kind="stable")[:, :k]


def share_right(x, answers, k):
    """Share of the rows with an answer (those that are not -1) that have one among their first k choices."""
    right = (top(x, k)[:, :, None] == answers[:, None, :]) & (answers >= 0)[:, None, :]
    return float(right.any((1, 2))[(answers >= 0).any(1)].mean())


def figures(path):
    with np.load(path, allow_pickle=False) as arrays:
        student = arrays["student"].astype(np.float64)
        answers = arrays["answers"] if "answers" in arrays else arrays["labels"][:, None]
        teacher = arrays["teacher"].astype(np.float64) if "teacher" in arrays else None
    out = {"accuracy": share_right(student, answers, 1), "accuracyTop5": share_right(student, answers, 5)}
    if teacher is not None:
        first = top(teacher, 1)
        out["teacherAccuracy"] = share_right(teacher, answers, 1)
        out["teacherAccuracyTop5"] = share_right(teacher, answers, 5)
        out["agreement"] = float((student.argmax(1) == teacher.argmax(1)).mean())
        out["agreementTop5"] = share_right(student, first, 5)
        t, s = log_softmax(teacher), log_softmax(student)
        t = np.log(np.clip(np.exp(t), 1e-8, None))
        out["kl"] = float((np.exp(log_softmax(teacher)) * (t - s)).sum(1).mean())
        out["euclidean"] = float(np.linalg.norm(student - teacher, axis=1).mean())
    return out


run = sys.argv[1]
found = sorted(glob.glob(os.path.join(run, "predictions-*.npz")))
print(json.dumps({re.search(r"predictions-(.+)\.npz$", p).group(1): figures(p) for p in found}))
