import { type EngineWorker, spawnEngineWorker } from "@funmatch/engine";
import { type Card, WireError } from "@funmatch/wire";
import type { Logger } from "pino";
import { type Batcher, type Images, openBatcher, type Pass } from "./batch.ts";
import type { BatchSize } from "./batch-size.ts";
import type { Facts } from "./formats/network.ts";
import { needsTensorflow } from "./formats/open.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelConfig } from "./model-config.ts";
import type { ModelApi, ModelInit } from "./model-worker.ts";
import type { PassOptions } from "./pass-options.ts";
import { pictureOf } from "./picture.ts";
import { admitted } from "./stability.ts";

const CHANNELS = 3;

/** One served network, from the first second of its loading on. */
export interface Model {
  card(): Card;
  /** @throws WireError `loading`, with progress and a guess at the time left, or `internal` when loading failed */
  requireReady(): ReadyModel;
  /**
   * @throws WireError `shape_mismatch` naming the shape that would be right
   */
  requireShape(shape: Images["shape"]): void;
  /** See {@link Batcher.backlogSeconds}; a guess while the model is loading. */
  readonly backlogSeconds: Batcher["backlogSeconds"];
  waitingRequests(): number;
  /** By batch size, as measured while loading; empty until the model is ready. */
  imagesPerSecond(): Record<number, number>;
  /** Settles when the model is ready for the first time; rejects with what went wrong. */
  readonly loaded: Promise<void>;
}

/** A model as it was loaded once: its answers are of this version, whatever is loaded after it. */
export interface ReadyModel {
  readonly version: string;
  readonly classes: number;
  /** Logits of images that {@link Model.requireShape} took; see {@link Batcher.ask}. */
  readonly ask: Batcher["ask"];
}

type State =
  | { at: "loading"; progress: number; since: number }
  | { at: "ready"; facts: Facts; batcher: Batcher; sizes: BatchSize[]; bitStable: boolean }
  | { at: "failed" };

/**
 * Starts loading a model in a thread of its own: weights, and probes of each batch size for bit
 * stability and speed. After that no request waits for a capture. A thread that dies (out of memory, say)
 * fails the requests it was computing and is replaced; until then the model is loading again.
 */
export function openModel(
  id: string,
  config: ModelConfig,
  o: PassOptions & { threads: number; log: Logger; metrics?: Metrics },
): Model {
  let state: State = { at: "loading", progress: 0, since: performance.now() };
  const { resolution, resizes } = pictureOf(config);

  async function load(): Promise<void> {
    const init: ModelInit = { model: config, threads: o.threads };
    const worker = await spawnEngineWorker<ModelApi>(new URL("./model-worker.ts", import.meta.url), init, {
      engine: needsTensorflow(config),
    });
    try {
      await prepare(worker);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    void worker.ended.then((error) => {
      o.log.error({ model: id, err: error }, "model died, is loaded again");
      state = { at: "loading", progress: 0, since: performance.now() };
      load().catch(fail);
    });
  }

  function fail(error: unknown): void {
    state = { at: "failed" };
    o.log.error({ model: id, err: error }, "model failed");
  }

  async function prepare(worker: EngineWorker<ModelApi>): Promise<void> {
    const started = performance.now();
    const facts = await worker.call("facts", null);
    checkLabels(config, facts);
    const probes = [];
    const wanted = facts.batchSizes ?? o.batchSizes;
    const work = wanted.reduce((sum, size) => sum + size, 0);
    for (const size of wanted) {
      probes.push(await worker.call("probe", { size }));
      if (state.at === "loading") state.progress += size / work;
    }
    const { probes: usable, bitStable } = admitted(probes);
    const sizes = usable.map(({ images, seconds }) => ({ images, seconds }));
    const batcher = openBatcher({
      sizes,
      ...o.batching,
      weightOf: o.weightOf,
      onDrop: (dropped) => o.metrics?.dropped({ model: id, ...dropped }),
      classes: facts.classes,
      compute: (pass) => compute(worker, pass, facts.classes),
    });
    state = { at: "ready", facts, batcher, sizes, bitStable };
    const best = Math.max(...usable.map((probe) => probe.images / probe.seconds));
    o.log.info(
      {
        model: id,
        version: facts.version,
        seconds: round((performance.now() - started) / 1000),
        batchSizes: sizes.map((size) => size.images),
        bitStable,
        imagesPerSecond: round(best),
      },
      "model ready",
    );
    if (!bitStable)
      o.log.warn(
        { model: id },
        "logits depend on the batch: resumed runs will differ from uninterrupted ones in the last bits",
      );
  }

  async function compute(worker: EngineWorker<ModelApi>, pass: Pass, classes: number): Promise<Float32Array> {
    const started = performance.now();
    const logits = await worker.call("compute", pass);
    const seconds = (performance.now() - started) / 1000;
    const images = pass.slices.reduce((sum, slice) => sum + slice.count, 0);
    if (logits.length !== images * classes)
      throw new Error(`the model gave ${logits.length} logits for ${images} images of ${classes} classes`);
    o.metrics?.pass({ model: id, images, size: pass.size, seconds });
    o.log.debug(
      { model: id, images, size: pass.size, requests: pass.slices.length, seconds: round(seconds) },
      "pass",
    );
    return logits;
  }

  function ready() {
    if (state.at === "ready") return state;
    if (state.at === "failed")
      throw new WireError("internal", `the model ${id} could not be loaded; the service's log says why`);
    throw new WireError("loading", `the model ${id} is loading: ${Math.round(state.progress * 100)} % done`, {
      retryAfterSeconds: secondsLeft(state),
      extra: { progress: round(state.progress) },
    });
  }

  const loaded = load().catch((error: unknown) => {
    fail(error);
    throw error;
  });
  // Whoever opened the model may look at `loaded` later; until then a failure is no unhandled rejection.
  loaded.catch(() => {});

  return {
    card: () => cardOf(id, config, state, o.batchSizes),
    requireReady() {
      const { facts, batcher } = ready();
      return { version: facts.version, classes: facts.classes, ask: batcher.ask };
    },
    requireShape([, height, width, channels]) {
      const wanted = `[N,${resolution},${resolution},${CHANNELS}]`;
      const got = `images of [${height},${width},${channels}]`;
      if (channels !== CHANNELS) throw new WireError("shape_mismatch", `${got}: ${id} takes ${wanted}`);
      if (!resizes && (height !== resolution || width !== resolution))
        throw new WireError("shape_mismatch", `${got}: ${id} takes ${wanted} and does not resize`);
    },
    backlogSeconds: (part, team) => (state.at === "ready" ? state.batcher.backlogSeconds(part, team) : 1),
    waitingRequests: () => (state.at === "ready" ? state.batcher.waitingRequests : 0),
    imagesPerSecond: () =>
      Object.fromEntries(
        state.at === "ready" ? state.sizes.map(({ images, seconds }) => [images, images / seconds]) : [],
      ),
    loaded,
  };
}

function cardOf(id: string, config: ModelConfig, state: State, batchSizes: readonly number[]): Card {
  const facts = state.at === "ready" ? state.facts : undefined;
  const sizes = state.at === "ready" ? state.sizes.map((size) => size.images) : batchSizes;
  return {
    id,
    version: facts?.version ?? "",
    classes: facts?.classes ?? 0,
    ...(facts && config.labels ? { labels: config.labels } : {}),
    input: { ...pictureOf(config), channels: CHANNELS, dtypes: ["uint8", "float32"] },
    maxBatch: Math.max(...sizes),
    state: state.at,
    ...(state.at === "loading" ? { progress: round(state.progress) } : {}),
    bitStable: state.at === "ready" && state.bitStable,
    parameters: facts?.parameters ?? 0,
    runtime: { ...facts?.runtime, ...(facts ? { batchSizes: sizes.join(" ") } : {}) },
  };
}

function checkLabels(config: ModelConfig, facts: Facts): void {
  if (config.labels && config.labels.length !== facts.classes)
    throw new Error(`labels: ${config.labels.length} are given, the weights have ${facts.classes} classes`);
}

/** A guess from the pace so far; before anything is known, a second. */
function secondsLeft(state: { progress: number; since: number }): number {
  if (state.progress === 0) return 1;
  const seconds = (performance.now() - state.since) / 1000;
  return Math.min(60, (seconds * (1 - state.progress)) / state.progress);
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
