import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { membersOf, type NetworkConfig } from "../config/model-config.ts";
import { type Admit, NoMemory } from "./admission.ts";
import type { Model } from "./model.ts";
import { pictureOf } from "./picture.ts";

/** Which models are in memory: loads one at a time, unloads what nobody uses, or what others need the memory of. */
export interface Residency {
  readonly admit: Admit;
  close(): void;
}

/** A trainer that computes a step of its own asks nothing meanwhile, and still uses its teacher. */
const IN_USE_SECONDS = 30;
/** How often a model that waits for memory looks again, and idle ones are looked for. */
const EVERY_MS = 250;

/**
 * @param o.models as they are opened; read whenever memory or time is looked at
 * @param o.memory resident bytes that the process may take
 * @param o.unloadAfterSeconds without a request; never if it is not given
 * @param o.inUseSeconds after a request, for which a model is not unloaded for lack of memory
 */
export function openResidency(o: {
  models: ReadonlyMap<string, Model>;
  memory: number;
  unloadAfterSeconds?: number;
  inUseSeconds?: number;
  batchSizes: readonly number[];
  log: Logger;
}): Residency {
  const { models, memory, unloadAfterSeconds = Number.POSITIVE_INFINITY } = o;
  const inUseSeconds = Math.min(o.inUseSeconds ?? IN_USE_SECONDS, unloadAfterSeconds);
  /** What the process takes without any model: Node, and the engine once it is loaded. */
  let own = process.memoryUsage.rss();
  let unloadedAny = false;
  let turn: Promise<unknown> = Promise.resolve();
  let inLine = 0;

  const idleSeconds = (model: Model) => (performance.now() - model.usage.lastUsed) / 1000;
  const loaded = () => [...models.values()].filter(({ usage }) => usage.ready);
  const taken = () => loaded().reduce((sum, { usage }) => sum + (usage.bytes ?? 0), own);
  const free = () => loaded().filter((model) => model.usage.holds === 0);

  async function unload(model: Model, why: "idle" | "memory"): Promise<void> {
    unloadedAny = true;
    await model.unload(why);
  }

  /** Unloads the one that was not used for the longest time, if any is unused; false if there is none. */
  async function makeRoom(except?: Model): Promise<boolean> {
    const [oldest] = free()
      .filter((model) => model !== except && idleSeconds(model) >= inUseSeconds)
      .sort((a, b) => a.usage.lastUsed - b.usage.lastUsed);
    if (oldest) await unload(oldest, "memory");
    return oldest !== undefined;
  }

  const admit: Admit = async (model, { atStart, tell }) => {
    const before = turn;
    const { promise, resolve: pass } = Promise.withResolvers<void>();
    turn = promise;
    if (inLine++ > 0) tell("waits for another model's load", 5);
    await before;
    try {
      const bytes = model.usage.bytes ?? (await guessedBytes(model, o.batchSizes));
      // One that fits nowhere is tried when it is alone: the guess may be wrong.
      while (taken() + bytes > memory && loaded().length > 0) {
        if (atStart)
          throw new NoMemory(
            `${inMiB(taken())} of ${inMiB(memory)} are taken, it needs about ${inMiB(bytes)}`,
          );
        if (await makeRoom()) continue;
        const others = loaded();
        const soonest = Math.min(...others.map((each) => Math.max(1, inUseSeconds - idleSeconds(each))));
        tell(`waits for memory: ${others.map(({ id }) => id).join(", ")} in use`, soonest);
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      }
    } catch (error) {
      inLine--;
      pass();
      throw error;
    }
    return async (found) => {
      // What an unloaded model left with the allocator is used again, and would be counted twice.
      if (found && found.bytesBefore > 0 && !unloadedAny) {
        const others = loaded().filter((each) => each !== model);
        own = Math.max(
          own,
          found.bytesBefore - others.reduce((sum, { usage }) => sum + (usage.bytes ?? 0), 0),
        );
      }
      while (taken() > memory && (await makeRoom(model)));
      if (taken() > memory)
        o.log.warn(
          {
            model: model.id,
            takenMiB: Math.round(taken() / 2 ** 20),
            memoryMiB: Math.round(memory / 2 ** 20),
          },
          "the models take more than the memory that they may",
        );
      inLine--;
      pass();
    };
  };

  const sweep = setInterval(() => {
    for (const model of free()) if (idleSeconds(model) >= unloadAfterSeconds) void unload(model, "idle");
  }, EVERY_MS).unref();

  return { admit, close: () => clearInterval(sweep) };
}

/** Activations of a batch, by the bytes of its images in float32: 24 to 25 times, in a ResNet-50 and an EfficientNet. */
const ACTIVATIONS = 25;

/** What a model that was never loaded may take: its weights, read and prepared, and a pass of the largest size. */
async function guessedBytes({ config }: Model, batchSizes: readonly number[]): Promise<number> {
  const weights = await Promise.all(membersOf(config).map(bytesOnDisk));
  const { resolution } = pictureOf(config);
  const images = Math.max(...(config.batching?.sizes ?? batchSizes)) * resolution * resolution * 3 * 4;
  return 2 * weights.reduce((sum, bytes) => sum + bytes, 0) + ACTIVATIONS * images;
}

/** Of a file, or of all files in a directory; 0 of what cannot be read, which loading will tell. */
async function bytesOnDisk({ path }: NetworkConfig): Promise<number> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return found.size;
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const sizes = await Promise.all(files.map((each) => stat(join(each.parentPath, each.name))));
    return sizes.reduce((sum, { size }) => sum + size, 0);
  } catch {
    return 0;
  }
}

function inMiB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
