"""KServe's Python server with a binary body: python kserve_server.py PORT ENGINE PATH THREADS MERGED SIDE IMAGES

Its Python server has no batching of its own; requests that wait are merged here, as in its documentation's custom
predictors, and computed in one thread beside the event loop. Bytes on the V1 route come through unchanged; its binary
V2 tensors are turned into Python lists on their way.
"""
import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import kserve
import numpy as np
from forward import open_forward

port, engine, path, threads, merged, side, images = sys.argv[1:]
port, threads, merged, side, images = int(port), int(threads), int(merged), int(side), int(images)


class Predictor(kserve.Model):
    def __init__(self) -> None:
        super().__init__("bench")
        sizes = [images * count for count in range(1, merged + 1)]
        self.forward = open_forward(engine, path, threads, sizes, side)
        self.thread = ThreadPoolExecutor(1)
        self.waiting: list[tuple[np.ndarray, asyncio.Future]] = []
        self.working = False
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, kserve.InferRequest):
            logits = await self.turn(payload.inputs[0].as_numpy())
            output = kserve.InferOutput("logits", list(logits.shape), "FP32")
            output.set_data_from_numpy(logits, binary_data=True)
            return kserve.InferResponse(payload.id, self.name, [output], use_binary_outputs=True)
        pixels = np.frombuffer(bytearray(payload) if engine == "torch.compile" else payload, "uint8")
        return (await self.turn(pixels.reshape(-1, side, side, 3))).tobytes()

    async def turn(self, pixels: np.ndarray) -> np.ndarray:
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append((pixels, answer))
        if not self.working:
            self.working = True
            asyncio.create_task(self.work())
        return await answer

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            taken, self.waiting = self.waiting[:merged], self.waiting[merged:]
            batch = taken[0][0] if len(taken) == 1 else np.concatenate([pixels for pixels, _ in taken])
            logits = await loop.run_in_executor(self.thread, self.forward, batch)
            for at, (_, answer) in enumerate(taken):
                answer.set_result(logits[at * images : (at + 1) * images])
        self.working = False


if __name__ == "__main__":
    server = kserve.ModelServer(
        http_port=port, enable_grpc=False, workers=1, enable_latency_logging=False, access_log_format=None
    )
    server.start([Predictor()])
