import { UserError } from "@funmatch/config";
import { WireError } from "@funmatch/wire";
import { afterEach, describe, expect, test } from "vitest";
import { openTeacher, type Teacher } from "../../student-trainer/teach/client.ts";
import type { TeacherError } from "../../student-trainer/teach/errors.ts";
import { someViews as views } from "./batches.ts";
import {
  KEY,
  OTHER_VERSION,
  type SmallTeacher,
  smallLogits,
  smallTeacher,
  VERSION,
} from "./small-teacher.ts";

const patience = { attempts: 3, firstDelayMs: 5 };
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function serve(o: Parameters<typeof smallTeacher>[0] = {}): Promise<SmallTeacher> {
  const service = await smallTeacher(o);
  open.push(service);
  return service;
}

async function connect(
  service: { url: string },
  o: Partial<Parameters<typeof openTeacher>[0]> = {},
): Promise<Teacher> {
  const teacher = await openTeacher({ url: service.url, key: KEY, patience, ...o });
  open.push(teacher);
  return teacher;
}

const train = (requestId: string, signal?: AbortSignal) => ({ purpose: "train" as const, requestId, signal });

/** The TeacherError that a promise rejects with. */
async function faultOf(promise: Promise<unknown>): Promise<TeacherError> {
  const error = await promise.then(
    () => expect.fail("it was answered"),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: "TeacherError" });
  expect(error).toBeInstanceOf(UserError);
  return error as TeacherError;
}

describe("an honest teacher", () => {
  test("answers for the bytes that were sent, under one content-length, with pin, id, timeout and key", async () => {
    const service = await serve();
    const teacher = await connect(service, { timeoutMs: 5000 });
    const sent = await views(3);
    const answer = await teacher.ask(sent, train("step-1"));
    expect(answer.logits).toEqual(smallLogits(new Uint8Array(sent.data), 3, 5));
    expect(answer).toMatchObject({ version: VERSION, cache: "none" });
    expect(service.calls[0]?.head).toMatchObject({
      purpose: "train",
      digest: sent.digest,
      shape: [3, 4, 4, 3],
    });
    const headers = service.calls[0]?.headers ?? {};
    expect(headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      "content-type": "application/vnd.msgpack",
      "x-funmatch-teacher-version": VERSION,
      "x-funmatch-timeout-ms": "5000",
      "x-request-id": "step-1",
    });
    expect(headers["transfer-encoding"]).toBeUndefined();
  });

  test("is asked many things at once over kept connections", async () => {
    const service = await serve();
    const teacher = await connect(service);
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => views(2, i)));
    const answers = await Promise.all(all.map((sent, i) => teacher.ask(sent, train(`step-${i}`))));
    answers.forEach(({ logits }, i) => {
      expect(logits).toEqual(smallLogits(new Uint8Array(all[i]?.data ?? []), 2, 5));
    });
  });
});

describe("what must never be learned from", () => {
  test("a byte flipped on the way: the service refuses it, and a credulous one is found out", async () => {
    const flip = (images: Uint8Array) => {
      images[17] = (images[17] ?? 0) ^ 1;
    };
    for (const credulous of [false, true]) {
      const service = await serve({ credulous, tamper: flip });
      const teacher = await connect(service);
      expect((await faultOf(teacher.ask(await views(2), train("flipped")))).fault).toBe("digest");
      expect(service.calls).toHaveLength(1);
    }
  });

  test.each([
    ["another version", { version: OTHER_VERSION }, "version", /bbbb.*this run's teacher is sha256:aaaa/],
    ["too few rows", { logits: bytesOf(1, 5) }, "shape", /\[1,5\] came back, expected \[2,5\]/],
    ["other classes", { logits: bytesOf(2, 4) }, "shape", /\[2,4\] came back, expected \[2,5\]/],
    ["NaN", { logits: bytesOf(2, 5, Number.NaN) }, "non-finite", /logit 3 of image 1 is NaN/],
    ["infinity", { logits: bytesOf(2, 5, Number.POSITIVE_INFINITY) }, "non-finite", /is Infinity/],
  ] as const)("%s", async (_name, behaviour, fault, message) => {
    const service = await serve({ behave: () => behaviour as object });
    const teacher = await connect(service);
    const error = await faultOf(teacher.ask(await views(2), train("bad")));
    expect(error.fault).toBe(fault);
    expect(error.message).toMatch(message);
    expect(error.message).toContain("request bad");
    expect(service.calls).toHaveLength(1);
  });

  test("two answers swapped", async () => {
    const both = [await views(2, 0), await views(2, 9)];
    const service = await serve({ behave: ({ nth }) => ({ digest: both[1 - nth]?.digest }) });
    const teacher = await connect(service);
    for (const [i, sent] of both.entries())
      expect((await faultOf(teacher.ask(sent, train(`step-${i}`)))).fault).toBe("digest");
  });

  test("an answer longer than it may be", async () => {
    const service = await serve({ behave: () => ({ logits: bytesOf(20_000, 5) }) });
    const teacher = await connect(service);
    expect((await faultOf(teacher.ask(await views(2), train("long")))).fault).toBe("malformed");
  });
});

function bytesOf(n: number, k: number, last = 1) {
  const values = new Float32Array(n * k).fill(1);
  values[n * k - 2] = last;
  return {
    dtype: "float32" as const,
    shape: [n, k] as [number, number],
    data: new Uint8Array(values.buffer),
  };
}

describe("failures that pass", () => {
  test("connections that drop and 500, 502, 504 are retried under the same request id", async () => {
    const service = await serve({
      behave: ({ nth }) =>
        (["drop", new WireError("upstream_unreachable", "no teacher there")] as const)[nth],
    });
    const told: string[] = [];
    const teacher = await connect(service, { onWait: (why) => told.push(why) });
    await teacher.ask(await views(1), train("step-9"));
    expect(service.calls.map(({ requestId }) => requestId)).toEqual(["step-9", "step-9", "step-9"]);
    expect(told).toEqual([
      expect.stringMatching(/other side closed; try 2 of 3/),
      expect.stringMatching(/no teacher there \(502 upstream_unreachable\); try 3 of 3/),
    ]);
  });

  test("but not for ever", async () => {
    const service = await serve({ behave: () => new WireError("internal", "out of luck") });
    const teacher = await connect(service);
    const error = await faultOf(teacher.ask(await views(1), train("step-9")));
    expect(error.fault).toBe("unavailable");
    expect(error.message).toMatch(/no answer after 3 tries: out of luck \(500 internal\)/);
  });

  test("an answer that never comes is given up after the timeout, then retried", async () => {
    const service = await serve({ behave: ({ nth }) => (nth < 2 ? "hang" : undefined) });
    const teacher = await connect(service, { timeoutMs: 50 });
    await teacher.ask(await views(1), train("slow"));
    expect(service.calls).toHaveLength(3);
    expect(service.abandoned).toBe(2);
  });

  test("429 and 503 wait as told and use up no attempt", async () => {
    const service = await serve({
      behave: ({ nth }) => (nth < 2 ? new WireError(nth ? "loading" : "quota_exceeded", "later") : undefined),
    });
    const told: string[] = [];
    const teacher = await connect(service, {
      patience: { attempts: 1, firstDelayMs: 5 },
      onWait: (why) => told.push(why),
    });
    const before = performance.now();
    await teacher.ask(await views(1), train("patient"));
    expect(performance.now() - before).toBeGreaterThan(2000);
    expect(told).toEqual([
      expect.stringMatching(/429 quota_exceeded; waiting 1 s/),
      expect.stringMatching(/503/),
    ]);
  });
});

describe("refusals for good", () => {
  test.each([
    [new WireError("unauthenticated", "the key is unknown"), "refused", /the key is unknown .*Set its key/],
    [
      new WireError("version_mismatch", "another one is served"),
      "version",
      /not the one that this run began with/,
    ],
    [new WireError("too_large", "maxImages is 4"), "refused", /maxImages is 4.*smaller chunk/],
    [new WireError("digest_mismatch", "changed", { status: 502 }), "digest", /changed on its way/],
  ] as const)("%s", async (problem, fault, message) => {
    const service = await serve({ behave: () => problem });
    const teacher = await connect(service);
    const error = await faultOf(teacher.ask(await views(1), train("x")));
    expect(error.fault).toBe(fault);
    expect(error.message).toMatch(message);
    expect(service.calls).toHaveLength(1);
  });
});

describe("the caller's signal", () => {
  test("ends a request in flight and a wait", async () => {
    const service = await serve({
      behave: ({ nth }) =>
        nth === 0 ? "hang" : new WireError("loading", "hours", { retryAfterSeconds: 9999 }),
    });
    const teacher = await connect(service);
    for (const round of [0, 1]) {
      const stop = new AbortController();
      const asked = teacher.ask(await views(1), train(`r${round}`, stop.signal));
      while (service.calls.length <= round) await new Promise((resolve) => setTimeout(resolve, 5));
      stop.abort(new Error("enough"));
      await expect(asked).rejects.toThrow("enough");
    }
  });
});

describe("opening", () => {
  test("waits while the service and its model load", async () => {
    const service = await serve({
      card: (nth) =>
        [
          new WireError("loading", "weights are being read"),
          { state: "loading" as const, progress: 0.5, version: "" },
        ][nth] ?? {},
    });
    const told: string[] = [];
    const teacher = await connect(service, { onWait: (why) => told.push(why) });
    expect(teacher.card).toMatchObject({ version: VERSION, classes: 5 });
    expect(teacher.limits.maxImages).toBe(16);
    expect(told).toEqual([
      expect.stringMatching(/weights are being read/),
      expect.stringMatching(/loading \(50 %\)/),
    ]);
  });

  test("refuses a teacher that is not the one pinned", async () => {
    const service = await serve();
    const error = await faultOf(connect(service, { pinnedVersion: OTHER_VERSION }));
    expect(error.message).toMatch(/serves sha256:aaaa.*began with sha256:bbbb/);
  });

  test("says in one line what is wrong with a key, a model, a host", async () => {
    const service = await serve();
    await expect(connect(service, { key: "wrong" })).rejects.toThrow(/no such key \(401 unauthenticated\)/);
    await expect(connect(service, { key: "two words" })).rejects.toThrow(/blank/);
    await expect(connect({ url: service.url.replace("prof", "nobody") })).rejects.toThrow(
      /404 unknown_model/,
    );
    await service.close();
    await expect(connect(service)).rejects.toThrow(/no answer after 3 tries: .*ECONNREFUSED/);
  });

  test.each([
    ["prof", /expected a URL such as/],
    ["http://host/models/prof", /expected a URL such as/],
    ["oip+https://host/v2/models/prof", /expected a URL such as/],
    ["http://user:pass@host/v1/models/prof", /carries no key/],
  ])("refuses the URL %s", async (url, message) => {
    await expect(openTeacher({ url })).rejects.toThrow(message);
  });
});
