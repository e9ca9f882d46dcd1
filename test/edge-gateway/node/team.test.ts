import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sqlOf } from "../../../edge-gateway/node.ts";
import type { OwnQuota, Quota } from "../../../edge-gateway/quota/quota.ts";
import { TeamTable } from "../../../edge-gateway/quota/team.ts";
import type { CountedCall, Outcome } from "../../../edge-gateway/quota/team-store.ts";

const UNLIMITED: Quota = {
  imagesPerMinute: null,
  burstImages: null,
  imagesInFlight: null,
  imagesPerMonth: null,
  bytesPerMonth: null,
};
const MONTH_MS = 31 * 24 * 3_600_000;

/** A team's table, and the clock that it goes by. */
function table(quota: OwnQuota, start = Date.UTC(2026, 0, 1)) {
  const clock = { now: start };
  const team = new TeamTable(sqlOf(new DatabaseSync(":memory:")), () => clock.now);
  let serial = 0;
  return {
    team,
    clock,
    admit: (images: number, call: Partial<CountedCall> = {}) =>
      team.admit(
        {
          requestId: `call-${serial++}`,
          model: "prof",
          purpose: "train",
          images,
          bytes: images * 10,
          digest: "sha256:1",
          leaseMs: 60_000,
          ...call,
        },
        { ...UNLIMITED, ...quota },
      ),
    left: async (name: string) =>
      (await team.standing({ ...UNLIMITED, ...quota })).policies.find((policy) => policy.name === name)
        ?.remaining,
  };
}

test("whatever comes, no limit is passed, nothing is lost, and who waits as told is let in", async () => {
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.record({ images: fc.integer({ min: 1, max: 40 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        settle: fc.nat(),
        outcome: fc.constantFrom<Outcome>("answered", "hit", "refused", "lost"),
      }),
    },
    { weight: 3, arbitrary: fc.record({ passMs: fc.integer({ min: 0, max: 20_000 }) }) },
  );
  const limits = fc.record({
    imagesPerMinute: fc.integer({ min: 1, max: 300 }),
    burstImages: fc.integer({ min: 40, max: 100 }),
    imagesInFlight: fc.integer({ min: 40, max: 100 }),
  });
  await fc.assert(
    fc.asyncProperty(limits, fc.array(event, { maxLength: 80 }), async (quota, events) => {
      const { team, clock, admit, left } = table({ ...quota, imagesPerMonth: 1_000_000 });
      const perMs = quota.imagesPerMinute / 60_000;
      /** Calls that were let in: when, and whether their images count. */
      const calls: { at: number; images: number; lease: number; counts: boolean; inFlight: boolean }[] = [];
      for (const step of events) {
        if ("passMs" in step) {
          clock.now += step.passMs;
          for (const call of calls) call.inFlight &&= call.at + 60_000 > clock.now;
        } else if ("settle" in step) {
          const open = calls.filter(({ inFlight }) => inFlight);
          const call = open[step.settle % Math.max(1, open.length)];
          if (call === undefined) continue;
          await team.settle(call.lease, step.outcome);
          call.inFlight = false;
          call.counts = step.outcome === "answered" || step.outcome === "lost";
        } else {
          let admission = await admit(step.images);
          if ("violated" in admission && admission.violated.join() === "minute") {
            clock.now += Math.ceil(admission.retryAfterSeconds) * 1000;
            for (const call of calls) call.inFlight &&= call.at + 60_000 > clock.now;
            admission = await admit(step.images);
            expect(admission.lease).not.toBeNull();
          }
          const { lease } = admission;
          if (lease === null) continue;
          calls.push({ at: clock.now, images: step.images, lease, counts: true, inFlight: true });
        }
        const inFlight = calls.filter((call) => call.inFlight).reduce((sum, { images }) => sum + images, 0);
        expect(inFlight).toBeLessThanOrEqual(quota.imagesInFlight);
        expect(await left("in-flight")).toBe(quota.imagesInFlight - inFlight);
        const counted = calls.filter(({ counts }) => counts);
        const total = counted.reduce((sum, { images }) => sum + images, 0);
        expect(await left("month")).toBe(1_000_000 - total);
        for (const [i, first] of counted.entries()) {
          const since = counted.slice(i).reduce((sum, { images }) => sum + images, 0);
          const most = quota.burstImages + (clock.now - first.at) * perMs;
          expect(since).toBeLessThanOrEqual(most + 1e-6);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("an isolate that died holds nothing in flight for ever, and its call counts", async () => {
  const { clock, admit, left, team } = table({ imagesInFlight: 10, imagesPerMonth: 100 });
  const { lease } = await admit(10, { leaseMs: 5000 });
  expect((await admit(1)).lease).toBeNull();
  clock.now += 5000;
  expect((await admit(10)).lease).not.toBeNull();
  await team.settle(lease as number, "refused"); // told too late
  expect(await left("month")).toBe(80);
});

test("a month ends where it does, and a call is given back to the month that it was counted in", async () => {
  const { clock, admit, left, team } = table({ imagesPerMonth: 10 }, Date.UTC(2026, 0, 31, 23, 59, 59));
  const { lease } = await admit(10);
  const refused = await admit(1);
  expect(refused).toMatchObject({ violated: ["month"], retryAfterSeconds: 1 });
  clock.now += 1000;
  expect((await admit(4)).lease).not.toBeNull();
  await team.settle(lease as number, "refused");
  expect(await left("month")).toBe(6);
});

test("a retry is given back only once, and not while another attempt may be answered", async () => {
  const { admit, left, team } = table({ imagesPerMonth: 10 });
  const attempt = async () => (await admit(10, { requestId: "step-1" })).lease as number;
  const [first, second] = [await attempt(), await attempt()];
  await team.settle(first, "refused");
  expect(await left("month")).toBe(0);
  await team.settle(second, "refused");
  await team.settle(second, "refused");
  expect(await left("month")).toBe(10);
  await team.settle(await attempt(), "answered");
  await team.settle(await attempt(), "refused");
  expect(await left("month")).toBe(0);
});

test("another call under the same request id is not what the first is given back for", async () => {
  const { admit, left, team } = table({ imagesPerMonth: 100 });
  const small = await admit(1, { requestId: "x", digest: "sha256:1" });
  const large = await admit(50, { requestId: "x", digest: "sha256:2" });
  await team.settle(large.lease as number, "lost");
  await team.settle(small.lease as number, "refused");
  expect(await left("month")).toBe(49); // both count: whoever uses an id twice is not given back the first
});

test("names that are made up do not fill the table of usage, and what is old is dropped", async () => {
  const { clock, admit, team } = table({});
  for (let i = 0; i < 150; i++) await admit(1, { model: `made-up-${i}` });
  const all = () => team.usage("2020-01-01T00", "2040-01-01T00");
  expect(await all()).toHaveLength(101);
  expect((await all()).find(({ model }) => model === "(others)")).toMatchObject({ calls: 50, images: 50 });
  clock.now += 14 * MONTH_MS;
  await admit(1);
  expect(await all()).toHaveLength(1);
});

test("a team whose calls end in errors again and again waits, and not for long", async () => {
  const { team, clock, admit } = table({});
  const fail = async () => {
    const admission = await admit(1);
    if (admission.lease !== null) await team.settle(admission.lease, "refused");
    return admission;
  };
  for (let i = 0; i < 3000; i++) expect((await fail()).lease).not.toBeNull();
  const stopped = await fail();
  expect(stopped).toMatchObject({ lease: null, violated: ["refused-calls"], retryAfterSeconds: 1 / 50 });
  clock.now += 20;
  expect((await fail()).lease).not.toBeNull();
  expect((await fail()).lease).toBeNull();
  clock.now += 60_000;
  for (let i = 0; i < 100; i++) {
    const admission = await admit(1);
    if (admission.lease !== null) await team.settle(admission.lease, "answered");
    expect(admission.lease).not.toBeNull();
  }
});
