import { secret, UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { largestChunk } from "../teach/chunks.ts";
import { openTeacher, type Teacher } from "../teach/client.ts";
import { openInProcessTeacher } from "../teach/in-process/client.ts";
import { isOip } from "../teach/oip/address.ts";
import { openOipTeacher } from "../teach/oip/client.ts";
import { oipSchema, type TeacherSpec } from "../teachers.ts";
import { teacherResolution } from "./teacher-views.ts";
import { budgetThreads } from "./thread-budget.ts";

/** How teachers are opened. */
export interface Opening {
  signal: AbortSignal;
  say: (line: string) => void;
  /** Whether a run may go on with other versions than those that it began with. */
  acceptTeacher?: boolean;
}

/**
 * The teachers that a config names, in its order.
 *
 * @param began the versions that they must be; absent: those of the config, or the first that answer
 * @throws UserError, TeacherError
 */
export async function openTeachersOf(
  config: TrainConfig,
  began: string[] | undefined,
  o: Opening,
): Promise<Teacher[]> {
  await using opened = new AsyncDisposableStack();
  const teachers: Teacher[] = [];
  for (const [i, spec] of config.teachers.entries()) {
    const before = began?.[i];
    const pinnedVersion = (o.acceptTeacher ? undefined : before) ?? spec.version;
    const teacher = await openTeacherOf(spec, config, pinnedVersion, o);
    opened.defer(() => teacher.close());
    teachers.push(teacher);
    const { version } = teacher.card;
    if (before !== undefined && before !== version)
      o.say(`${teacher.url} is ${version} from here on, as accepted; before it was ${before}`);
  }
  opened.move();
  return teachers;
}

function openTeacherOf(
  spec: TeacherSpec,
  config: TrainConfig,
  pinnedVersion: string | undefined,
  o: Opening,
): Promise<Teacher> {
  const resolution = teacherResolution(spec, config);
  if ("file" in spec) {
    budgetThreads(config);
    const { file: path, valueRange, chunk = config.chunk } = spec;
    const images = chunk ?? Math.max(config.batch, config.evaluate.batch);
    return openInProcessTeacher({ path, resolution, valueRange, images, pinnedVersion });
  }
  const { url, requests } = spec;
  const key = spec.key === undefined ? undefined : secret(spec.key);
  const options = { url, key, pinnedVersion, requests, onWait: o.say, signal: o.signal };
  if (!isOip(url)) return openTeacher(options);
  return openOipTeacher({ ...options, resolution, hints: oipSchema.parse(spec.oip ?? {}) });
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
    const { resolution, resizes, dtypes } = card.input;
    if (!dtypes.includes("uint8"))
      throw new UserError(`${url} takes ${dtypes.join(", ")}, but views are sent as uint8`);
    if (resolution !== teacherResolution(config.teachers[i]!, config) && !resizes)
      throw new UserError(
        `${url} takes ${resolution} px and does not resize: set teachers.resolution or student.resolution to ${resolution}`,
      );
  }
  return labels.length;
}

/** Chunk sizes are part of the run: those that the config leaves open are settled in it, once. */
export function settleChunks(config: TrainConfig, teachers: Teacher[]): void {
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
  }
}
