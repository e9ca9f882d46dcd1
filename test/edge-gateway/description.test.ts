import { CODES } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createApp } from "../../edge-gateway/app.ts";
import {
  keySchema,
  standingSchema,
  teamQuotaSchema,
  usageRowSchema,
} from "../../edge-gateway/openapi/answers.ts";
import { mergedCardSchema } from "../../edge-gateway/openapi/serving.ts";
import { ADMIN, ask, bearer, encode, images, makeKey, post } from "./client.ts";

interface Operation {
  security?: Record<string, string[]>[];
  responses: Record<string, { headers: object; content: Record<string, { schema: Schema }> }>;
}
interface Schema {
  properties: { code: { enum?: string[] } };
}

async function description() {
  const answer = await ask("/openapi.json");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  return (await answer.json()) as {
    openapi: string;
    paths: Record<string, Record<string, Operation>>;
    components: { securitySchemes: object };
  };
}

describe("the gateway's OpenAPI document", () => {
  test("describes every address that is there, and none that is not", async () => {
    const { openapi, paths } = await description();
    expect(openapi).toBe("3.1.0");
    const served = createApp()
      .routes.filter(({ method, path }) => method !== "ALL" && !/^\/($|page|docs|openapi\.json)/.test(path))
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
    const told = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...new Set(served)].sort()).toEqual(told.sort());
  });

  test("tells every code with each of its statuses, when to come again, and the team's limits", async () => {
    const { responses } = (await description()).paths["/v1/models/{model}/logits"]!.post!;
    const codesOf = (status: number | string) =>
      responses[status]?.content["application/problem+json"]?.schema.properties.code.enum ?? [];
    for (const [code, status] of Object.entries(CODES)) expect(codesOf(status), code).toContain(code);
    expect(codesOf(502)).toEqual(expect.arrayContaining(["upstream_unreachable", "digest_mismatch"]));
    expect(Object.keys(responses[429]!.headers)).toEqual(
      expect.arrayContaining(["retry-after", "ratelimit", "ratelimit-policy"]),
    );
    expect(responses[502]!.headers).toHaveProperty("retry-after");
  });

  test("says who may ask: keys and tokens, administrators, or anybody; so it is", async () => {
    const { paths, components } = await description();
    expect(Object.keys(components.securitySchemes)).toEqual(["key", "ciToken", "bootstrap"]);
    for (const [path, { get }] of Object.entries(paths)) {
      if (get === undefined) continue;
      const open = get.security?.length === 0;
      const status = (await ask(path.replace("{team}", "nobody").replace("{model}", "prof"))).status;
      expect([path, status === 401]).toEqual([path, !open]);
      if (path.startsWith("/admin") || path === "/metrics")
        expect(get.security).toContainEqual({ key: ["admin"] });
    }
  });

  test("describes what is answered", async () => {
    const { key } = await makeKey({ team: "described", scopes: ["train", "eval"] });
    await post(key, await encode({ purpose: "train", ...images(2, 71) }));
    const of = async (path: string, headers: Record<string, string>) => (await ask(path, { headers })).json();
    z.object({ models: z.array(mergedCardSchema) }).parse(await of("/v1/models", bearer(key)));
    z.strictObject(teamQuotaSchema.shape).parse(await of("/v1/quota", bearer(key)));
    const { usage } = z
      .object({ usage: z.array(z.strictObject(usageRowSchema.shape)) })
      .parse(await of("/v1/usage", bearer(key)));
    expect(usage.length).toBeGreaterThan(0);
    z.object({ keys: z.array(z.strictObject(keySchema.shape)) }).parse(await of("/v1/keys", bearer(key)));
    z.strictObject(standingSchema.shape).parse(await of("/admin/teams/described/quota", ADMIN));
  });
});

describe("its page", () => {
  test("shows every operation without a script, under the policy of the other pages", async () => {
    const page = await ask("/docs");
    const html = await page.text();
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'self';/);
    expect(html).not.toMatch(/<script|style=|https?:/);
    const { paths } = await description();
    for (const [path, methods] of Object.entries(paths))
      for (const method of Object.keys(methods))
        expect(html).toContain(`<code>${method.toUpperCase()} ${path}</code>`);
    expect(html.match(/ id="([^"]+)"/g)?.length).toBe(new Set(html.match(/ id="([^"]+)"/g)).size);
  });
});
