"""Recomputes accuracy and agreement of a run from predictions-<split>.npz, with numpy alone.

usage: python3 predictions.py RUN        prints one JSON object {split: {accuracy, agreement, kl}}
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


def figures(path):
    with np.load(path, allow_pickle=False) as arrays:
        student = arrays["student"].astype(np.float64)
        labels = arrays["labels"]
        teacher = arrays["teacher"].astype(np.float64) if "teacher" in arrays else None
    out = {"accuracy": float((student.argmax(1) == labels).mean())}
    if teacher is not None:
        out["teacherAccuracy"] = float((teacher.argmax(1) == labels).mean())
        out["agreement"] = float((student.argmax(1) == teacher.argmax(1)).mean())
        t, s = log_softmax(teacher), log_softmax(student)
        t = np.log(np.clip(np.exp(t), 1e-8, None))
        out["kl"] = float((np.exp(log_softmax(teacher)) * (t - s)).sum(1).mean())
    return out


run = sys.argv[1]
found = sorted(glob.glob(os.path.join(run, "predictions-*.npz")))
print(json.dumps({re.search(r"predictions-(.+)\.npz$", p).group(1): figures(p) for p in found}))
