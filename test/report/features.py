"""Linear CKA and the few-shot linear probe of the arrays in an .npz, with numpy in float64, by their textbook forms.

usage: python3 features.py FILE        prints one JSON object
arrays: x [N,C], y [N,K] features of the same images; shots [S,C], shotLabels [S]; tested [T,C]; l2 [1], classes [1]
"""

import json
import sys

import numpy as np

arrays = {name: array.astype(np.float64) for name, array in np.load(sys.argv[1]).items()}


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def probe(x, labels, tested, l2, classes):
    mean, deviation = x.mean(0), x.std(0) + 1e-5
    bias = lambda a: np.pad((a - mean) / deviation, ((0, 0), (0, 1)), constant_values=100.0)
    x, tested = bias(x), bias(tested)
    y = 2.0 * np.eye(classes)[labels.astype(int)] - 1.0
    # Least squares with the regularisation as further rows, which share no formula with a closed form.
    more = np.sqrt(l2) * np.eye(x.shape[1])
    weights = np.linalg.lstsq(np.vstack([x, more]), np.vstack([y, np.zeros((len(more), classes))]), rcond=None)[0]
    return tested @ weights


scores = probe(arrays["shots"], arrays["shotLabels"], arrays["tested"], arrays["l2"][0], int(arrays["classes"][0]))
ordered = np.sort(scores, axis=1)
print(json.dumps({
    "cka": cka(arrays["x"], arrays["y"]),
    "choices": scores.argmax(1).tolist(),
    "narrowest": float((ordered[:, -1] - ordered[:, -2]).min()),
}))
