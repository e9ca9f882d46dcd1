"""NVIDIA's own client against the teacher service: argument 1 is host:port, 2 a raw file of [4,32,32,3] uint8 pixels.

Prints what it saw as one JSON object; refusals as [status, message].
"""

import json
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

address, file = sys.argv[1:]
pixels = np.fromfile(file, np.uint8).reshape(4, 32, 32, 3)
client = http.InferenceServerClient(address, concurrency=4)


def tensor(array, binary=True, name="images", datatype=None):
    made = http.InferInput(name, list(array.shape), datatype or {"uint8": "UINT8", "float32": "FP32"}[str(array.dtype)])
    return made.set_data_from_numpy(array, binary_data=binary)


def logits(result):
    return result.as_numpy("logits").tolist()


def refused(*arguments, **named):
    try:
        client.infer(*arguments, **named)
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


version = client.get_model_metadata("tiny")["versions"][-1]
named = lambda binary: [http.InferRequestedOutput("logits", binary_data=binary)]
images = tensor(pixels)
with_id = client.infer("tiny", [images], request_id="step-7", outputs=named(True))
waiting = [client.async_infer("tiny", [tensor(pixels[i : i + 1])]) for i in range(4)]

print(
    json.dumps(
        {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "modelReady": client.is_model_ready("tiny"),
            "versionReady": client.is_model_ready("tiny", "1"),
            "otherReady": client.is_model_ready("none"),
            "otherVersionReady": client.is_model_ready("tiny", "2"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata("tiny", "1"),
            "config": client.get_model_config("tiny"),
            "logits": {
                "bytes in and out": logits(client.infer("tiny", [images])),
                "bytes in, numbers out": logits(client.infer("tiny", [images], outputs=named(False))),
                "numbers in, bytes out": logits(client.infer("tiny", [tensor(pixels, False)], outputs=named(True))),
                "numbers in and out": logits(client.infer("tiny", [tensor(pixels, False)], outputs=named(False))),
                "floats as bytes": logits(client.infer("tiny", [tensor(pixels.astype(np.float32))])),
                "floats as numbers": logits(client.infer("tiny", [tensor(pixels.astype(np.float32), False)])),
                "version 1": logits(client.infer("tiny", [images], model_version="1")),
                "its own version": logits(client.infer("tiny", [images], model_version=version)),
                "parameters": logits(client.infer("tiny", [images], parameters={"purpose": "eval", "mine": 1})),
                "time": logits(client.infer("tiny", [images], timeout=60_000_000, priority=1)),
                "compressed answer asked for": logits(
                    client.infer("tiny", [images], response_compression_algorithm="gzip")
                ),
                "four at once": [row for call in waiting for row in logits(call.get_result())],
            },
            "id": with_id.get_response()["id"],
            "modelVersion": with_id.get_response()["model_version"],
            "outputBytes": with_id.get_output("logits")["parameters"],
            "refused": {
                "shape": refused("tiny", [tensor(pixels[..., :2].copy())]),
                "rank": refused("tiny", [tensor(pixels[0])]),
                "type": refused("tiny", [tensor(pixels.astype(np.int32), datatype="INT32")]),
                "name": refused("tiny", [tensor(pixels, name="pixels")]),
                "output": refused("tiny", [images], outputs=[http.InferRequestedOutput("scores")]),
                "twice": refused("tiny", [images, images]),
                "model": refused("none", [images]),
                "version": refused("tiny", [images], model_version="2"),
                "classification": refused(
                    "tiny", [images], outputs=[http.InferRequestedOutput("logits", class_count=3)]
                ),
                "gzip": refused("tiny", [images], request_compression_algorithm="gzip"),
                "time": refused("tiny", [images], timeout=1),
                "purpose": refused("tiny", [images], parameters={"purpose": "evaluation"}),
            },
        }
    )
)
