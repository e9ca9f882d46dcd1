import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { openMetrics } from "../../teacher-service/observe/metrics.ts";

const held = { bytes: () => 0, waiting: () => ({}) };

test("a thousand teams make a hundred labels and one for the others, which loses no request", async () => {
  const metrics = openMetrics(held);
  for (let i = 0; i < 2000; i++)
    metrics.request({ model: "m", team: `team-${i % 1000}`, purpose: "train", code: "ok", seconds: 0.1 });
  const lines = (await metrics.text())
    .split("\n")
    .filter((line) => line.startsWith("funmatch_requests_total{"));
  expect(lines).toHaveLength(101);
  const total = lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  expect(total).toBe(2000);
  expect(lines).toContain('funmatch_requests_total{model="m",team="other",purpose="train",code="ok"} 1800');
});

test("the event loop's delay is that of a thread that was held up, and begins anew with each scrape", async () => {
  const metrics = openMetrics(held);
  const longest = async () =>
    Number(/funmatch_event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(await metrics.text())?.[1]);
  await longest();
  await sleep(30);
  const until = performance.now() + 1000;
  while (performance.now() < until);
  await sleep(50);
  expect(await longest()).toBeGreaterThan(0.8);
  await sleep(30);
  expect(await longest()).toBeLessThan(0.8);
});
