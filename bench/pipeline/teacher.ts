import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BitConfig, writeWeights } from "@funmatch/models";
import { startTeacherService } from "funmatch-teacher/dev";
import { stringify } from "yaml";
import { randomBit } from "../../test/teacher-service/tiny-teacher.ts";
import { askChild } from "../ask-child.ts";
import { noiseBytes } from "../noise.ts";
import type { LoadAnswer, LoadOrder } from "../serve/client.ts";
import { bind, type Cores } from "./cores.ts";

/** The teacher service, bound to its core. */
export interface Teacher {
  url: string;
  /** Images a second that it answers without a link, to clients which always have a request waiting. */
  alone(o: { batch: number; seconds: number }): Promise<number>;
  stop(): Promise<void>;
}

/** As many as a student's window: the queue is never empty, and the service may merge as it does in a run. */
const CLIENTS = 8;

/** Starts the real service with a network of random weights, one thread, and answers once it can be asked. */
export async function startTeacher(
  network: BitConfig,
  o: { folder: string; resolution: number; batch: number; cores?: Cores },
): Promise<Teacher> {
  const { folder, resolution, batch, cores } = o;
  await writeWeights(join(folder, "teacher.npz"), randomBit(network));
  const path = join(folder, "teacher.yaml");
  const model = { format: "npz", path: "teacher.npz", resolution, valueRange: [-1, 1] };
  writeFileSync(
    path,
    stringify({
      ...{ listen: { port: 0 }, models: { bench: model }, threads: 1, logLevel: "warn" },
      batchSizes: [batch, 2 * batch],
    }),
  );
  const { url, child, close } = await startTeacherService(path);
  bind(child.pid!, cores?.teacher);
  return {
    url,
    async alone({ batch, seconds }) {
      const client = fork(new URL("../serve/client.ts", import.meta.url));
      try {
        bind(client.pid!, cores?.student);
        const order: LoadOrder = {
          ...{ url: `${url}/v1/models/bench/logits`, protocol: "funmatch", clients: CLIENTS },
          shape: [batch, resolution, resolution, 3],
          pixels: Buffer.from(noiseBytes("views", batch * resolution ** 2 * 3)).toString("base64"),
          ...{ warmUpSeconds: seconds / 5, seconds },
        };
        const answer = await askChild<LoadAnswer>(client, order);
        return (answer.answered * batch) / answer.seconds;
      } finally {
        client.kill();
      }
    },
    stop: async () => void (await close()),
  };
}
