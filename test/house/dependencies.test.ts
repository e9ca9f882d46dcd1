import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { importsOf } from "./imports.ts";
import { breaches } from "./rules.ts";

describe("the house", () => {
  test("no package imports what it may not, no file is too long or says nothing by its name", () => {
    expect(breaches(join(import.meta.dirname, "..", ".."))).toEqual([]);
  });
});

describe("the check itself", () => {
  test.each<[string, Record<string, string>, string[]]>([
    [
      "a package of ours that the table does not allow",
      { "shared/models/bit.ts": 'import { x } from "@funmatch/engine";\n' },
      ["shared/models/bit.ts: shared/models may not import shared/engine"],
    ],
    [
      "also when it is only for a type, dynamic, or re-exported",
      {
        "edge-gateway/a.ts": 'import type { X } from "@funmatch/engine";\n',
        "edge-gateway/b.ts": 'const x = await import("@funmatch/engine/install");\n',
        "edge-gateway/c.ts": 'export {\n  x,\n  y,\n} from "@funmatch/engine";\n',
      },
      ["a", "b", "c"].map((name) => `edge-gateway/${name}.ts: edge-gateway may not import shared/engine`),
    ],
    [
      "a path that leaves the package",
      { "student-trainer/learn/step.ts": 'import { x } from "../../shared/engine/index.ts";\n' },
      ["student-trainer/learn/step.ts: ../../shared/engine/index.ts leaves student-trainer"],
    ],
    [
      "a worker module of another package",
      { "teacher-service/model.ts": 'new Worker(new URL("../student-trainer/x.ts", import.meta.url));\n' },
      ["teacher-service/model.ts: ../student-trainer/x.ts leaves teacher-service"],
    ],
    [
      "Node in the wire",
      { "shared/wire/digest.ts": 'import { createHash } from "node:crypto";\n' },
      ["shared/wire/digest.ts: node:crypto is not there outside Node"],
    ],
    [
      "a dependency that only another package declares",
      { "shared/wire/card.ts": 'import { Hono } from "hono";\n' },
      ["shared/wire/card.ts: hono is not among the dependencies of shared/wire"],
    ],
    [
      "names that say nothing",
      { "shared/engine/utils.ts": "", "teacher-service/http-helpers.ts": "", "bench/common/x.ts": "" },
      [
        'bench/common/x.ts: "common" says nothing about what is inside',
        'shared/engine/utils.ts: "utils" says nothing about what is inside',
        'teacher-service/http-helpers.ts: "http-helpers" says nothing about what is inside',
      ],
    ],
    [
      "a file of more than 300 lines",
      { "shared/engine/long.ts": "//\n".repeat(301) },
      ["shared/engine/long.ts: 301 lines, more than 300"],
    ],
    [
      "code in a folder that nobody knows",
      { "lib/x.ts": "" },
      ["lib/x.ts: its folder is not in the table of the house"],
    ],
    [
      "what is allowed",
      {
        "shared/views/x.ts": 'import { x } from "@funmatch/engine";\nimport { y } from "./y.ts";\n',
        "edge-gateway/x.ts":
          'import { Hono } from "hono/tiny";\nimport { DurableObject } from "cloudflare:workers";\n',
        "test/x.ts": 'import { x } from "../shared/engine/inner.ts";\n',
        "student-trainer/x.ts": '/**\n * import { x } from "funmatch-teacher";\n */\n',
      },
      [],
    ],
  ])("finds %s", (_what, files, expected) => {
    const root = smallHouse(files);
    try {
      expect(breaches(root).sort()).toEqual(expected);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("reads every form of import", () => {
    const source = `
      import a from "a"; import "b";
      export * from 'c';
      import { type D,
        e } from "d";
      const f = () => import("f");
      const g = require("g"); require.resolve("h/package.json");
      // import x from "not-this";
    `;
    expect(importsOf(source).sort()).toEqual(["a", "b", "c", "d", "f", "g", "h/package.json"].sort());
  });
});

/** A tree with the packages of the house, and these files in it. */
function smallHouse(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "funmatch-house-"));
  const packages: Record<string, { name: string; dependencies: Record<string, string> }> = {
    "shared/engine": { name: "@funmatch/engine", dependencies: {} },
    "shared/models": { name: "@funmatch/models", dependencies: { "@funmatch/engine": "1" } },
    "shared/views": { name: "@funmatch/views", dependencies: { "@funmatch/engine": "1" } },
    "shared/wire": { name: "@funmatch/wire", dependencies: {} },
    "edge-gateway": { name: "funmatch-gateway", dependencies: { hono: "1", "@funmatch/engine": "1" } },
    "student-trainer": { name: "funmatch", dependencies: {} },
    "teacher-service": { name: "funmatch-teacher", dependencies: {} },
  };
  for (const [folder, description] of Object.entries(packages)) {
    write(root, `${folder}/package.json`, JSON.stringify(description));
  }
  for (const [path, source] of Object.entries(files)) write(root, path, source);
  return root;
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
