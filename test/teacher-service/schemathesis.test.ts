import { fileURLToPath } from "node:url";
import { cardSchema } from "@funmatch/wire";
import { startTeacherService } from "funmatch-teacher/dev";
import { expect, onTestFinished, test } from "vitest";
import { pythonModule } from "../e2e/python.ts";
import { writeTeacher } from "./tiny-teacher.ts";

const PACKAGES = ["schemathesis==4.32.5", "msgpack==1.2.4"];
const TOKEN = "of-schemathesis";
/** For each operation and phase; more by FUNMATCH_SCHEMATHESIS_EXAMPLES, when one has the time. */
const EXAMPLES = process.env.FUNMATCH_SCHEMATHESIS_EXAMPLES ?? "8";

test("Schemathesis finds no answer that /openapi.json does not tell, no 5xx and no way round the token", async () => {
  const { configPath } = await writeTeacher({ extra: `tokens: ["${TOKEN}"]` });
  const errors: string[] = [];
  const hear = (line: string) => line.includes('"level":50') && errors.push(line);
  const service = await startTeacherService(configPath, { onLog: hear });
  onTestFinished(() => void service.close());
  const get = (path: string) =>
    fetch(`${service.url}${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const { version } = cardSchema.parse(await (await get("/v1/models/tiny")).json());

  const args = [
    "run",
    `${service.url}/openapi.json`,
    "--phases",
    "coverage,fuzzing",
    "--max-examples",
    EXAMPLES,
  ];
  // Methods that are not there are 404 not_found here: the API has no code for 405.
  const choices = [
    "--exclude-checks",
    "unsupported_method",
    "--seed",
    "1",
    "--generation-database",
    "none",
    "--no-color",
  ];
  const hooks = fileURLToPath(new URL("schemathesis_hooks.py", import.meta.url));
  const env = { SCHEMATHESIS_HOOKS: hooks, SCHEMATHESIS_MODEL: "tiny" };
  const more = { SCHEMATHESIS_TOKEN: TOKEN, SCHEMATHESIS_VERSION: version };
  const { status, said } = await pythonModule("schemathesis.cli", [...args, ...choices], PACKAGES, {
    ...env,
    ...more,
  });
  expect(status, said).toBe(0);
  expect(said).toContain("No issues found");

  // It got as far as the model, in both protocols and with both purposes, and was refused for what it wrote.
  const metrics = await (await get("/metrics")).text();
  const count = (labels: string) =>
    Number(new RegExp(`^funmatch_requests_total\\{.*${labels}\\} (\\d+)$`, "m").exec(metrics)?.[1] ?? 0);
  expect(count('purpose="train",code="ok"')).toBeGreaterThan(10);
  expect(count('purpose="eval",code="ok"')).toBeGreaterThan(0);
  expect(count('code="malformed"')).toBeGreaterThan(10);
  expect(errors).toEqual([]);
}, 240_000);
