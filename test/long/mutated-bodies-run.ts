/**
 * Mutated requests in both protocols against one teacher service, and its memory before and after:
 * `node test/long/mutated-bodies-run.ts 100000 [SEED]` prints what was answered; exit code 1 if anything was wrong.
 */

import { startTeacherService } from "funmatch-teacher/dev";
import { metric } from "../teacher-service/ask.ts";
import { MAX_BODY, TOKEN } from "../teacher-service/hostile/mutants.ts";
import { overload } from "../teacher-service/hostile/overload.ts";
import { STORMED, storm } from "../teacher-service/hostile/storm.ts";
import { writeTeacher } from "../teacher-service/tiny-teacher.ts";

const [count = 100_000, seed = 1] = process.argv.slice(2).map(Number);
const protocols = ["v1", "v2"] as const;
const MiB = 2 ** 20;

const { configPath } = await writeTeacher({ extra: STORMED });
const service = await startTeacherService(configPath);
const memory = async () => (await metric(service.url, "process_resident_memory_bytes")) / MiB;

await storm(service.url, { count: Math.ceil(count / 10), seed: seed + 1, protocols }); // until memory has its level
const before = await memory();
const began = performance.now();
const tell = (done: number) => {
  if (done % 10_000 === 0) console.error(`${done} of ${count}`);
};
const { sent, validPrefix, byStatus, byCode, wrong } = await storm(service.url, {
  count,
  seed,
  protocols,
  tell,
});
byCode.overloaded = await overload(service.url, { token: TOKEN, bodyBytes: MAX_BODY, asks: 100 });
const seconds = (performance.now() - began) / 1000;
const after = await memory();
const held = await metric(service.url, "funmatch_held_bytes");
const status = await service.close();

console.log({ sent, validPrefix, seconds, byStatus, byCode });
console.log(
  `resident memory: ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB after; ${held} bytes held; exit ${status}`,
);
for (const line of wrong.slice(0, 20)) console.log(line);
const rare = Object.entries(byCode).filter(
  ([code, times]) => code !== "ok" && times < Math.min(100, count / 1000),
);
for (const [code, times] of rare) console.log(`only ${times} of ${code}`);
process.exitCode = wrong.length + rare.length + held === 0 && status === 0 ? 0 : 1;
