import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { fakeTeacher } from "./test/edge-gateway/fake-teacher.ts";

const secret = "shared-by-gateway-and-teacher";
const teacher = fakeTeacher({ secret, audience: "funmatch-teacher" });

/** Tests of the gateway, run inside workerd; what they send out reaches a fake teacher. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          TEACHER_URL: "http://teacher.test",
          TEACHER_SECRET: secret,
          KEY_PEPPER: "mixed-into-every-stored-key",
          ADMIN_TOKEN: "lets-one-make-the-first-key",
        },
        outboundService: (request) => {
          if (new URL(request.url).host !== "teacher.test") throw new Error("connection refused");
          return teacher.fetch(request as never) as never;
        },
      },
    }),
  ],
  test: { include: ["test/edge-gateway/**/*.test.ts"] },
});
