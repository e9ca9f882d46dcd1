import type { Platform } from "../../../edge-gateway/platform.ts";

/** Where the gateway under test runs. Test files import the one at hand as `#host`. */
export interface Host {
  name: "workerd" | "node";
  /** Where the fake teacher answers. */
  teacher: string;
  /** Where the fake CI system issues its tokens. */
  issuer: string;
  /** Sends a request to the gateway, from outside. */
  fetch(path: string, request?: RequestInit): Promise<Response>;
  /** The platform that the gateway runs on, with these settings changed, for tests that stand inside. */
  platform(changed?: Record<string, unknown>): Platform;
  /** Ends whatever keeps state, as a crash would: only what was stored is there afterwards. */
  restart(): Promise<void>;
  /** The key table's own row of a key. */
  storedKey(id: string): Promise<Record<string, unknown>>;
}
