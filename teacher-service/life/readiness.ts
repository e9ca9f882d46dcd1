import type { Service } from "../service.ts";

/** What `GET /readyz` tells. */
export interface Readiness {
  readonly ready: boolean;
  readonly draining: boolean;
  /** Each model's state. */
  readonly models: Record<string, string>;
}

/**
 * Whether requests should come here: not while it drains, not before every model that is loaded at start has been, and
 * not unless some model answers, or would be loaded by a request.
 */
export function readinessOf({ models, draining, starting }: Service): Readiness {
  const states = Object.fromEntries([...models].map(([id, model]) => [id, model.card().state]));
  const all = Object.values(states);
  const ready = !draining && starting.size === 0 && (all.includes("ready") || all.includes("unloaded"));
  return { ready, draining, models: states };
}
