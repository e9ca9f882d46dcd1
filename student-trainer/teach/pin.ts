import { TeacherError } from "./errors.ts";

/**
 * The version that a run is pinned to: the one that it began with, or that its config names, or else the first that
 * the teacher says.
 *
 * @throws TeacherError when the teacher is another
 */
export function pinned(name: string, served: string, version = served): string {
  if (served === version) return version;
  throw new TeacherError(
    "version",
    `${name} serves ${served}, but this run began with ${version}, or its config names that: serve that teacher ` +
      "again, begin a new run, or go on with this one by --accept-teacher",
  );
}
