import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { fakeIssuer } from "./test/edge-gateway/fake-issuer.ts";
import { fakeTeacher } from "./test/edge-gateway/fake-teacher.ts";
import { oidc, VARIABLES } from "./test/edge-gateway/hosts/settings.ts";

const ISSUER = "http://issuer.localhost";
const issuer = fakeIssuer(() => ISSUER);
const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });

/** Tests of the gateway, run inside workerd; what they send out reaches a fake teacher or a fake CI system. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: { ...VARIABLES, TEACHER_URL: "http://teacher.test", OIDC: oidc(ISSUER) },
        outboundService: (request) => {
          const { host } = new URL(request.url);
          if (host === "teacher.test") return teacher.fetch(request as never) as never;
          if (host === new URL(ISSUER).host) return issuer(request as never) as never;
          throw new Error("connection refused");
        },
      },
    }),
  ],
  resolve: { alias: { "#host": new URL("./test/edge-gateway/hosts/workerd.ts", import.meta.url).pathname } },
  test: {
    include: ["test/edge-gateway/*.test.ts", "test/edge-gateway/workerd/*.test.ts"],
    isolate: false,
    testTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
  },
});
