import { Counter, Gauge, type Registry } from "prom-client";
import type { Loaded } from "../life/loading.ts";
import { PHASES } from "../life/phases.ts";

/** What Prometheus is told of models' lives. */
export interface LifeMetrics {
  loaded(model: string, loaded: Pick<Loaded, "seconds" | "firstLogitsSeconds" | "bytes">): void;
  unloaded(model: string, why: "idle" | "memory" | "failed"): void;
  /** Its thread has ended by itself. */
  died(model: string): void;
}

export function openLifeMetrics(registers: Registry[]): LifeMetrics {
  const model = ["model"] as const;
  const ready = new Gauge({
    name: "funmatch_model_ready",
    help: "1 while the model is in memory and answers",
    labelNames: model,
    registers,
  });
  const bytes = new Gauge({
    name: "funmatch_model_resident_bytes",
    help: "Resident memory that the model added when it was loaded, passes of its largest size included",
    labelNames: model,
    registers,
  });
  const loads = new Counter({
    name: "funmatch_model_loads_total",
    help: "How often the model was loaded",
    labelNames: model,
    registers,
  });
  const unloads = new Counter({
    name: "funmatch_model_unloads_total",
    help: "How often the model was unloaded: idle, memory, failed",
    labelNames: [...model, "why"] as const,
    registers,
  });
  const deaths = new Counter({
    name: "funmatch_model_deaths_total",
    help: "How often the model's thread has ended by itself",
    labelNames: model,
    registers,
  });
  const phaseSeconds = new Gauge({
    name: "funmatch_model_load_seconds",
    help: "What the last load took, by phase: engine, weights, graph, probe",
    labelNames: [...model, "phase"] as const,
    registers,
  });
  const firstLogits = new Gauge({
    name: "funmatch_model_first_logits_seconds",
    help: "From the beginning of the last load to the first logits computed",
    labelNames: model,
    registers,
  });
  return {
    loaded(id, { seconds, firstLogitsSeconds, bytes: resident }) {
      loads.inc({ model: id });
      ready.set({ model: id }, 1);
      bytes.set({ model: id }, resident);
      firstLogits.set({ model: id }, firstLogitsSeconds);
      for (const phase of PHASES) phaseSeconds.set({ model: id, phase }, seconds[phase]);
    },
    unloaded(id, why) {
      unloads.inc({ model: id, why });
      ready.set({ model: id }, 0);
      bytes.set({ model: id }, 0);
    },
    died(id) {
      deaths.inc({ model: id });
      ready.set({ model: id }, 0);
    },
  };
}
