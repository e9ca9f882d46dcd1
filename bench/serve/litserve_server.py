"""LitServe with a binary body: python litserve_server.py PORT ENGINE PATH THREADS MERGED SIDE IMAGES"""
import sys
from typing import Annotated

import litserve
import numpy as np
from fastapi import Depends, Request, Response
from forward import open_forward

port, engine, path, threads, merged, side, images = sys.argv[1:]
port, threads, merged, side, images = int(port), int(threads), int(merged), int(side), int(images)


async def raw_body(request: Request) -> bytes:
    return await request.body()


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        sizes = [images * count for count in range(1, merged + 1)]
        self.forward = open_forward(engine, path, threads, sizes, side)

    def decode_request(self, request: Annotated[bytes, Depends(raw_body)]) -> np.ndarray:
        pixels = np.frombuffer(request, "uint8").reshape(-1, side, side, 3)
        return pixels if pixels.flags.writeable else pixels.copy() if engine == "torch.compile" else pixels

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return inputs[0] if len(inputs) == 1 else np.concatenate(inputs)

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        return self.forward(pixels)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return [output[at : at + images] for at in range(0, len(output), images)]

    def encode_response(self, output: np.ndarray) -> Response:
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = Api(max_batch_size=merged, batch_timeout=0.002 if merged > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=False)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="error")
