import { spawnEngineWorker } from "@funmatch/engine";
import type { Card } from "@funmatch/wire";
import type { Answer, Call, SentViews, Teacher } from "../client.ts";
import { TeacherError } from "../errors.ts";
import { pinned } from "../pin.ts";
import type { InProcessApi, TeacherFacts, TeacherInit } from "./worker.ts";

/** Images of one forward pass, at most: more at once is hardly faster and takes more memory. */
const IMAGES = 128;

/**
 * Opens a network from an `.npz` as a teacher in this process, in an engine thread of its own: that of a teacher
 * service without the way there. Its version is the one that a service would tell of the same file. The thread hashes
 * the bytes that it computes from, so its answers are verified as a service's are.
 *
 * Student and teacher share TensorFlow's pool of threads, so together they use no more than the run's `threads`.
 *
 * @param o.images a request's at most; of fewer the pass is as long
 * @throws ArrayFileError when the file holds no network
 * @throws TeacherError when it is another than pinned
 */
export async function openInProcessTeacher(
  o: Omit<TeacherInit, "batch"> & { images: number; pinnedVersion?: string },
): Promise<Teacher> {
  const { path, resolution, valueRange, pinnedVersion } = o;
  const init: TeacherInit = { path, resolution, valueRange, batch: Math.min(o.images, IMAGES) };
  const thread = await spawnEngineWorker<InProcessApi>(new URL("./worker.ts", import.meta.url), init);
  try {
    const facts = await thread.call("facts", null);
    const version = pinned(path, facts.version, pinnedVersion);
    const askIn = async (
      range: [number, number] | undefined,
      { data, shape, digest }: SentViews,
      call: Call,
    ): Promise<Answer> => {
      call.signal?.throwIfAborted();
      const answer = await thread.call("answer", { images: data, count: shape[0], valueRange: range });
      const who = `${path}, request ${call.requestId}`;
      if (answer.digest !== digest)
        throw new TeacherError("digest", `${who}: the answer is for ${answer.digest}, asked was ${digest}`);
      const bad = answer.logits.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw new TeacherError("non-finite", `${who}: logit ${bad} is ${answer.logits[bad]}`);
      return { logits: answer.logits, version, cache: "none" };
    };
    return {
      ...{ url: path, echoesDigest: true, card: cardOf(init, facts) },
      limits: { maxImages: init.batch, maxBodyBytes: 2 ** 31, timeoutMs: 2 ** 31 - 1 },
      ask: (views, call) => askIn(undefined, views, call),
      askInRange: askIn,
      close: () => thread.terminate(),
    };
  } catch (error) {
    await thread.terminate();
    throw error;
  }
}

function cardOf({ path, resolution, valueRange, batch }: TeacherInit, facts: TeacherFacts): Card {
  return {
    id: path.replace(/^.*[\\/]/, ""),
    version: facts.version,
    classes: facts.classes,
    input: { resolution, valueRange, channels: 3, dtypes: ["uint8"], resizes: false },
    maxBatch: batch,
    state: "ready",
    bitStable: facts.bitStable,
    parameters: facts.parameters,
    runtime: facts.runtime,
  };
}
