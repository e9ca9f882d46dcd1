import { describe, expect, test } from "vitest";
import { exposition } from "../../edge-gateway/metrics/exposition.ts";
import { ADMIN, ask, bearer, encode, images, makeKey, post, problem } from "./client.ts";

/** The value of the one line of this name whose labels hold these. */
async function figure(name: string, ...labels: string[]): Promise<number> {
  const lines = (await (await ask("/metrics", { headers: ADMIN })).text()).split("\n");
  const found = lines.filter(
    (line) => line.startsWith(`${name}{`) && labels.every((one) => line.includes(one)),
  );
  expect(found.length, name).toBeLessThan(2);
  return Number(found[0]?.split(" ").at(-1) ?? 0);
}

describe("the gateway's figures", () => {
  test("are for administrators", async () => {
    expect(await problem(await ask("/metrics"))).toMatchObject({ status: 401 });
    const { key } = await makeKey({ team: "metrics-plain", scopes: ["train", "eval"] });
    expect(await problem(await ask("/metrics", { headers: bearer(key) }))).toMatchObject({ status: 403 });
    const admin = await makeKey({ team: "metrics-admin", scopes: ["admin"] });
    const told = await ask("/metrics", { headers: bearer(admin.key) });
    expect(told.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    for (const line of (await told.text()).trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) funmatch_gateway_\w+ .+|funmatch_gateway_\w+(\{.*\})? -?[\d.e+-]+)$/,
      );
  });

  test("count calls, images, bytes, what the cache did, and refusals by reason", async () => {
    const { key } = await makeKey({ team: "metrics-team", scopes: ["train", "eval"] });
    const here = (purpose: string) => ['model="prof"', `purpose="${purpose}"`] as const;
    const before = {
      images: await figure("funmatch_gateway_images_total", ...here("train")),
      bytes: await figure("funmatch_gateway_bytes_total", ...here("train")),
      misses: await figure("funmatch_gateway_answers_total", ...here("eval"), 'cache="miss"'),
      hits: await figure("funmatch_gateway_answers_total", ...here("eval"), 'cache="hit"'),
      refused: await figure("funmatch_gateway_refusals_total", 'code="unauthenticated"'),
    };
    const body = await encode({ purpose: "train", ...images(5, 811) });
    expect((await post(key, body)).status).toBe(200);
    const evaluation = await encode({ purpose: "eval", ...images(3, 812) });
    await post(key, evaluation);
    await expect.poll(async () => (await post(key, evaluation)).headers.get("x-funmatch-cache")).toBe("hit");
    expect((await post("fm_nobody_0", body)).status).toBe(401);
    expect(await figure("funmatch_gateway_images_total", ...here("train"))).toBe(before.images + 5);
    expect(await figure("funmatch_gateway_bytes_total", ...here("train"))).toBe(before.bytes + body.length);
    const answers = "funmatch_gateway_answers_total";
    expect(await figure(answers, ...here("eval"), 'cache="miss"')).toBeGreaterThan(before.misses);
    expect(await figure(answers, ...here("eval"), 'cache="hit"')).toBeGreaterThan(before.hits);
    const refusals = "funmatch_gateway_refusals_total";
    expect(await figure(refusals, 'code="unauthenticated"')).toBe(before.refused + 1);
    expect(await figure("funmatch_gateway_month_images", 'team="metrics-team"', ...here("train"))).toBe(5);
    expect(await figure("funmatch_gateway_teacher_closed")).toBe(1);
    expect(await figure("funmatch_gateway_teacher_model", 'model="prof"', 'state="ready"')).toBe(1);
  });

  test("have no label that a client makes up", async () => {
    const { key } = await makeKey({ team: "metrics-names", scopes: ["train"] });
    const body = await encode({ purpose: "train", ...images(1, 813) });
    for (const model of ["made-up-1", "made-up-2"])
      expect((await post(key, body, { model })).status).toBe(404);
    await ask("/made-up/path");
    const text = await (await ask("/metrics", { headers: ADMIN })).text();
    const here = text.split("\n").filter((line) => line.includes("isolate="));
    expect(here.length).toBeGreaterThan(0);
    expect(here.join("\n")).not.toContain("made-up");
  });

  test("are written as Prometheus reads them", () => {
    const samples = [{ labels: { a: 'say "x"\\\n' }, value: 1 }];
    expect(exposition([{ name: "n", help: "two\nlines", type: "gauge", samples }])).toBe(
      '# HELP n two\\nlines\n# TYPE n gauge\nn{a="say \\"x\\"\\\\\\n"} 1\n',
    );
  });
});
