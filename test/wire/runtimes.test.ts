import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("../../shared/wire/", import.meta.url));

test("nothing in the wire needs Node: no built-in module, no Buffer, no process", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  expect(files).toContain("index.ts");
  for (const name of files) {
    const code = readFileSync(folder + name, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const modules = [...code.matchAll(/from "([^"]+)"/g)].map((match) => match[1]!);
    expect(modules.filter((module) => !/^\.\/|^(zod|msgpackr)$/.test(module))).toEqual([]);
    expect(code, name).not.toMatch(/\b(Buffer|process|require|__dirname)\b/);
  }
});
