import { mkdir, readdir, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { type AppendedFile, openAppended } from "../learn/appended-file.ts";
import { eventRecord } from "./event.ts";

/** Where the event files of a run stand: the newest of them, and its length. */
export interface EventPlace {
  file: string;
  bytes: number;
}

/** A line of the metrics. */
export interface FigureLine {
  step: number;
  /** Absent for figures of training. */
  split?: string;
  [figure: string]: unknown;
}

/** The event files of one sitting. */
export interface EventFile {
  /** Writes the numbers of a line of the metrics, as `<split>/<key>` or `train/<key>`. */
  write(line: FigureLine): void;
  /** Makes them reach the disk; undefined if there are none. */
  flush(): Promise<EventPlace | undefined>;
  close(): Promise<void>;
}

const OURS = /^events\.out\.tfevents\.\d{10}\.funmatch$/;

/**
 * Goes on with a run's event files where a checkpoint stood: what was written after it is cut off, and what follows
 * goes into a new file. A TensorBoard that is watching has read the old one, and one that is cut under a reader and
 * then grows again makes no sense to it.
 *
 * @param at as the checkpoint says; undefined at the beginning
 * @param step the checkpoint's
 */
export async function openEventFile(
  directory: string,
  at: EventPlace | undefined,
  step: number,
): Promise<EventFile> {
  await mkdir(directory, { recursive: true });
  await cutBack(directory, at);
  const name = nameAfter(at?.file);
  let opened: Promise<AppendedFile> | undefined;
  let place = at;
  const open = async () => {
    const file = await openAppended(join(directory, name), 0);
    file.write(eventRecord(now(), 0, { fileVersion: "brain.Event:2" }));
    if (step > 0) file.write(eventRecord(now(), step + 1, { sessionLog: { status: 1 } }));
    return file;
  };
  return {
    write({ step, split = "train", ...figures }) {
      const value = scalarsOf(split, figures);
      if (value.length === 0) return;
      const record = eventRecord(now(), step, { summary: { value } });
      opened ??= open();
      opened.then((file) => file.write(record)).catch(() => {}); // told by flush
    },
    async flush() {
      const file = await opened;
      if (file) place = { file: name, bytes: await file.flush() };
      return place;
    },
    async close() {
      await (await opened)?.close();
    },
  };
}

function now(): number {
  return Date.now() / 1000;
}

/** The numbers of an object, and of objects inside it, by their place. */
function scalarsOf(place: string, figures: object): { tag: string; simpleValue: number }[] {
  return Object.entries(figures).flatMap(([key, value]) => {
    const tag = `${place}/${key}`;
    if (typeof value === "number") return [{ tag, simpleValue: value }];
    return value && typeof value === "object" && !Array.isArray(value) ? scalarsOf(tag, value) : [];
  });
}

/** Readers take the files in the order of their names, so a new one's must be the last, whatever the clock says. */
function nameAfter(newest: string | undefined): string {
  const taken = newest === undefined ? 0 : Number(/\d{10}/.exec(newest)?.[0]);
  const seconds = Math.max(Math.floor(now()), taken + 1);
  return `events.out.tfevents.${seconds}.funmatch`;
}

async function cutBack(directory: string, at: EventPlace | undefined): Promise<void> {
  for (const name of (await readdir(directory)).filter((one) => OURS.test(one)))
    if (!at || name > at.file) await rm(join(directory, name));
  if (!at) return;
  const path = join(directory, at.file);
  const size = await stat(path).then(
    ({ size }) => size,
    () => 0, // somebody tidied up; the metrics have it all
  );
  if (size > at.bytes) await truncate(path, at.bytes);
}
