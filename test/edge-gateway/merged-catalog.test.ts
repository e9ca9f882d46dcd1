import { decodeAnswer } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { encode, images, makeKey, problem } from "./client.ts";
import { refused, several, versionOf } from "./several-teachers.ts";

let key = "";
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: "merged-catalog", scopes: ["train"] }));
});

describe("the catalogue of several teachers", () => {
  const cards = async (fleet: ReturnType<typeof several>, path = "/v1/models/prof") =>
    (await fleet.fetch(path, { key })).json() as Promise<Record<string, unknown>>;

  test("merges the cards of a model: what all keep, and the state of each", async () => {
    const fleet = several("a", "b", "c");
    await fleet.state("a", { card: { state: "loading", version: "", progress: 0.5 } });
    await fleet.state("b", { card: { maxBatch: 32, runtime: { engine: "none", device: "cpu" } } });
    const input = { resolution: 32, valueRange: [-1, 1] as [number, number], channels: 3 };
    await fleet.state("c", { card: { input: { ...input, dtypes: ["uint8"], resizes: false } } });
    expect(await cards(fleet)).toMatchObject({
      ...{ id: "prof", state: "ready", version: await versionOf("1"), maxBatch: 32 },
      input: { resolution: 32, dtypes: ["uint8"], resizes: false },
      bitStable: false, // other runtimes may have other last bits
      origins: [
        { state: "loading", version: "" },
        { state: "ready", version: await versionOf("1") },
        { state: "ready", version: await versionOf("1") },
      ],
    });
    fleet.meddle("b", refused);
    await expect
      .poll(() => cards(fleet))
      .toMatchObject({
        ...{ maxBatch: 64, bitStable: true },
        origins: [{ state: "loading" }, { state: "unreachable" }, { state: "ready" }],
      });
    expect(await cards(fleet, "/v1/limits")).toMatchObject({ maxImages: 512 });
  });

  test("lists what all have together; a model is asked where the settings say", async () => {
    const fleet = several("a", "b");
    const teachers = [
      { url: fleet.url("a"), models: ["prof"] },
      { url: fleet.url("b"), models: ["other"] },
    ];
    const set = { TEACHERS: JSON.stringify(teachers) };
    const list = await (await fleet.fetch("/v1/models", { key }, set)).json();
    const { models } = list as { models: { id: string; origins?: unknown }[] };
    expect(models.map(({ id }) => id)).toEqual(["prof", "other"]);
    expect(models.every(({ origins }) => origins === undefined)).toBe(true);
    const body = await encode({ purpose: "train", ...images(2, 1) });
    const request = {
      ...{ key, method: "POST", body },
      headers: { "content-type": "application/vnd.msgpack", "content-length": String(body.length) },
    };
    const asked = async (model: string) => fleet.fetch(`/v1/models/${model}/logits`, request, set);
    const { model } = decodeAnswer(new Uint8Array(await (await asked("other")).arrayBuffer()));
    expect(model).toBe("other");
    expect([fleet.sent("a"), fleet.sent("b")]).toEqual([0, 1]);
    expect(await problem(await asked("slow"))).toMatchObject({ status: 404, code: "unknown_model" });
  });

  test("is unreachable when every teacher is, and ready when one is", async () => {
    const fleet = several("a", "b");
    fleet.meddle("a", refused);
    expect((await fleet.fetch("/readyz", { key })).status).toBe(200);
    fleet.meddle("b", refused);
    await expect.poll(async () => (await fleet.fetch("/readyz", { key })).status).toBe(502);
    expect(await problem(await fleet.fetch("/v1/models", { key }))).toMatchObject({ status: 502 });
    expect(await problem(await fleet.fetch("/v1/limits", { key }))).toMatchObject({ status: 502 });
  });

  test("costs a teacher one question a second, however many ask for it", async () => {
    const fleet = several("a");
    const paths = ["/v1/models", "/v1/models/prof", "/v1/limits", "/readyz"];
    const began = Date.now();
    const asked = Array.from({ length: 200 }, (_, i) => fleet.fetch(paths[i % paths.length]!, { key }));
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const seconds = Math.ceil((Date.now() - began) / 1000);
    expect(fleet.sent("a", /^/)).toBeLessThanOrEqual(3 * (seconds + 1));
  });

  test("costs one that cannot be reached no more", async () => {
    const fleet = several("a");
    fleet.meddle("a", refused);
    const began = Date.now();
    const asked = Array.from({ length: 90 }, (_, i) =>
      fleet.fetch(["/v1/models", "/v1/limits", "/readyz"][i % 3]!, { key }),
    );
    expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([502]));
    const seconds = Math.ceil((Date.now() - began) / 1000);
    expect(fleet.sent("a", /^/)).toBeLessThanOrEqual(3 * (seconds + 1));
  });
});
