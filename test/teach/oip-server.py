"""A small server of the Open Inference Protocol, version 2, in numpy and the standard library alone.

Its model multiplies the mean colour of an image by fixed weights: logits[n, k] = sum_c mean_c(image n) * weights[c, k].
Arguments: a JSON object; `binary` whether it speaks the binary tensor extension, `datatype`, `layout`, `shape` of the
input as its metadata tell it, `kind` of the output (logits, probabilities), `versions`. Prints its port.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

O = json.loads(sys.argv[1])
DTYPES = {"UINT8": np.uint8, "FP32": np.float32, "FP64": np.float64}
WEIGHTS = (np.arange(15, dtype=np.float64).reshape(3, 5) * 7 % 11 - 5) / 10


def infer(images):
    means = images.astype(np.float64).mean(axis=(1, 2) if O["layout"] == "nhwc" else (2, 3))
    logits = means @ WEIGHTS
    if O["kind"] == "logits":
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in {"content-length": len(body), "content-type": "application/json", **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        tensor = lambda name, datatype, shape: {"name": name, "datatype": datatype, "shape": shape}
        pages = {
            "/v2": {"name": "small", "version": "1", "extensions": ["binary_tensor_data"] if O["binary"] else []},
            "/v2/models/mean": {
                "name": "mean",
                "versions": O["versions"],
                "platform": "numpy",
                "inputs": [tensor("images", O["datatype"], O["shape"])],
                "outputs": [tensor("scores", O["output"], [-1, 5])],
            },
        }
        page = pages.get(self.path)
        if page is None:
            return self.answer(404, b'{"error": "no such model"}')
        self.answer(200, json.dumps(page).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        header = self.headers.get("inference-header-content-length")
        end = len(body) if header is None else int(header)
        request = json.loads(body[:end])
        tensor = request["inputs"][0]
        if O["binary"] != (header is not None):
            return self.answer(400, b'{"error": "tensors of the wrong kind"}')
        if header is None:
            values = np.array(tensor["data"], DTYPES[tensor["datatype"]])
        else:
            values = np.frombuffer(body[end:], DTYPES[tensor["datatype"]])
            assert tensor["parameters"]["binary_data_size"] == len(body) - end
        fixed = [size for size in O["shape"] if size > 0]
        told = [size for size, wanted in zip(tensor["shape"], O["shape"]) if wanted > 0]
        if fixed != told:
            return self.answer(400, json.dumps({"error": f"shape {tensor['shape']}"}).encode())
        scores = infer(values.reshape(tensor["shape"])).astype(DTYPES[O["output"]])
        output = {"name": "scores", "datatype": O["output"], "shape": list(scores.shape)}
        answer = {"model_name": "mean", "id": request["id"], "outputs": [output]}
        if O["versions"]:
            answer["model_version"] = O["versions"][-1]
        if header is None:
            output["data"] = scores.tolist() if O["datatype"] == "UINT8" else scores.ravel().tolist()
            return self.answer(200, json.dumps(answer).encode())
        output["parameters"] = {"binary_data_size": scores.nbytes}
        head = json.dumps(answer).encode()
        self.answer(200, head + scores.tobytes(), {"inference-header-content-length": len(head)})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
