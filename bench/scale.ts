import { type Benchmark, type Row, writeResults } from "./benchmark.ts";
import { answerRows } from "./scale/answers.ts";
import { dataSizeRows } from "./scale/data-sizes.ts";
import { batchRows, classRows, FULL, resolutionRows, TINY } from "./scale/step-sizes.ts";
import { viewThreadRows } from "./scale/view-threads.ts";

export const scale: Benchmark = {
  name: "scale",
  what: "cost for one unit as batch, resolution, classes, data set and view threads grow; the ratio says how far from linear",
  needs: "2 GB of memory and 0.3 GB in the folder for temporary files",
  async run({ tiny }) {
    const sizes = tiny ? TINY : FULL;
    const rows: Row[] = [];
    for (const part of [
      () => batchRows(sizes),
      () => resolutionRows(sizes),
      () => classRows(sizes),
      () => answerRows({ classes: sizes.classes, repeats: tiny ? 2 : 20 }),
      () => dataSizeRows({ sizes: tiny ? [1e3, 1e4] : [1e3, 1e4, 1e5, 1e6, 1e7] }),
      () =>
        viewThreadRows(
          tiny
            ? { threads: [1, 2], resolution: 32, batches: 4, rounds: 1 }
            : { threads: [1, 2, 4], resolution: 64, batches: 100, rounds: 3 },
        ),
    ]) {
      rows.push(...(await part()));
      // After each part: whoever ends it early has what there is.
      if (!tiny) writeResults(scale.name, { node: process.versions.node }, rows);
    }
    return rows;
  },
};
