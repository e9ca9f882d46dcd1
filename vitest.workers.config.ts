import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { fakeTeacher } from "./test/edge-gateway/fake-teacher.ts";
import { VARIABLES } from "./test/edge-gateway/hosts/settings.ts";

const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });

/** Tests of the gateway, run inside workerd; what they send out reaches a fake teacher. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: { ...VARIABLES, TEACHER_URL: "http://teacher.test" },
        outboundService: (request) => {
          if (new URL(request.url).host !== "teacher.test") throw new Error("connection refused");
          return teacher.fetch(request as never) as never;
        },
      },
    }),
  ],
  resolve: { alias: { "#host": new URL("./test/edge-gateway/hosts/workerd.ts", import.meta.url).pathname } },
  test: { include: ["test/edge-gateway/*.test.ts", "test/edge-gateway/workerd/*.test.ts"] },
});
