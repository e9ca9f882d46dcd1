import { CODES } from "@funmatch/wire";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { createApp } from "../../teacher-service/app.ts";
import { openApiDocument } from "../../teacher-service/openapi/document.ts";
import type { Service } from "../../teacher-service/service.ts";

/** Listing or asking for what is no part of the API needs nothing of a service. */
const app = createApp({ draining: false } as Service);
const paths = openApiDocument.paths as Record<string, Record<string, Operation>>;

interface Operation {
  responses: Record<string, { headers: object; content: Record<string, { schema: Schema }> }>;
}
interface Schema {
  properties: { code: { enum?: string[] } };
}

describe("the OpenAPI document", () => {
  test("is valid OpenAPI 3.1 by another program's judgement, which also finds what is not", async () => {
    const validator = new Validator();
    expect(await validator.validate({ ...openApiDocument })).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
    const wrong = { ...openApiDocument, paths: { "/v1/models": { get: { responses: [] } } } };
    expect((await new Validator().validate(wrong)).valid).toBe(false);
  });

  test("describes every address of the API, and none that is not there", () => {
    const served = app.routes
      .filter(({ method, path }) => method !== "ALL" && !/^\/(docs|openapi\.json)/.test(path))
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
    const told = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...new Set(served)].sort()).toEqual(told.sort());
  });

  test("tells every code of a refusal with its status, and where to wait", () => {
    const { responses } = paths["/v1/models/{model}/logits"]!.post!;
    const codes = Object.entries(responses).flatMap(([status, { content }]) =>
      (content["application/problem+json"]?.schema.properties.code.enum ?? []).map((code) => [
        code,
        Number(status),
      ]),
    );
    expect(Object.fromEntries(codes)).toEqual(CODES);
    for (const status of ["429", "503"]) expect(responses[status]!.headers).toHaveProperty("retry-after");
  });
});

describe("its page", () => {
  test("is served whole from the service, under a policy that allows no other host and no inline script", async () => {
    const page = await app.request("/docs");
    const html = await page.text();
    const policy = page.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toContain("unsafe");
    expect(html).not.toMatch(/<script>|style=|https?:/);
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((found) => `/${found[1]}`);
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const answer = await app.request(file);
      expect([file, answer.status]).toEqual([file, 200]);
      expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(100);
    }
    expect(await (await app.request("/openapi.json")).json()).toEqual(openApiDocument);
  });
});
