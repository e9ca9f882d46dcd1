import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSmallTeacher, TOKEN } from "../test/e2e/services.ts";
import { VARIABLES } from "../test/edge-gateway/hosts/settings.ts";
import { type Benchmark, median, quantile, type Row, ratioOfTimes, writeResults } from "./benchmark.ts";
import { interleaved, makeCall, type Side, timed } from "./gateway/calls.ts";
import { type Host, startFastTeacher, startNode, startWorkerd } from "./gateway/hosts.ts";
import { uploadsIntoStalled } from "./gateway/stalled.ts";

interface Scale {
  /** Images of 256 px, 196,608 bytes each. */
  sizes: { name: string; images: number; turns: number }[];
  streams: number[];
  hits: number;
  stalled: { uploads: number; images: number; seconds: number };
}

const FULL: Scale = {
  sizes: [
    { name: "3 MB", images: 16, turns: 200 },
    { name: "25 MB", images: 127, turns: 60 },
  ],
  streams: [1, 4, 16],
  hits: 200,
  stalled: { uploads: 64, images: 127, seconds: 20 },
};
const TINY: Scale = {
  sizes: [{ name: "0.2 MB", images: 1, turns: 2 }],
  streams: [1, 2],
  hits: 3,
  stalled: { uploads: 4, images: 16, seconds: 2 },
};

/** What a gateway's memory may grow by, in MB, however much is sent. */
const MOST_MB = 128;

export const gateway: Benchmark = {
  name: "gateway",
  what: "what the gateway adds to a call, under workerd and under Node; its memory before a teacher that takes nothing",
  async run({ tiny }) {
    const scale = tiny ? TINY : FULL;
    const rows: Row[] = [];
    for (const part of [trainingCalls, cacheHits, stalledUploads]) {
      rows.push(...(await part(scale)));
      if (!tiny) writeResults(gateway.name, versions(), rows);
    }
    return rows;
  },
};

/** Calls through both hosts and straight to the same teacher, turn about. */
async function trainingCalls({ sizes, streams: counts }: Scale): Promise<Row[]> {
  const teacher = await startFastTeacher();
  const hosts: Host[] = [];
  const rows: Row[] = [];
  try {
    for (const start of [startWorkerd, startNode]) hosts.push(await start(teacher.url));
    const direct: Side = { name: "direct", url: teacher.url, key: "none" };
    for (const { name, images, turns } of sizes) {
      const call = makeCall("train", images, 256);
      for (const streams of counts) {
        const each = streams === 1 ? 1 : 4;
        const o = { streams, each, turns: Math.ceil(turns / streams / each) };
        const found = await interleaved([direct, ...hosts], call, o);
        const straight = found.get(direct)!;
        for (const host of hosts) {
          const { ms, perSecond } = found.get(host)!;
          const peers = { direct: median(straight.ms) };
          const megabytes = call.body.length / 1e6;
          rows.push({
            name: `${name}, ${streams} at once, ${host.name}`,
            ...{ dtype: "float32", unit: "ms", ours: median(ms), peers },
            ratio: ratioOfTimes(median(ms), peers),
            details: {
              "added, p50, ms": median(ms) - median(straight.ms),
              "added, p99, ms": quantile(ms, 0.99) - quantile(straight.ms, 0.99),
              "p99, through and direct, ms": `${quantile(ms, 0.99).toFixed(1)} ${quantile(straight.ms, 0.99).toFixed(1)}`,
              "MB a second, through and direct": `${(perSecond * megabytes).toFixed(0)} ${(straight.perSecond * megabytes).toFixed(0)}`,
              calls: ms.length,
            },
          });
        }
      }
    }
  } finally {
    for (const host of hosts) await host.close();
    await teacher.close();
  }
  return rows;
}

/** Stored answers against those that the real teacher service computes with a very small network. */
async function cacheHits({ hits }: Scale): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-hits-"));
  const teacher = await startSmallTeacher({
    ...{ folder, resolution: 64, classes: 1000, secret: VARIABLES.TEACHER_SECRET },
  });
  const hosts: Host[] = [];
  try {
    for (const start of [startWorkerd, startNode]) hosts.push(await start(teacher.url));
    const direct: Side = { name: "teacher", url: teacher.url, key: TOKEN };
    const call = makeCall("eval", 32, 64);
    for (const host of hosts) await untilHit(host, call);
    const found = await interleaved([direct, ...hosts], call, { streams: 1, each: 1, turns: hits });
    return hosts.map((host) => {
      const { ms } = found.get(host)!;
      const peers = { teacher: median(found.get(direct)!.ms) };
      return {
        name: `stored answer for 32 images of 64 px, ${host.name}`,
        ...{ dtype: "float32", unit: "ms", ours: median(ms), peers, ratio: ratioOfTimes(median(ms), peers) },
        details: {
          "p99, stored and computed, ms": `${quantile(ms, 0.99).toFixed(1)} ${quantile(found.get(direct)!.ms, 0.99).toFixed(1)}`,
          calls: ms.length,
        },
      };
    });
  } finally {
    for (const host of hosts) await host.close();
    await teacher.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** It is stored after it was answered. */
async function untilHit(side: Side, call: ReturnType<typeof makeCall>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await timed(side, call)).cache === "hit") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${side.name} never answers from its store`);
}

async function stalledUploads({ stalled }: Scale): Promise<Row[]> {
  if (process.platform !== "linux") return []; // memory is read in /proc
  const rows: Row[] = [];
  for (const [name, start] of [
    ["workerd", startWorkerd],
    ["Node", startNode],
  ] as const) {
    const { baseline, waiting, peak, ...found } = await uploadsIntoStalled(start, stalled);
    const [ours, peers] = [peak - baseline, { allowed: MOST_MB }];
    rows.push({
      name: `${stalled.uploads} uploads before a teacher that reads no bodies, ${name}`,
      ...{ dtype: "float32", unit: "MB", ours, peers, ratio: ratioOfTimes(ours, peers) },
      details: {
        "before, MB": baseline,
        "most while it waits, MB": waiting,
        "most, MB": peak,
        "connections to the teacher": found.connections,
        "uploads still pushing at its end": found.uploads,
        "sent by then, MB": found.sent,
      },
    });
  }
  return rows;
}

function versions(): Record<string, string> {
  const path = createRequire(createRequire(import.meta.url).resolve("miniflare")).resolve(
    "workerd/package.json",
  );
  return { node: process.versions.node, workerd: JSON.parse(readFileSync(path, "utf8")).version as string };
}
