/**
 * Preloaded into a trainer (`node --import`): kills it, as `kill -9` would, when the n-th checkpoint has been
 * written and is about to be renamed to its final name. n comes in FUNMATCH_TEST_KILL_AT_RENAME.
 */
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";

const killAt = Number(process.env.FUNMATCH_TEST_KILL_AT_RENAME);
const rename = fs.rename;
let seen = 0;

if (isMainThread) {
  fs.rename = async (from, to) => {
    if (String(from).endsWith(".draft") && ++seen === killAt) process.kill(process.pid, "SIGKILL");
    return rename(from, to);
  };
  syncBuiltinESMExports();
}
