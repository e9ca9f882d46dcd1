// Tells the types of `cloudflare:workers` which Worker is under test.
import type { Bindings } from "../../edge-gateway/cloudflare.ts";

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import("../../edge-gateway/worker.ts");
    }
    interface Env extends Bindings {}
  }
}
