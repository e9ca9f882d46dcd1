import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { readTeacherConfig } from "../../teacher-service/config/config.ts";
import { usualMemory } from "../../teacher-service/config/memory.ts";
import { openDeaths } from "../../teacher-service/life/deaths.ts";
import type { Loaded } from "../../teacher-service/life/loading.ts";
import { type Model, openModel } from "../../teacher-service/life/model.ts";
import { openPhases, progressOf } from "../../teacher-service/life/phases.ts";
import { recordPath } from "../../teacher-service/life/probe-record.ts";
import { openResidency, type Residency } from "../../teacher-service/life/residency.ts";
import { openLog } from "../../teacher-service/observe/log.ts";
import { openMetrics } from "../../teacher-service/observe/metrics.ts";
import { passOptions } from "../../teacher-service/queue/pass-options.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const BATCH_SIZES = [2, 4];
const open: { residency: Residency; models: Map<string, Model> }[] = [];
afterEach(async () => {
  for (const { residency, models } of open.splice(0)) {
    residency.close();
    for (const model of models.values()) await model.unload("idle");
  }
});

/** Models of the same files, without a service around them. */
async function openModels(
  ids: string[],
  o: { memory: number; inUseSeconds?: number; unloadAfterSeconds?: number },
) {
  const { configPath } = await writeTeacher({ batchSizes: BATCH_SIZES });
  const service = readTeacherConfig(configPath);
  const config = service.models.tiny!;
  const models = new Map<string, Model>();
  const log = openLog("silent");
  const told: Loaded[] = [];
  const metrics = openMetrics({ bytes: () => 0, waiting: () => ({}) });
  const { loaded } = metrics.life;
  metrics.life.loaded = (id, facts) => {
    told.push(facts as Loaded);
    loaded(id, facts);
  };
  const residency = openResidency({ models, batchSizes: BATCH_SIZES, log, ...o });
  const options = { ...passOptions(service, config), threads: 1, log, metrics, admit: residency.admit };
  for (const id of ids) models.set(id, openModel(id, config, options));
  open.push({ residency, models });
  return { all: ids.map((id) => models.get(id)!), metrics, told };
}

const stateOf = (model: Model) => model.card().state;
const logitsOf = async (model: Model) => {
  const images = { dtype: "uint8" as const, shape: [1, 32, 32, 3] as const, data: noise(32 * 32 * 3) };
  const { logits } = await model
    .requireReady()
    .ask(images, { team: "local", purpose: "train" }, new AbortController().signal);
  return logits;
};

describe("memory", () => {
  test("a model that does not fit has the one loaded that was not used for the longest time unloaded, when nobody uses it", async () => {
    const { all, metrics } = await openModels(["a", "b"], { memory: 1, inUseSeconds: 0 });
    const [a, b] = all as [Model, Model];
    await a.load();
    const before = await logitsOf(a);
    const { version } = a.card();
    const letGo = a.hold();
    b.want();
    await expect.poll(() => b.card().phase, { timeout: 20_000 }).toBe("waits for memory: a in use");
    expect(() => b.requireReady()).toThrow(expect.objectContaining({ code: "loading", status: 503 }));
    expect(stateOf(a)).toBe("ready");

    letGo();
    await b.load();
    expect(stateOf(a)).toBe("unloaded");
    expect(await metrics.text()).toContain('funmatch_model_unloads_total{model="a",why="memory"} 1');

    // The same files give the same version and the same logits again.
    expect(a.card()).toMatchObject({ version, classes: 7 });
    await a.load();
    expect(stateOf(b)).toBe("unloaded");
    expect(a.card().version).toBe(version);
    expect(await logitsOf(a)).toEqual(before);
  });

  test("at start a model pushes out nobody: what does not fit waits for its first use", async () => {
    const { all } = await openModels(["a", "b"], { memory: 1, inUseSeconds: 0 });
    const [a, b] = all as [Model, Model];
    const loads = [a.load({ atStart: true }), b.load({ atStart: true })];
    expect(stateOf(b)).toBe("loading");
    await loads[0];
    await expect(loads[1]).rejects.toThrow(/MiB are taken, it needs about/);
    expect([stateOf(a), stateOf(b)]).toEqual(["ready", "unloaded"]);
  });

  test("with room for both, both stay; how much each takes is measured", async () => {
    const { all } = await openModels(["a", "b"], { memory: usualMemory() });
    for (const model of all) await model.load();
    expect(all.map(stateOf)).toEqual(["ready", "ready"]);
    for (const { usage } of all) expect(usage.bytes).toBeLessThan(2 ** 30);
  });
});

test("a model that nobody asks for is unloaded; the next request has it loaded", async () => {
  const { all } = await openModels(["a"], { memory: usualMemory(), unloadAfterSeconds: 1 });
  const [a] = all as [Model];
  expect(stateOf(a)).toBe("unloaded");
  expect(() => a.requireReady()).toThrow(expect.objectContaining({ code: "loading" }));
  expect(stateOf(a)).toBe("loading");
  await a.load();
  const letGo = a.hold();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(stateOf(a)).toBe("ready");
  letGo();
  await expect.poll(() => stateOf(a), { timeout: 20_000 }).toBe("unloaded");
});

test("what a probe found is kept, and believed only while the smallest size gives the same bits", async () => {
  const { all, told } = await openModels(["a"], { memory: usualMemory() });
  const [a] = all as [Model];
  const again = async () => {
    await a.unload("idle");
    await a.load();
    return told.at(-1)!;
  };
  await a.load();
  const path = recordPath(told[0]!.facts, { sizes: BATCH_SIZES, threads: 1 })!;
  rmSync(path);
  const cold = await again();
  const warm = await again();
  expect([cold.probedBefore, warm.probedBefore]).toEqual([false, true]);
  expect([warm.sizes, warm.bitStable]).toEqual([cold.sizes, cold.bitStable]);

  const record = JSON.parse(readFileSync(path, "utf8")) as { logits: string };
  writeFileSync(path, JSON.stringify({ ...record, logits: "0".repeat(64) }));
  expect((await again()).probedBefore).toBe(false);
  writeFileSync(path, "cut off {");
  expect((await again()).probedBefore).toBe(false);
  expect((await again()).probedBefore).toBe(true);
});

test("progress goes up phase by phase, by what an earlier load took, and is never whole", async () => {
  const earlier = { engine: 1000, weights: 1000, graph: 1000, probe: 7000 };
  const phases = openPhases();
  expect(progressOf(phases, 0, earlier).done).toBeLessThan(0.01);
  phases.enter("weights");
  expect(progressOf(phases, 0, earlier).done).toBeCloseTo(0.1, 2);
  phases.enter("probe");
  expect(progressOf(phases, 0.5, earlier).done).toBeCloseTo(0.65, 2);
  expect(progressOf(phases, 0.5, earlier).secondsLeft).toBeGreaterThan(200); // of 300 at most
  expect(progressOf(phases, 1, earlier).done).toBe(0.99);
  // Nothing is known: by the pace so far.
  expect(progressOf(openPhases(), 0).secondsLeft).toBeLessThan(300);
  // The thread that loads writes into the same memory.
  openPhases(phases.memory).enter("graph");
  expect(phases.current).toBe("graph");
});

test("a thread that keeps dying is given up at its sixth death within ten minutes, later ones are forgiven", () => {
  let ms = 0;
  const deaths = openDeaths(() => ms);
  expect(Array.from({ length: 6 }, () => deaths.another())).toEqual([0, 1, 2, 4, 8, undefined]);
  ms = 11 * 60_000;
  expect(deaths.another()).toBe(0);
});
