/**
 * Writes the JSON Schemas of the config files under docs/, for editors that complete and check YAML:
 * `node test/house/schemas.ts`. A test holds them against the code.
 */
import { writeFileSync } from "node:fs";
import { trainSchema } from "funmatch/config";
import { gatewaySchema } from "funmatch-gateway/config";
import { teacherSchema } from "funmatch-teacher/config";
import { z } from "zod";

export const SCHEMAS = {
  "run.schema.json": trainSchema,
  "teacher.schema.json": teacherSchema,
  "gateway.schema.json": gatewaySchema,
};

/** The JSON Schema (draft 2020-12) of what may be written into a config file. */
export function jsonSchema(schema: z.ZodType): string {
  return `${JSON.stringify(z.toJSONSchema(schema, { io: "input" }), null, 2)}\n`;
}

if (import.meta.main)
  for (const [name, schema] of Object.entries(SCHEMAS))
    writeFileSync(new URL(`../../docs/${name}`, import.meta.url), jsonSchema(schema));
