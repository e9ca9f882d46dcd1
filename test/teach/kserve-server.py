"""KServe's own Python server with a model in numpy: the mean colour of an image times fixed weights."""

import sys

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer

WEIGHTS = (np.arange(15, dtype=np.float64).reshape(3, 5) * 7 % 11 - 5) / 10


class Mean(Model):
    def __init__(self):
        super().__init__("mean")
        self.ready = True

    def get_input_types(self):
        return [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]

    def get_output_types(self):
        return [{"name": "scores", "datatype": "FP32", "shape": [-1, 5]}]

    def predict(self, request, headers=None, response_headers=None):
        images = request.inputs[0].as_numpy()
        scores = (images.astype(np.float64).mean(axis=(1, 2)) @ WEIGHTS).astype(np.float32)
        output = InferOutput("scores", list(scores.shape), "FP32")
        output.set_data_from_numpy(scores, binary_data=False)
        return InferResponse(
            response_id=request.id,
            model_name="mean",
            infer_outputs=[output],
            requested_outputs=request.request_outputs,
            use_binary_outputs=request.use_binary_outputs,
        )


print("starting", flush=True)
ModelServer(http_port=int(sys.argv[1]), enable_grpc=False).start([Mean()])
