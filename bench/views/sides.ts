import { type ChildProcess, spawn } from "node:child_process";
import type { Box } from "@funmatch/views";
import { answersOf } from "../answers.ts";
import type { Environment } from "../environment.ts";
import { signalTree } from "../serve/process-tree.ts";

/** A process that makes batches on one core, paused while it is not asked. */
export interface Side {
  readonly name: string;
  readonly configurations: readonly string[];
  ask<Answer>(order: MeasureOrder | BoxesOrder): Promise<Answer>;
  stop(): void;
}

/** What every side is told first. */
export interface SideData {
  /** Folder of the photographs. */
  train: string;
  /** Each photograph. */
  paths: string[];
  /** File of decoded gray pictures: three int32 sizes, then uint8. */
  gray: string;
}

/** Make batches for a while. */
export interface MeasureOrder {
  pictures: "photographs" | "decoded";
  /** Pixels. */
  side: number;
  batch: number;
  configuration: string;
  warmUpSeconds: number;
  seconds: number;
}

/** Write the crop and resize of given boxes, [y, x, height, width], one after the other into a file. */
export interface BoxesOrder {
  boxes: [path: string, [y: number, x: number, height: number, width: number]][];
  side: number;
  out: string;
}

export interface Speed {
  images: number;
  seconds: number;
  cpuSeconds: number;
  firstEpochImagesPerSecond?: number;
}

/** Of whom there are sides; what torchvision and tf.data need is large, so `tiny` runs do without. */
export const OURS = ["with the engine's functions", "in JavaScript"] as const;
const PILLOW = {
  name: "Pillow + timm",
  script: "pillow_side.py",
  configurations: ["timm", "one call", "one call, draft"],
};
const PEERS = [
  PILLOW,
  { name: "torchvision", script: "torchvision_side.py", configurations: ["transforms", "functions"] },
  {
    name: "tf.data",
    script: "tf_data_side.py",
    configurations: ["one by one", "autotune"].flatMap((calls) =>
      ["INTEGER_FAST", "INTEGER_ACCURATE"].map((dct) => `${calls}, ${dct}`),
    ),
  },
];

/** Starts all sides; ours twice, once without the engine's functions for pictures. */
export async function startSides(
  environment: Environment,
  data: SideData,
  { tiny, core }: { tiny: boolean; core: number },
): Promise<Side[]> {
  const script = new URL("./ours.ts", import.meta.url).pathname;
  const ours = OURS.map((configuration, i) => {
    const env = { ...process.env, FUNMATCH_KERNELS: i === 0 ? "" : "plain" };
    const child = spawn(process.execPath, [script], { env, stdio: ["pipe", "pipe", "inherit"] });
    return { name: i === 0 ? "ours" : `ours, ${configuration}`, configurations: [configuration], child };
  });
  const peers = (tiny ? [{ ...PILLOW, configurations: ["one call"] }] : PEERS).map((peer) => ({
    ...peer,
    child: environment.start(peer.script, []),
  }));
  return Promise.all([...ours, ...peers].map((side) => open(side, data, core)));
}

async function open(
  { name, configurations, child }: { name: string; configurations: readonly string[]; child: ChildProcess },
  data: SideData,
  core: number,
): Promise<Side> {
  const pid = child.pid as number;
  const answer = answersOf(child, name);
  async function ask<Answer>(order: object): Promise<Answer> {
    signalTree(pid, "SIGCONT");
    child.stdin?.write(`${JSON.stringify(order)}\n`);
    const said = await answer();
    signalTree(pid, "SIGSTOP");
    return JSON.parse(said) as Answer;
  }
  await pinTo(core, pid);
  await ask(data);
  return { name, configurations, ask, stop: () => signalTree(pid, "SIGKILL") };
}

/** Binds a process, with all threads that it has and will have, to one core. */
async function pinTo(core: number, pid: number): Promise<void> {
  const child = spawn("taskset", ["--all-tasks", "--cpu-list", "--pid", String(core), String(pid)]);
  const status = await new Promise((resolve) => child.on("error", resolve).on("exit", resolve));
  if (status !== 0)
    throw new Error(`taskset (util-linux), which binds a process to a core, ended: ${status}`);
}

export interface Boxed {
  path: string;
  box: Box;
}

export function boxesOrder(boxed: Boxed[], side: number, out: string): BoxesOrder {
  return { boxes: boxed.map(({ path, box }) => [path, [box.y, box.x, box.height, box.width]]), side, out };
}
