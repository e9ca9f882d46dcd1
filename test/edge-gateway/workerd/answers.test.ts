import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Bindings, cloudflare } from "../../../edge-gateway/cloudflare.ts";

// Where a Worker keeps answers: R2, or KV, or only the data centre's own cache.

afterEach(() => vi.useRealTimers());

const WITHOUT = { EVAL_ANSWERS: undefined, EVAL_CACHE: undefined } as unknown as Partial<Bindings>;
const bytes = (...values: number[]) => new Uint8Array(values);

/** A KV namespace in memory, of which only what the gateway uses is there. */
function namespace() {
  const held = new Map<string, { value: Uint8Array<ArrayBuffer>; ttl: number }>();
  const kv = {
    get: async (key: string, form: "arrayBuffer" | "stream") => {
      const { value } = held.get(key) ?? { value: null };
      return value && form === "stream" ? new Blob([value]).stream() : (value?.buffer ?? null);
    },
    put: async (key: string, value: Uint8Array<ArrayBuffer>, { expirationTtl }: { expirationTtl: number }) =>
      void held.set(key, { value, ttl: expirationTtl }),
  };
  return { held, kv: kv as unknown as KVNamespace };
}

async function store(changed: Partial<Bindings> & Record<string, unknown>) {
  const context = createExecutionContext();
  const { answers } = cloudflare({ ...env, ...changed }, context);
  return { answers, settled: () => waitOnExecutionContext(context) };
}

const fresh = () => `answers/${crypto.randomUUID()}`;
const forgetNearby = (key: string) =>
  caches.default.delete(`https://eval-cache.funmatch.invalid/${encodeURIComponent(key)}`);

describe("an answer", () => {
  test("in R2 outlives the data centre's cache, and is put back into it", async () => {
    const { answers, settled } = await store({});
    const key = fresh();
    await answers.put(key, bytes(1, 2));
    await forgetNearby(key);
    expect(await answers.get(key)).toEqual(bytes(1, 2));
    await settled();
    await env.EVAL_ANSWERS?.delete(key);
    expect(await answers.get(key)).toEqual(bytes(1, 2));
    await forgetNearby(key);
    expect(await answers.get(key)).toBeNull();
  });

  test("is gone when its time is over, and makes room for another one", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { answers, settled } = await store({ EVAL_CACHE_SECONDS: "60" });
    const key = fresh();
    await answers.put(key, bytes(1));
    await forgetNearby(key);
    vi.setSystemTime(Date.now() + 59_000);
    expect(await answers.get(key)).toEqual(bytes(1));
    await settled(); // it is nearby again
    await forgetNearby(key);
    vi.setSystemTime(Date.now() + 2_000);
    expect(await answers.get(key)).toBeNull();
    await answers.put(key, bytes(2));
    expect(await answers.get(key)).toEqual(bytes(2));
  });

  test("goes to KV where no bucket is bound, for as long as the settings say, and is not replaced", async () => {
    const { held, kv } = namespace();
    const { answers } = await store({ ...WITHOUT, EVAL_CACHE: kv, EVAL_CACHE_SECONDS: "3600" });
    const key = fresh();
    await answers.put(key, bytes(1));
    await answers.put(key, bytes(2));
    expect(held.get(key)).toEqual({ value: bytes(1), ttl: 3600 });
    await forgetNearby(key);
    expect(await answers.get(key)).toEqual(bytes(1));
  });

  test("lives in the data centre's cache alone where nothing is bound", async () => {
    const { answers } = await store(WITHOUT);
    const key = fresh();
    expect(await answers.get(key)).toBeNull();
    await answers.put(key, bytes(1));
    await answers.put(key, bytes(2));
    expect(await answers.get(key)).toEqual(bytes(1));
  });

  test("is still to be had where the data centre's cache fails", async () => {
    const logged = vi.spyOn(console, "error").mockReturnValue();
    const away = vi.spyOn(caches.default, "match").mockRejectedValue(new Error("no cache here"));
    const { answers } = await store({});
    const key = fresh();
    await answers.put(key, bytes(1));
    expect(await answers.get(key)).toEqual(bytes(1));
    expect(logged).toHaveBeenCalled();
    away.mockRestore();
    logged.mockRestore();
  });
});

test("whoever asks where nothing is bound for meeting asks alone", async () => {
  const { flights } = cloudflare(
    { ...env, EVAL_FLIGHTS: undefined } as unknown as Bindings,
    createExecutionContext(),
  );
  for (const _ of [1, 2]) expect(await flights("a key").join(1000)).toMatchObject({ kind: "lead" });
});
