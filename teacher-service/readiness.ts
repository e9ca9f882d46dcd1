import type { Service } from "./service.ts";

/** Whether the service may be sent requests: no model is loading any more, and one is ready. */
export function readiness(service: Service): { ready: boolean; models: Record<string, string> } {
  const models = Object.fromEntries([...service.models].map(([id, model]) => [id, model.card().state]));
  const states = Object.values(models);
  return {
    ready: !service.draining && !states.includes("loading") && states.includes("ready"),
    models,
  };
}
