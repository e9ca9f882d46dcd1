import { type Identity, replayWindow, signIdentity, verifyIdentity, WireError } from "@funmatch/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DIGEST } from "./packing.ts";

const SECRET = "a secret that gateway and teacher share";
const PATH = "/v1/models/prof/logits";
const NOW = 1_790_000_000;
const IDENTITY: Identity = {
  audience: "teacher.example",
  team: "équipe/1",
  requestId: "run-7.step-12.chunk-0",
  timestamp: NOW,
  purpose: "train",
  contentLength: 12_345,
  digest: DIGEST,
};
const EXPECTED = {
  audience: "teacher.example",
  contentLength: 12_345,
  nowSeconds: NOW + 3,
  windowSeconds: 30,
};

const verify = (
  header: string,
  changes: Partial<typeof EXPECTED> = {},
  secret = SECRET,
  method = "POST",
  path = PATH,
) => verifyIdentity(secret, method, path, header, { ...EXPECTED, ...changes });

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof WireError && error.code === "unauthenticated") return error.detail;
    throw error;
  }
  throw new Error("it was accepted");
}

/** The same header with its signed payload changed. */
function forged(header: string, change: (payload: Record<string, unknown>) => object): string {
  const [version, payload, mac] = header.split(".");
  const changed = change(JSON.parse(Buffer.from(payload!, "base64url").toString()));
  return `${version}.${Buffer.from(JSON.stringify(changed)).toString("base64url")}.${mac}`;
}

test("what the gateway signs, the teacher believes", async () => {
  const header = await signIdentity(SECRET, "POST", PATH, IDENTITY);
  expect(await verify(header)).toEqual(IDENTITY);
  const anonymous = { ...IDENTITY, purpose: "eval", digest: "" } as const;
  expect(await verify(await signIdentity(SECRET, "POST", PATH, anonymous))).toEqual(anonymous);
});

test("another implementation needs only HMAC, JSON and base64url", async () => {
  const { createHmac } = await import("node:crypto");
  const payload = Buffer.from(JSON.stringify({ ...IDENTITY, nonce: "0".repeat(32) })).toString("base64url");
  const signed = `funmatch-identity-v1\nPOST\n${PATH}\n${payload}`;
  const mac = createHmac("sha256", SECRET).update(signed).digest("base64url");
  expect(await verify(`v1.${payload}.${mac}`)).toEqual(IDENTITY);
});

describe("what is refused", () => {
  test("another secret, method, path, audience or length", async () => {
    const header = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    expect(await refusal(verify(header, {}, "another"))).toContain("does not fit");
    expect(await refusal(verify(header, {}, SECRET, "PUT"))).toContain("does not fit");
    expect(await refusal(verify(header, {}, SECRET, "POST", "/v1/models/other/logits"))).toContain(
      "does not fit",
    );
    expect(await refusal(verify(header, { audience: "other" }))).toContain("another service");
    expect(await refusal(verify(header, { contentLength: 12_344 }))).toContain("another body");
    expect(await refusal(verify(header, { contentLength: Number.NaN }))).toContain("another body");
  });

  test("any field that was changed after signing", async () => {
    const header = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    const changes: Partial<Identity>[] = [
      { audience: "x" },
      { team: "x" },
      { requestId: "x" },
      { timestamp: NOW + 1 },
      { purpose: "eval" },
      { contentLength: 1 },
      { digest: "" },
    ];
    for (const change of changes) {
      expect(await refusal(verify(forged(header, (payload) => ({ ...payload, ...change }))))).toContain(
        "does not fit",
      );
    }
    expect(await verify(forged(header, (payload) => payload))).toEqual(IDENTITY);
  });

  test("any single character that was changed", async () => {
    const header = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: header.length - 1 }),
        fc.string({ minLength: 1, maxLength: 1 }),
        async (at, c) => {
          const changed = header.slice(0, at) + c + header.slice(at + 1);
          if (changed !== header) await refusal(verify(changed));
        },
      ),
      { numRuns: 300 },
    );
    for (const last of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
      const changed = header.slice(0, -1) + last; // the last character has two bits that no byte holds
      if (changed !== header) await refusal(verify(changed));
    }
  });

  test("a time outside the window, on either side", async () => {
    const header = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    await verify(header, { nowSeconds: NOW + 30 });
    await verify(header, { nowSeconds: NOW - 30 });
    expect(await refusal(verify(header, { nowSeconds: NOW + 30.5 }))).toContain("outside 30 s");
    expect(await refusal(verify(header, { nowSeconds: NOW - 31 }))).toContain("outside 30 s");
    expect(await refusal(verify(header, { nowSeconds: Number.NaN }))).toContain("outside 30 s");
  });

  test("headers that are none", async () => {
    const hostile = [
      "",
      "v1",
      "v1..",
      "v2.e30.AAAA",
      `v1.e30.${"A".repeat(43)}`,
      "x".repeat(1_000_000),
      `v1.${"A".repeat(5000)}`,
    ];
    for (const header of hostile) await refusal(verify(header));
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 200 }), async (header) => {
        await refusal(verify(header));
      }),
    );
  });

  test("a rightly signed payload that is no identity", async () => {
    const { createHmac } = await import("node:crypto");
    for (const payload of ["e30", "AA", "bnVsbA", "_w", "A"]) {
      const mac = createHmac("sha256", SECRET)
        .update(`funmatch-identity-v1\nPOST\n${PATH}\n${payload}`)
        .digest("base64url");
      expect(await refusal(verify(`v1.${payload}.${mac}`))).toContain("not an identity");
    }
  });
});

test("fields that could smuggle something are not signed", async () => {
  const sign = (changes: Partial<Identity>, path = PATH) =>
    signIdentity(SECRET, "POST", path, { ...IDENTITY, ...changes });
  await expect(sign({ requestId: "a\nb" })).rejects.toThrow("identity.requestId: expected 1 to 128 visible");
  await expect(sign({ digest: "abc" })).rejects.toThrow("identity.digest");
  await expect(sign({ contentLength: 1.5 })).rejects.toThrow("identity.contentLength");
  await expect(sign({}, `${PATH}\nx`)).rejects.toThrow("method and path");
  await expect(signIdentity("", "POST", PATH, IDENTITY)).rejects.toThrow("secret");
});

describe("a replay", () => {
  test("is refused, while a retry of the same request in the same second is not", async () => {
    const window = replayWindow(30);
    const first = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    const retry = await signIdentity(SECRET, "POST", PATH, IDENTITY);
    window.admit(first, NOW);
    window.admit(retry, NOW);
    expect(() => window.admit(first, NOW + 29)).toThrow("it was used before");
  });

  test("is remembered for as long as its signature is good, and no longer", async () => {
    const window = replayWindow(30, 1);
    const ahead = await signIdentity(SECRET, "POST", PATH, { ...IDENTITY, timestamp: NOW + 30 });
    await verify(ahead, { nowSeconds: NOW });
    window.admit(ahead, NOW);
    await verify(ahead, { nowSeconds: NOW + 60 });
    expect(() => window.admit(ahead, NOW + 60)).toThrow("it was used before");
    await refusal(verify(ahead, { nowSeconds: NOW + 60.1 }));
    window.admit(await signIdentity(SECRET, "POST", PATH, IDENTITY), NOW + 60.1); // there is room again
  });

  test("cannot be forced by filling the memory: what does not fit is told to come later", () => {
    const window = replayWindow(30, 100);
    for (let i = 0; i < 100; i++) window.admit(`v1.x.${i}`, NOW);
    try {
      window.admit("v1.x.100", NOW);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "overloaded", status: 429, retryAfterSeconds: 30 });
    }
    expect(() => window.admit("v1.x.0", NOW)).toThrow("it was used before");
  });
});
