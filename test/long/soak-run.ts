/**
 * Mixed load on one teacher service and the memory of its process meanwhile:
 * `node test/long/soak-run.ts 30` (minutes) prints a line every 10 s and what it comes to; exit code 1 if anything was
 * wrong, or memory's level rose by more than a tenth after the first fifth.
 */
import { startTeacherService } from "funmatch-teacher/dev";
import { soak } from "../teacher-service/hostile/soak.ts";
import { STORMED } from "../teacher-service/hostile/storm.ts";
import { writeTeacher } from "../teacher-service/tiny-teacher.ts";

const minutes = Number(process.argv[2] ?? 30);
const { configPath } = await writeTeacher({ extra: STORMED });
const service = await startTeacherService(configPath);
const { samples, answered, hungUp, wrong, held } = await soak(service.url, {
  ...{ seconds: minutes * 60, everySeconds: 10, pauseMs: 50, seed: 1 },
  tell: ({ seconds, resident, answered }) =>
    console.log(`${seconds.toFixed(0)} s: ${resident.toFixed(0)} MiB, ${answered} answered`),
});
const status = await service.close();

const after = (share: number) => samples.filter(({ seconds }) => seconds > share * minutes * 60);
const most = (some: typeof samples) => Math.max(...some.map(({ resident }) => resident));
const warm = after(0.2);
const [level, end] = [most(warm.slice(0, warm.length / 2)), most(warm.slice(warm.length / 2))];
console.log(`${answered} answered, ${hungUp} hung up, ${held} bytes held at the end, exit ${status}`);
console.log(
  `resident memory at most: ${level.toFixed(0)} MiB in the first half after warm-up, ${end.toFixed(0)} MiB in the second`,
);
for (const line of wrong.slice(0, 20)) console.log(line);
process.exitCode = wrong.length + held === 0 && status === 0 && end < 1.1 * level ? 0 : 1;
