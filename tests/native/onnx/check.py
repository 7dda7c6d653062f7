"""Checks an exported graph with ONNX's own checker and scores it with ONNX Runtime.

usage: check.py MODEL.onnx OUTPUT FEATURES SCORES

FEATURES and SCORES are raw little-endian f32: feature vectors and the scores that the filter's
engine gave them, one after the other. Prints the largest difference; exits 1 when it is over 1e-5.
"""

import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5


def main(model_path, output, features_path, scores_path):
    model = onnx.load(model_path)
    onnx.checker.check_model(model, full_check=True)
    opset = {entry.domain: entry.version for entry in model.opset_import}
    assert set(opset) == {""}, f"only standard operators are allowed, found domains {opset}"

    session = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    shapes = {entry.name: entry.shape for entry in session.get_outputs()}
    assert source.name == "features" and list(shapes)[0] == "scores", (source.name, shapes)
    width, targets = source.shape[1], shapes[output][1]
    features = np.fromfile(features_path, dtype="<f4").reshape(-1, 1, width)
    expected = np.fromfile(scores_path, dtype="<f4").reshape(-1, targets)
    assert len(features) == len(expected) > 0, (len(features), len(expected))

    scores = np.concatenate([session.run([output], {"features": row})[0] for row in features])
    difference = float(np.abs(scores - expected).max())
    print(f"{len(scores)} rows, largest difference {difference:.2e}")
    if not difference <= TOLERANCE:
        sys.exit(f"scores differ by {difference}, at most {TOLERANCE} is allowed")


if __name__ == "__main__":
    main(*sys.argv[1:])
