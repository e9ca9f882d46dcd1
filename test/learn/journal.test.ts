import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { openJournal } from "../../student-trainer/learn/journal.ts";

const somewhere = () => join(mkdtempSync(join(tmpdir(), "journal-")), "metrics.jsonl");

test("a journal is cut back to where a checkpoint stood, and goes on from there", async () => {
  const path = somewhere();
  const first = await openJournal(path, 0);
  first.write({ step: 1 });
  const bytes = await first.flush();
  first.write({ step: 2 });
  await first.close();
  const second = await openJournal(path, bytes);
  second.write({ step: "2 again" });
  await second.close();
  expect(readFileSync(path, "utf8")).toBe('{"step":1}\n{"step":"2 again"}\n');
});

test("a journal that is shorter than the checkpoint says is an error, not filled up", async () => {
  const path = somewhere();
  writeFileSync(path, '{"step":1}\n');
  await expect(openJournal(path, 100)).rejects.toThrow("has 11 bytes, but the checkpoint goes on after 100");
  expect(readFileSync(path, "utf8")).toBe('{"step":1}\n');
});

test("a full disk is told by the next flush, and nothing is written after the gap", async () => {
  const path = somewhere();
  const journal = await openJournal(path, 0);
  const handle = await open(path, "r");
  const appendFile = vi
    .spyOn(Object.getPrototypeOf(handle), "appendFile")
    .mockRejectedValueOnce(Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
  for (let step = 1; step <= 600; step++) journal.write({ step });
  await expect(journal.flush()).rejects.toThrow("ENOSPC");
  await expect(journal.close()).rejects.toThrow("ENOSPC");
  await handle.close();
  appendFile.mockRestore();
  expect(readFileSync(path, "utf8")).toBe("");
});
