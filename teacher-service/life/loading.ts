import { type EngineWorker, spawnEngineWorker } from "@funmatch/engine";
import type { Probe } from "@funmatch/models";
import type { ModelConfig } from "../config/model-config.ts";
import { type Facts, ModelFileError } from "../formats/network.ts";
import { needsTensorflow } from "../formats/open.ts";
import type { ModelApi, ModelInit } from "../forward/model-worker.ts";
import type { BatchSize } from "../queue/batch-size.ts";
import { type PhaseSeconds, type Phases, total } from "./phases.ts";
import {
  digestOfLogits,
  type ProbeRecord,
  readRecord,
  recordPath,
  writeRecord,
  writeSeconds,
} from "./probe-record.ts";
import { admitted } from "./stability.ts";

/** A model in its thread, ready to compute. */
export interface Loaded {
  readonly worker: EngineWorker<ModelApi>;
  readonly facts: Facts;
  /** Those that give every image the same logits, if any do. */
  readonly sizes: readonly BatchSize[];
  readonly bitStable: boolean;
  readonly seconds: PhaseSeconds;
  /** What the next load will take: its probe is as short as the record of this one makes it. */
  readonly nextSeconds: PhaseSeconds;
  /** From the beginning to the first logits that it computed. */
  readonly firstLogitsSeconds: number;
  /** Resident memory that it added to the process, passes of its largest size included. */
  readonly bytes: number;
  /** Whether an earlier start's probe was found and confirmed. */
  readonly probedBefore: boolean;
}

interface Progress {
  readonly phases: Phases;
  /** Told of the share of the probe that is done. */
  onProbed(share: number): void;
}

/**
 * Loads a model in a thread of its own, and probes its batch sizes for bit stability and speed. After that no request
 * waits for a capture.
 *
 * @throws what the thread met: a file that is none, too little memory
 */
export async function loadModel(
  config: ModelConfig,
  o: { batchSizes: readonly number[]; threads: number } & Progress,
): Promise<Loaded> {
  const { phases } = o;
  const init: ModelInit = { model: config, threads: o.threads, phases: phases.memory };
  const worker = await spawnEngineWorker<ModelApi>(
    new URL("../forward/model-worker.ts", import.meta.url),
    init,
    {
      engine: needsTensorflow(config),
    },
  );
  try {
    const facts = await worker.call("facts", null);
    checkLabels(config, facts);
    const { nextProbeSeconds, ...found } = await probed(worker, facts, o);
    const seconds = phases.seconds();
    const nextSeconds = { ...seconds, probe: nextProbeSeconds ?? seconds.probe };
    void writeSeconds(nextSeconds, config, o);
    return { worker, facts, ...found, seconds, nextSeconds };
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

type Found = Pick<Loaded, "sizes" | "bitStable" | "firstLogitsSeconds" | "bytes" | "probedBefore"> & {
  nextProbeSeconds?: number;
};

async function probed(
  worker: EngineWorker<ModelApi>,
  facts: Facts,
  o: { batchSizes: readonly number[]; threads: number } & Progress,
): Promise<Found> {
  const wanted = facts.batchSizes ?? o.batchSizes;
  const work = wanted.reduce((sum, size) => sum + size, 0);
  const path = recordPath(facts, { sizes: wanted, threads: o.threads });
  const record = path && (await readRecord(path));
  let firstLogitsSeconds: number | undefined;
  const secondsOf = new Map<number, number>();
  let most = 0;
  let done = 0;
  const probe = async (size: number): Promise<Probe> => {
    const started = performance.now();
    const found = await worker.call("probe", { size });
    secondsOf.set(size, (performance.now() - started) / 1000);
    firstLogitsSeconds ??= total(o.phases.seconds());
    most = Math.max(most, process.memoryUsage.rss());
    done += size;
    o.onProbed(Math.min(1, done / work));
    return found;
  };
  const bytes = () => Math.max(0, most - o.phases.bytesBefore);

  if (record && (await confirmed(record, probe)))
    return {
      sizes: record.sizes,
      bitStable: true,
      firstLogitsSeconds: firstLogitsSeconds!,
      bytes: Math.max(bytes(), record.bytes),
      probedBefore: true,
    };
  const probes: Probe[] = [];
  done = 0;
  for (const size of wanted) probes.push(await probe(size));
  const { probes: usable, bitStable } = admitted(probes);
  const sizes = usable.map(({ images, seconds }) => ({ images, seconds }));
  if (bitStable && path)
    await writeRecord(path, { sizes, logits: digestOfLogits(usable[0]!.logits), bytes: bytes() });
  const nextProbeSeconds = bitStable && path ? secondsOf.get(sizes[0]!.images) : undefined;
  return {
    sizes,
    bitStable,
    firstLogitsSeconds: firstLogitsSeconds!,
    bytes: bytes(),
    probedBefore: false,
    nextProbeSeconds,
  };
}

/**
 * Whether a record still holds: its smallest size must give the probe images the very bits that all its sizes gave
 * them. Where it does not (another build of a library, say), everything is probed again.
 */
async function confirmed(record: ProbeRecord, probe: (size: number) => Promise<Probe>): Promise<boolean> {
  const smallest = Math.min(...record.sizes.map(({ images }) => images));
  const { steady, logits } = await probe(smallest);
  return steady && digestOfLogits(logits) === record.logits;
}

function checkLabels(config: ModelConfig, facts: Facts): void {
  if (config.labels && config.labels.length !== facts.classes)
    throw new ModelFileError(
      `labels: ${config.labels.length} are given, the weights have ${facts.classes} classes`,
    );
}

/** What a log line tells of a load. */
export function figuresOf({ sizes, bitStable, bytes, firstLogitsSeconds, probedBefore, seconds }: Loaded) {
  return {
    seconds: rounded({ ...seconds, firstLogits: firstLogitsSeconds, all: total(seconds) }),
    batchSizes: sizes.map((size) => size.images),
    bitStable,
    probedBefore,
    imagesPerSecond: round(Math.max(...sizes.map((size) => size.images / size.seconds))),
    residentMiB: Math.round(bytes / 2 ** 20),
  };
}

function rounded(seconds: PhaseSeconds & Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(seconds).map(([phase, each]) => [phase, round(each)]));
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
