import { encodeAnswer, HEADERS } from "@funmatch/wire";
import { teacherRecords } from "../../student-trainer/learn/ledger.ts";
import { verifiedLogits } from "../../student-trainer/teach/verify.ts";
import type { Row } from "../benchmark.ts";
import { noise } from "../noise.ts";
import { seriesRows } from "./series.ts";

const BATCH = 64;
const DIGEST = `sha256:${"0".repeat(64)}`;

/** What an answer costs the trainer's main thread beside the step, as classes grow: reading, checking, and its ledger line. */
export function answerRows({ classes, repeats }: { classes: number[]; repeats: number }): Row[] {
  const points = classes.map((count) => {
    const logits = noise("logits", BATCH * count);
    const data = new Uint8Array(logits.buffer);
    const bytes = encodeAnswer({
      ...{ model: "prof", version: DIGEST, digest: DIGEST },
      logits: { dtype: "float32", shape: [BATCH, count], data },
    });
    const headers = new Headers({ [HEADERS.digest]: DIGEST, [HEADERS.answeredVersion]: DIGEST });
    const expected = { who: "prof", digest: DIGEST, version: DIGEST, images: BATCH, classes: count };
    const costs = Array.from({ length: repeats + 2 }, () => {
      const began = performance.now();
      const read = verifiedLogits({ status: 200, headers, bytes }, expected);
      const batch = { questions: [] } as unknown as Parameters<typeof teacherRecords>[0]["batch"];
      teacherRecords({ batch, taught: [{ logits: read, version: DIGEST, verified: true }] });
      return performance.now() - began;
    });
    return { name: `${count} classes, batch ${BATCH}`, units: count / 1000, costs: costs.slice(2) };
  });
  return seriesRows(points, { what: "answer", each: "1,000 classes", unit: "ms", whole: "an answer, ms" });
}
