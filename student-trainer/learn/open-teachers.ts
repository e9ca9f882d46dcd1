import { secret, UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { largestChunk } from "../teach/chunks.ts";
import { openTeacher, type Teacher } from "../teach/client.ts";
import { type RunFolder, writeConfig } from "./run-folder.ts";
import { teacherResolution } from "./teacher-views.ts";

/**
 * The teachers that a config names, in its order.
 *
 * @param began the versions that they must be; absent: those of the config, or the first that answer
 * @throws UserError, TeacherError
 */
export async function openTeachersOf(
  config: TrainConfig,
  began: string[] | undefined,
  o: { signal: AbortSignal; say: (line: string) => void },
): Promise<Teacher[]> {
  await using opened = new AsyncDisposableStack();
  const teachers: Teacher[] = [];
  for (const [i, spec] of config.teachers.entries()) {
    const key = spec.key === undefined ? undefined : secret(spec.key);
    const pinnedVersion = began?.[i] ?? spec.version;
    const teacher = await openTeacher({
      ...{ url: spec.url, key, pinnedVersion, requests: spec.requests },
      ...{ onWait: o.say, signal: o.signal },
    });
    opened.defer(() => teacher.close());
    teachers.push(teacher);
  }
  opened.move();
  return teachers;
}

/** The number of classes, which must be each teacher's and the data's. */
export function classesOf(teachers: Teacher[], labels: string[], config: TrainConfig): number {
  for (const [i, { card, url }] of teachers.entries()) {
    if (card.classes !== labels.length)
      throw new UserError(`${url} has ${card.classes} classes, but the training data has ${labels.length}`);
    const sameNames = card.labels && new Set([...card.labels, ...labels]).size === labels.length;
    if (card.labels && sameNames && card.labels.some((label, k) => label !== labels[k]))
      throw new UserError(
        `${url} has the classes of the training data in another order (${card.labels.join(", ")}): ` +
          "accuracies would mean nothing; correct the labels in the teacher's config",
      );
    const { resolution, resizes } = card.input;
    if (resolution !== teacherResolution(config.teachers[i]!, config) && !resizes)
      throw new UserError(
        `${url} takes ${resolution} px and does not resize: set teachers.resolution or student.resolution to ${resolution}`,
      );
  }
  return labels.length;
}

/** Chunk sizes are part of the run, so they are settled once and written into the run's config. */
export async function settleChunks(
  folder: RunFolder,
  config: TrainConfig,
  teachers: Teacher[],
): Promise<void> {
  let settled = false;
  for (const [i, { url, limits }] of teachers.entries()) {
    const spec = config.teachers[i]!;
    const most = largestChunk(limits, teacherResolution(spec, config) ** 2 * 3);
    const wanted = spec.chunk ?? config.chunk;
    if (wanted !== undefined && wanted > most)
      throw new UserError(`chunk is ${wanted} images, but ${url} takes at most ${most} a request`);
    if (wanted !== undefined) continue;
    const chunk = Math.min(config.batch, most);
    if (teachers.length === 1) config.chunk = chunk;
    else spec.chunk = chunk;
    settled = true;
  }
  if (settled) await writeConfig(folder, config);
}
