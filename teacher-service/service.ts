import type { Limits } from "@funmatch/wire";
import type { Logger } from "pino";
import type { Model } from "./life/model.ts";
import type { Metrics } from "./observe/metrics.ts";
import type { Tracing } from "./observe/tracing.ts";
import type { Authenticate } from "./request/auth.ts";
import type { Room } from "./request/room.ts";

/** What the routes work with; made by {@link serve}, or piece by piece in a test. */
export interface Service {
  readonly models: ReadonlyMap<string, Model>;
  readonly limits: Limits;
  readonly authenticate: Authenticate;
  readonly room: Room;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly log: Logger;
  /** Names of the models that are loaded at start and have not been yet. */
  readonly starting: ReadonlySet<string>;
  /** True from SIGTERM on. */
  draining: boolean;
}
