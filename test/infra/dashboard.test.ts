import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, post } from "../teacher-service/ask.ts";
import { noise, writeTeacher } from "../teacher-service/tiny-teacher.ts";
import { type Manifest, readInfra, readYaml } from "./manifests.ts";
import { metricsOf } from "./promql.ts";
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
/** Every name under which Prometheus keeps what the running service tells. */
let exported: Set<string>;

beforeAll(async () => {
  const { configPath } = await writeTeacher({});
  service = await startTeacherService(configPath);
  const pixels = noise(4 * 32 * 32 * 3);
  await logitsOf(await post(service.url, bodyOf({ pixels, shape: [4, 32, 32, 3] })));
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  const parts = (type?: string) => (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]);
  exported = new Set(types.flatMap(([, name, type]) => parts(type).map((part) => name + part)));
}, 120_000);
afterAll(async () => {
  expect(await service?.close()).toBe(0);
});

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
      for (const { expr } of targets) {
        const names = metricsOf(expr);
        expect(names.length).toBeGreaterThan(0);
        for (const name of names) expect(exported).toContain(name);
      }
    },
  );

  test("fills its variables from what is exported", () => {
    const queries = dashboard.templating.list.flatMap(({ query }) =>
      typeof query === "string" ? [] : query.query,
    );
    const names = queries.map((query) => /^label_values\((\w+), \w+\)$/.exec(query)?.[1]);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(exported).toContain(name);
  });
});

describe("the autoscaler", () => {
  test("is given metrics that the adapter makes of what is exported", () => {
    for (const rule of rules.custom) {
      for (const name of [...metricsOf(rule.seriesQuery), ...metricsOf(rule.metricsQuery)])
        expect(exported).toContain(name);
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
  expect(() => metricsOf("sum by (rate(funmatch_images_total[1m]))")).toThrow("not PromQL");
  expect(metricsOf("sum(rate(a[$__rate_interval])) / b{pod='x'}")).toEqual(["a", "b"]);
});
