import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ProblemCode, Purpose } from "@funmatch/wire";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Answer, Dropped } from "../queue/batch.ts";
import { type LifeMetrics, openLifeMetrics } from "./life-metrics.ts";

/** Who asked what; a team is one that proved who it is, never a name that a request merely claims. */
interface Asked {
  readonly model: string;
  readonly team: string;
  readonly purpose: Purpose;
}

/**
 * What the service tells Prometheus. Labels come from the config and from teams that proved who they are; past
 * {@link MOST_TEAMS} of them further ones are told together, so that labels stay few.
 */
export interface Metrics {
  /** `model` and `purpose` are "unknown" where a request was refused before they were known. */
  request(o: Omit<Asked, "purpose"> & { purpose: Purpose | "unknown"; code: string; seconds: number }): void;
  answered(o: Asked & { images: number; bytes: number; answer: Answer }): void;
  pass(o: { model: string; images: number; size: number; seconds: number }): void;
  hangUp(model: string): void;
  /** A request that left the queue before it was computed, and what of it was not spent. */
  dropped(o: Dropped & { model: string }): void;
  /** Any request, to whatever address, that was answered with a problem. */
  refused(code: ProblemCode): void;
  readonly life: LifeMetrics;
  readonly contentType: string;
  text(): Promise<string>;
}

/** Teams with a label of their own, first come; the others are "other". */
const MOST_TEAMS = 100;
const SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];

/** @param held how many bytes and requests are held now, read when Prometheus asks */
export function openMetrics(held: { bytes: () => number; waiting: () => Record<string, number> }): Metrics {
  const registers = [new Registry()];
  const registry = registers[0]!;
  collectDefaultMetrics({ register: registry });
  const byTeam = ["model", "team", "purpose"] as const;
  const teamLabel = fewLabels(MOST_TEAMS);
  const requests = new Counter({
    name: "funmatch_requests_total",
    help: "Logits requests by outcome: ok, client_gone, or the problem's code",
    labelNames: [...byTeam, "code"] as const,
    registers,
  });
  const images = new Counter({
    name: "funmatch_images_total",
    help: "Images answered",
    labelNames: byTeam,
    registers,
  });
  const bytes = new Counter({
    name: "funmatch_image_bytes_total",
    help: "Bytes of images answered",
    labelNames: byTeam,
    registers,
  });
  const queueSeconds = new Histogram({
    name: "funmatch_queue_seconds",
    help: "Time that a request waited for its turn",
    labelNames: byTeam,
    buckets: SECONDS,
    registers,
  });
  const requestSeconds = new Histogram({
    name: "funmatch_request_seconds",
    help: "Time from a request's headers to its answer or refusal",
    labelNames: ["model", "purpose"] as const,
    buckets: SECONDS,
    registers,
  });
  const computeSeconds = new Histogram({
    name: "funmatch_compute_seconds",
    help: "Duration of a forward pass",
    labelNames: ["model"] as const,
    buckets: SECONDS,
    registers,
  });
  const passImages = new Histogram({
    name: "funmatch_batch_images",
    help: "Images in a forward pass, padding not counted",
    labelNames: ["model"] as const,
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registers,
  });
  const padding = new Counter({
    name: "funmatch_padding_images_total",
    help: "Rows computed only to fill a batch size",
    labelNames: ["model"] as const,
    registers,
  });
  const hangUps = new Counter({
    name: "funmatch_hangups_total",
    help: "Requests whose client went away before the answer",
    labelNames: ["model"] as const,
    registers,
  });
  const byReason = { labelNames: ["model", "purpose", "reason"] as const, registers };
  const droppedRequests = new Counter({
    name: "funmatch_dropped_requests_total",
    help: "Requests that left the queue before they were computed: expired, or given_up by the client",
    ...byReason,
  });
  const droppedImages = new Counter({
    name: "funmatch_dropped_images_total",
    help: "Images of dropped requests, on which no computation was spent",
    ...byReason,
  });
  const refusals = new Counter({
    name: "funmatch_refusals_total",
    help: "Requests to any address that were refused, by the problem's code",
    labelNames: ["code"] as const,
    registers,
  });
  new Gauge({
    name: "funmatch_held_bytes",
    help: "Image bytes arriving, waiting and being computed",
    registers,
    collect() {
      this.set(held.bytes());
    },
  });
  new Gauge({
    name: "funmatch_waiting_requests",
    help: "Requests that wait for a forward pass",
    labelNames: ["model"] as const,
    registers,
    collect() {
      for (const [model, count] of Object.entries(held.waiting())) this.set({ model }, count);
    },
  });
  tellEventLoopDelay(registers);
  return {
    request({ model, team, purpose, code, seconds }) {
      requests.inc({ model, team: teamLabel(team), purpose, code });
      requestSeconds.observe({ model, purpose }, seconds);
    },
    answered({ model, team, purpose, answer, ...o }) {
      const labels = { model, team: teamLabel(team), purpose };
      images.inc(labels, o.images);
      bytes.inc(labels, o.bytes);
      queueSeconds.observe(labels, answer.queueSeconds);
    },
    pass({ model, images, size, seconds }) {
      passImages.observe({ model }, images);
      padding.inc({ model }, size - images);
      computeSeconds.observe({ model }, seconds);
    },
    dropped({ model, purpose, reason, images }) {
      droppedRequests.inc({ model, purpose, reason });
      droppedImages.inc({ model, purpose, reason }, images);
    },
    hangUp: (model) => hangUps.inc({ model }),
    refused: (code) => refusals.inc({ code }),
    life: openLifeMetrics(registers),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

/**
 * Keeps a label's values few: the first `most` names stay, all others become "other".
 *
 * @example const label = fewLabels(1); [label("a"), label("b"), label("a")] // ["a", "other", "a"]
 */
function fewLabels(most: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.size < most) known.add(name);
    return known.has(name) ? name : "other";
  };
}

/** How late the main thread, which serves the sockets, came to its work since Prometheus last asked. */
function tellEventLoopDelay(registers: Registry[]): void {
  const resolution = 10;
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  new Gauge({
    name: "funmatch_event_loop_delay_seconds",
    help: "Delay of the thread that serves the sockets since the last scrape, by quantile",
    labelNames: ["quantile"] as const,
    registers,
    collect() {
      for (const quantile of [0.5, 0.99, 1]) {
        // Node records the whole time between two ticks of its own timer.
        const nanoseconds = delays.percentile(quantile * 100) - resolution * 1e6;
        this.set({ quantile }, Math.max(0, nanoseconds) / 1e9);
      }
      delays.reset();
    },
  });
}
