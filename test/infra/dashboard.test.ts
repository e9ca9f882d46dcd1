import { once } from "node:events";
import { connect } from "node:net";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bodyOf, logitsOf, post } from "../teacher-service/ask.ts";
import { noise, writeTeacher } from "../teacher-service/tiny-teacher.ts";
import { type Manifest, readInfra, readYaml } from "./manifests.ts";
import { readsOf } from "./promql.ts";
import { unknownKeys } from "./typescript-types.ts";

interface Target {
  expr: string;
}
interface Dashboard {
  panels: { title: string; targets?: Target[] }[];
  templating: { list: { name: string; query: string | { query: string } }[] };
}
const dashboard = JSON.parse(readInfra("grafana/teacher.json")) as Dashboard;
const { rules } = readYaml("kubernetes/prometheus-adapter.yaml") as {
  rules: { custom: { seriesQuery: string; metricsQuery: string; name: { as: string } }[] };
};

let service: TeacherProcess;
/** Every name under which Prometheus keeps what the running service tells, with its labels. */
const exported = new Map<string, Set<string>>();
/** Those that Prometheus itself adds. */
const ADDED = ["pod", "namespace"];

beforeAll(async () => {
  const { configPath } = await writeTeacher({});
  service = await startTeacherService(configPath);
  const pixels = noise(4 * 32 * 32 * 3);
  await logitsOf(await post(service.url, bodyOf({ pixels, shape: [4, 32, 32, 3] })));
  await fetch(`${service.url}/nowhere`);
  await hangUp(service.url);
  const text = await vi.waitFor(
    async () => {
      const told = await (await fetch(`${service.url}/metrics`)).text();
      expect(told).toMatch(/^funmatch_hangups_total\{/m);
      return told;
    },
    { timeout: 30_000 },
  );
  for (const [, name, labels = ""] of text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? \S+$/gm)) {
    const found = exported.get(name!) ?? new Set();
    for (const [, label] of labels.matchAll(/(\w+)="/g)) found.add(label!);
    exported.set(name!, found);
  }
}, 120_000);
afterAll(async () => {
  expect(await service?.close()).toBe(0);
});

/** Begins a request and goes away. */
async function hangUp(url: string): Promise<void> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const head = `content-type: application/vnd.msgpack\r\ncontent-length: 1000`;
  socket.write(`POST /v1/models/tiny/logits HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\nx`, () => socket.destroy());
  await once(socket, "close");
}

/** Every metric that an expression reads must be exported, with every label that it matches or groups by. */
function expectExported(expression: string): void {
  const { metrics, labels } = readsOf(expression);
  expect(metrics.length).toBeGreaterThan(0);
  for (const name of metrics) {
    expect([...exported.keys()]).toContain(name);
    expect([...exported.get(name)!, ...ADDED]).toEqual(expect.arrayContaining(labels));
  }
}

const panels = dashboard.panels.filter((panel) => panel.targets !== undefined);

describe("the dashboard", () => {
  test("is what Grafana's published types say", () => {
    const types = "@grafana/schema/dist/types/veneer/dashboard.types#Dashboard";
    expect(unknownKeys({ "grafana/teacher.json": { value: dashboard, types } })).toEqual([]);
    const wrong = { ...dashboard, panels: [{ ...panels[0], fieldConfg: {} }] };
    expect(unknownKeys({ wrong: { value: wrong, types } }).join()).toContain("fieldConfg");
  });

  test.each(panels.map((panel) => [panel.title, panel.targets!]))(
    "%s: asks for what is exported",
    (_title, targets) => {
      for (const { expr } of targets) expectExported(expr);
    },
  );

  test("fills its variables from what is exported", () => {
    const queries = dashboard.templating.list.flatMap(({ query }) =>
      typeof query === "string" ? [] : query.query,
    );
    expect(queries.length).toBeGreaterThan(0);
    for (const query of queries) {
      const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
      expectExported(`sum by (${label}) (${metric})`);
    }
  });
});

describe("the autoscaler", () => {
  test("is given metrics that the adapter makes of what is exported", () => {
    for (const rule of rules.custom) {
      expectExported(rule.seriesQuery);
      expectExported(rule.metricsQuery);
    }
    const { spec } = readYaml("kubernetes/autoscaler.yaml") as Manifest;
    const asked = (spec.metrics as { pods: { metric: { name: string } } }[]).map(
      ({ pods }) => pods.metric.name,
    );
    expect(asked).toContain("funmatch_queue_wait_seconds");
    expect(rules.custom.map((rule) => rule.name.as).sort()).toEqual(asked.sort());
  });
});

test("what is not PromQL is refused", () => {
  expect(() => readsOf("sum by (rate(funmatch_images_total[1m]))")).toThrow("not PromQL");
  expect(readsOf("sum by (le) (rate(a[$__rate_interval])) / b{pod='x'}")).toEqual({
    metrics: ["a", "b"],
    labels: ["le", "pod"],
  });
});

test("what is not exported is found", () => {
  expect(() => expectExported("sum by (tenant) (funmatch_images_total)")).toThrow("tenant");
  expect(() => expectExported("funmatch_no_such_total")).toThrow("funmatch_no_such_total");
});
