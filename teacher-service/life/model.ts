import { type Card, WireError } from "@funmatch/wire";
import type { Logger } from "pino";
import type { ModelConfig } from "../config/model-config.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type Batcher, type Images, openBatcher, type Pass } from "../queue/batch.ts";
import type { PassOptions } from "../queue/pass-options.ts";
import { type Admit, NoMemory } from "./admission.ts";
import { CHANNELS, cardOf } from "./card.ts";
import { openDeaths } from "./deaths.ts";
import { figuresOf, type Loaded, loadModel } from "./loading.ts";
import { openPhases, type PhaseSeconds, type Phases, progressOf, total } from "./phases.ts";
import { pictureOf } from "./picture.ts";
import { readSeconds } from "./probe-record.ts";

/** One served network: unloaded, loading, ready, or failed for good. */
export interface Model {
  readonly id: string;
  readonly config: ModelConfig;
  card(): Card;
  /** Tells that somebody is about to use it: an unloaded model begins to load. */
  want(): void;
  /** @throws WireError `loading`, with progress and a guess at the time left, or `internal` when loading failed */
  requireReady(): ReadyModel;
  /** Keeps the model loaded until the returned function is called: a request is on its way to it. */
  hold(): () => void;
  /**
   * @throws WireError `shape_mismatch` naming the shape that would be right
   */
  requireShape(shape: Images["shape"]): void;
  /** See {@link Batcher.backlogSeconds}; a guess while the model is loading. */
  readonly backlogSeconds: Batcher["backlogSeconds"];
  waitingRequests(): number;
  /** By batch size, as measured while loading; empty until the model is ready. */
  imagesPerSecond(): Record<number, number>;
  /**
   * Loads it, if it is not loaded or loading already; settles when it is ready, rejects with what went wrong.
   *
   * @param o.atStart nobody waits for it yet: it does not push out others, see {@link Admit}
   */
  load(o?: { atStart?: boolean }): Promise<void>;
  /** Ends its thread, unless it is not ready or a request holds it. Its version stays known. */
  unload(why: UnloadReason): Promise<void>;
  readonly usage: Usage;
  /** Resolves when it has failed for good. */
  readonly failed: Promise<Error>;
}

export type UnloadReason = "idle" | "memory";

/** What decides whether a model stays in memory. */
export interface Usage {
  readonly ready: boolean;
  /** Requests that are arriving, waiting or being computed. */
  readonly holds: number;
  /** When the last one ended, or the model became ready (`performance.now()`). */
  readonly lastUsed: number;
  /** Resident memory that it takes, as measured when it was last loaded. */
  readonly bytes: number | undefined;
}

/** A model as it was loaded once: its answers are of this version, whatever is loaded after it. */
export interface ReadyModel {
  readonly version: string;
  readonly classes: number;
  /** Logits of images that {@link Model.requireShape} took; see {@link Batcher.ask}. */
  readonly ask: Batcher["ask"];
}

export interface ModelOptions extends PassOptions {
  threads: number;
  log: Logger;
  metrics?: Metrics;
  admit?: Admit;
}

type State =
  | { at: "unloaded" }
  | { at: "loading"; waits?: { why: string; seconds: number }; phases?: Phases; probed: number }
  | { at: "ready"; loaded: Loaded; batcher: Batcher }
  | { at: "failed" };

/**
 * A model that is not loaded yet. Once loaded it has a thread of its own; one that dies (out of memory, say) fails the
 * requests it was computing and is replaced, up to a few times: see {@link openDeaths}.
 */
export function openModel(id: string, config: ModelConfig, o: ModelOptions): Model {
  let state: State = { at: "unloaded" };
  let last: Omit<Loaded, "worker"> | undefined;
  let loading: Promise<void> | undefined;
  /** What its next load will take, by the last one. */
  let expected: PhaseSeconds | undefined;
  let holds = 0;
  let lastUsed = performance.now();
  const deaths = openDeaths();
  const failed = Promise.withResolvers<Error>();
  const { resolution, resizes } = pictureOf(config);

  function load({ atStart = false } = {}): Promise<void> {
    if (state.at === "unloaded") {
      state = { at: "loading", probed: 0 };
      loading = loadNow(atStart);
      // Whoever began it may look at it later; until then a failure is no unhandled rejection.
      loading.catch(() => {});
    }
    return loading ?? Promise.resolve();
  }

  async function loadNow(atStart: boolean): Promise<void> {
    try {
      expected ??= await readSeconds(config, o);
      const done = await o.admit?.(model, { atStart, tell: wait });
      const phases = openPhases();
      try {
        const begun = { at: "loading" as const, phases, probed: 0 };
        state = begun;
        const onProbed = (share: number) => {
          begun.probed = share;
        };
        begin(await loadModel(config, { ...o, phases, onProbed }));
      } finally {
        await done?.({ bytesBefore: phases.bytesBefore });
      }
    } catch (error) {
      if (error instanceof NoMemory) {
        state = { at: "unloaded" };
        o.log.warn({ model: id }, `not loaded at start: ${error.message}; the first request has it loaded`);
      } else fail(error);
      throw error;
    }
  }

  function wait(why: string, seconds: number): void {
    state = { at: "loading", probed: 0, waits: { why, seconds } };
  }

  function begin(loaded: Loaded): void {
    const { worker, facts, sizes, bitStable } = loaded;
    const changed = last && last.facts.version !== facts.version;
    const batcher = openBatcher({
      sizes,
      ...o.batching,
      weightOf: o.weightOf,
      onDrop: (dropped) => o.metrics?.dropped({ model: id, ...dropped }),
      onPass: (pass) => {
        o.metrics?.pass({ model: id, ...pass });
        o.log.debug({ model: id, ...pass, seconds: round(pass.seconds) }, "pass");
      },
      classes: facts.classes,
      compute: (pass) => compute(loaded, pass),
    });
    const { worker: _, ...kept } = loaded;
    last = kept;
    expected = loaded.nextSeconds;
    lastUsed = performance.now();
    state = { at: "ready", loaded, batcher };
    void worker.ended.then((error) => died(loaded, error));
    const version = facts.version;
    o.metrics?.life.loaded(id, loaded);
    o.log.info({ model: id, version, ...figuresOf(loaded) }, "model ready");
    if (changed) o.log.warn({ model: id, version }, "its files have changed: it has another version now");
    if (!bitStable)
      o.log.warn(
        { model: id },
        "logits depend on the batch: resumed runs will differ from uninterrupted ones in the last bits",
      );
  }

  function died(loaded: Loaded, error: Error): void {
    if (state.at !== "ready" || state.loaded !== loaded) return; // it was unloaded
    o.metrics?.life.died(id);
    const delay = deaths.another();
    if (delay === undefined) {
      o.log.error({ model: id, err: error }, "model died");
      fail(new Error(`its thread died ${deaths.most + 1} times within ${deaths.withinMinutes} minutes`));
      return;
    }
    o.log.error({ model: id, err: error, againInSeconds: delay }, "model died, is loaded again");
    wait("its thread died; it is loaded again", delay);
    loading = new Promise((resolve) => setTimeout(resolve, delay * 1000)).then(() => loadNow(false));
    loading.catch(() => {});
  }

  function fail(error: unknown): void {
    state = { at: "failed" };
    o.metrics?.life.unloaded(id, "failed");
    o.log.error({ model: id, err: error }, "model failed");
    failed.resolve(error instanceof Error ? error : new Error(String(error)));
  }

  async function compute({ worker, facts: { classes } }: Loaded, pass: Pass): Promise<Float32Array> {
    const logits = await worker.call("compute", pass);
    const images = pass.slices.reduce((sum, slice) => sum + slice.count, 0);
    if (logits.length !== images * classes)
      throw new Error(`the model gave ${logits.length} logits for ${images} images of ${classes} classes`);
    return logits;
  }

  function hold(): () => void {
    let held = true;
    holds += 1;
    return () => {
      if (!held) return;
      held = false;
      holds -= 1;
      lastUsed = performance.now();
    };
  }

  /** What it is doing while it loads, how far it is, and about how long that still takes. */
  function standing(): { phase: string; progress: number; secondsLeft: number } {
    if (state.at !== "loading" || !state.phases) {
      const waits = state.at === "loading" ? state.waits : undefined;
      const whole = expected ? total(expected) : 1;
      return {
        phase: waits?.why ?? "waits for its turn",
        progress: 0,
        secondsLeft: (waits?.seconds ?? 0) + whole,
      };
    }
    const { done, secondsLeft } = progressOf(state.phases, state.probed, expected);
    return { phase: state.phases.current, progress: done, secondsLeft };
  }

  function ready() {
    if (state.at === "ready") return state;
    if (state.at === "failed")
      throw new WireError("internal", `the model ${id} could not be loaded; the service's log says why`);
    void load();
    const { phase, progress, secondsLeft } = standing();
    throw new WireError(
      "loading",
      `the model ${id} is loading: ${Math.round(progress * 100)} % done (${phase})`,
      { retryAfterSeconds: secondsLeft, extra: { progress: round(progress), phase } },
    );
  }

  const model: Model = {
    id,
    config,
    card() {
      const { at } = state;
      return cardOf(id, config, at === "loading" ? { at, ...standing() } : { at }, last, o.batchSizes);
    },
    want() {
      if (state.at === "ready") lastUsed = performance.now();
      else void load();
    },
    requireReady() {
      const { loaded, batcher } = ready();
      lastUsed = performance.now();
      const { version, classes } = loaded.facts;
      return {
        version,
        classes,
        async ask(...question) {
          const release = hold();
          return batcher.ask(...question).finally(release);
        },
      };
    },
    hold,
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
        state.at === "ready"
          ? state.loaded.sizes.map(({ images, seconds }) => [images, images / seconds])
          : [],
      ),
    load,
    async unload(why) {
      if (state.at !== "ready" || holds > 0) return;
      const { worker } = state.loaded;
      state = { at: "unloaded" };
      o.metrics?.life.unloaded(id, why);
      o.log.info({ model: id, why }, "model unloaded");
      await worker.terminate();
    },
    get usage() {
      return { ready: state.at === "ready", holds, lastUsed, bytes: last?.bytes };
    },
    failed: failed.promise,
  };
  return model;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
