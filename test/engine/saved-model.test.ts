import { CaptureError } from "@funmatch/engine";
import { expect, test } from "vitest";
import type { GraphNode } from "../../shared/engine/graph.ts";
import type { Native } from "../../shared/engine/native.ts";
import { loadGraph } from "../../shared/engine/saved-model.ts";

test("constants above protobuf's 2 GB are refused before anything is written", () => {
  const tensorContent = new Uint8Array(2 ** 30);
  const constant = (name: string): GraphNode => ({
    name,
    op: "Const",
    input: [],
    attr: { value: { tensor: { dtype: 1, tensorShape: { dim: [{ size: 2 ** 28 }] }, tensorContent } } },
  });
  const native = { loadSavedModel: () => expect.fail("nothing may be loaded") } as unknown as Native;
  expect(() => loadGraph(native, [constant("a"), constant("b")])).toThrow(CaptureError);
  expect(() => loadGraph(native, [constant("a"), constant("b")])).toThrow(
    "the constants of the graph hold 2.15 GB and a saved graph cannot hold more than 2 GB: pass large tensors as state",
  );
});
