import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import worker from "../../../edge-gateway/worker.ts";
import { GATEWAY, problem } from "../client.ts";

test("a Worker that is not set up says what is missing, and is alive all the same", async () => {
  const bare = { KEYS: env.KEYS, EVAL_CACHE: env.EVAL_CACHE };
  const at = (path: string) =>
    worker.fetch(new Request(GATEWAY + path) as never, bare as never, createExecutionContext());
  expect((await at("/healthz")).status).toBe(200);
  const { status, detail } = await problem(await at("/v1/models"));
  expect(status).toBe(500);
  expect(detail).toContain("TEACHER_SECRET is missing");
});
