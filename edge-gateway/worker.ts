import { problemResponse, WireError } from "@funmatch/wire";
import { createApp } from "./app.ts";
import { type Bindings, cloudflare } from "./cloudflare.ts";
import type { Platform } from "./platform.ts";
import { SettingsError } from "./settings.ts";

export { EvalFlight, Keys, Team } from "./cloudflare.ts";

const app = createApp();

/** The Worker: `npx wrangler dev` and `npx wrangler deploy` start here. */
export default {
  async fetch(request, env, ctx) {
    let platform: Platform;
    try {
      platform = cloudflare(env, ctx);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      // Alive, even if not set up: what a load balancer asks.
      if (new URL(request.url).pathname === "/healthz") return Response.json({ status: "ok" });
      return problemResponse(new WireError("internal", error.message));
    }
    return app.fetch(request, platform);
  },
} satisfies ExportedHandler<Bindings>;
