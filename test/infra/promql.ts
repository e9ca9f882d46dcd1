import { parser } from "@prometheus-io/lezer-promql";

/** Grafana's and the adapter's templates, as they might be filled in. */
const FILLED: [RegExp, string][] = [
  [/\$__rate_interval/g, "1m"],
  [/<<\.LabelMatchers>>/g, 'pod="x"'],
  [/<<\.GroupBy>>/g, "pod"],
];

/** What an expression reads. */
interface Reads {
  metrics: string[];
  /** Those that it matches or groups by. */
  labels: string[];
}

/**
 * The metrics and labels that an expression reads.
 *
 * @throws Error with the place, when Prometheus's own grammar does not take it
 */
export function readsOf(expression: string): Reads {
  const text = FILLED.reduce((filled, [template, value]) => filled.replace(template, value), expression);
  const metrics = new Set<string>();
  const labels = new Set<string>();
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`not PromQL at ${node.from}: ${text}`);
      if (node.name === "LabelName") labels.add(text.slice(node.from, node.to));
      if (node.name === "VectorSelector") {
        const name = node.node.getChild("Identifier");
        if (name) metrics.add(text.slice(name.from, name.to));
      }
    },
  });
  return { metrics: [...metrics], labels: [...labels] };
}
