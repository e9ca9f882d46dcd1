import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { jsonSchema, SCHEMAS } from "./schemas.ts";

test.each(Object.entries(SCHEMAS))(
  "docs/%s is what the code checks (else: node test/house/schemas.ts)",
  (name, schema) => {
    expect(readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8")).toBe(jsonSchema(schema));
  },
);
