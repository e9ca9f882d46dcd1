"""KServe's own client against the teacher service: argument 1 is its URL, 2 a raw file of [4,32,32,3] uint8 pixels."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferInput, InferRequest, InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url, file = sys.argv[1:]
pixels = np.fromfile(file, np.uint8).reshape(4, 32, 32, 3)


def request(binary_in, binary_out):
    tensor = InferInput("images", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary_in)
    output = RequestedOutput("logits", parameters={"binary_data": binary_out})
    return InferRequest(model_name="tiny", infer_inputs=[tensor], request_outputs=[output], request_id="step-9")


async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    seen = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "modelReady": await client.is_model_ready(url, "tiny"),
        "logits": [],
    }
    for binary_in in (True, False):
        for binary_out in (True, False):
            answer = await client.infer(url, request(binary_in, binary_out), model_name="tiny")
            seen["logits"].append(answer.outputs[0].as_numpy().tolist())
            seen["id"] = answer.id
    await client.close()
    print(json.dumps(seen))


asyncio.run(main())
