import { rmSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { readTeacherConfig } from "../../teacher-service/config/config.ts";
import { start } from "../../teacher-service/forward/model-worker.ts";
import { openModel } from "../../teacher-service/life/model.ts";
import { openLog } from "../../teacher-service/observe/log.ts";
import { passOptions } from "../../teacher-service/queue/pass-options.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

async function openTiny() {
  const { configPath, weightsPath } = await writeTeacher({ batchSizes: [4] });
  const service = readTeacherConfig(configPath);
  const config = service.models.tiny!;
  const threads: Worker[] = [];
  const onThread = (thread: Worker) => void threads.push(thread);
  process.on("worker", onThread);
  const model = openModel("tiny", config, {
    ...passOptions(service, config),
    threads: 1,
    log: openLog("silent"),
  });
  await model.load();
  const ask = (count = 2) =>
    model
      .requireReady()
      .ask(
        { dtype: "uint8", shape: [count, 32, 32, 3], data: noise(count * 32 * 32 * 3) },
        { team: "local", purpose: "train" },
        new AbortController().signal,
      )
      .then(({ logits }) => logits);
  return {
    model,
    ask,
    weightsPath,
    /** Ends the thread as a lack of memory would. */
    kill: () => threads.at(-1)!.terminate(),
    end: () => {
      process.off("worker", onThread);
    },
  };
}

test("a model whose thread dies fails what it was computing, loads again and answers as before", async () => {
  const { model, ask, kill, end } = await openTiny();
  const before = await ask();
  const { version } = model.card();
  const lost = expect(ask(1000)).rejects.toThrow("ended");
  await kill();
  await lost;
  expect(model.card().state).toBe("loading");
  expect(ask).toThrow(expect.objectContaining({ code: "loading", status: 503 }));
  await expect.poll(() => model.card().state, { timeout: 10_000 }).toBe("ready");
  expect(model.card().version).toBe(version);
  expect(await ask()).toEqual(before);
  end();
});

test("a model that cannot be loaded again has failed", async () => {
  const { model, ask, kill, end, weightsPath } = await openTiny();
  rmSync(weightsPath);
  await kill();
  await expect.poll(() => model.card().state, { timeout: 10_000 }).toBe("failed");
  expect(ask).toThrow(expect.objectContaining({ code: "internal", status: 500 }));
  end();
});

test("all batch sizes share one copy of the weights, and any number of images is one", async () => {
  const { configPath } = await writeTeacher({});
  const api = await start({ model: readTeacherConfig(configPath).models.tiny!, threads: 1 });
  const data = noise(32 * 32 * 3);
  const pass = (size: number) => {
    const images = { dtype: "uint8" as const, shape: [1, 32, 32, 3] as const, data };
    return api.compute({ size, slices: [{ images, from: 0, count: 1 }] });
  };
  const [one, many] = [await pass(1), await pass(33)];
  expect(one).toHaveLength(7);
  one.forEach((value, i) => {
    expect(value).toBeCloseTo(many[i]!, 4);
  });
});
