/** A figure with its labels: one line of what Prometheus reads. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Figures of one name. */
export interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge";
  samples: readonly Sample[];
}

/** Prometheus's text format, version 0.0.4. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Figures as Prometheus reads them.
 *
 * @example
 * exposition([{ name: "calls_total", help: "Calls", type: "counter", samples: [{ labels: { model: "prof" }, value: 3 }] }]);
 * // # HELP calls_total Calls
 * // # TYPE calls_total counter
 * // calls_total{model="prof"} 3
 */
export function exposition(families: readonly Family[]): string {
  const lines = families.flatMap(({ name, help, type, samples }) => [
    `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => `${name}${labelled(labels)} ${value}`),
  ]);
  return `${lines.join("\n")}\n`;
}

function labelled(labels: Sample["labels"]): string {
  const items = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return items.length === 0 ? "" : `{${items.join(",")}}`;
}

function escaped(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
