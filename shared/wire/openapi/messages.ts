import type { CreateDocumentOptions } from "zod-openapi";

/** Pixels and logits inside a msgpack map: bytes, not text. */
const BYTES = { type: "string", format: "binary", contentMediaType: "application/octet-stream" } as const;

/** How the schemas of messages become those of an OpenAPI document: the second argument of `createDocument`. */
export const MESSAGES: CreateDocumentOptions = {
  allowEmptySchema: { custom: true },
  override({ zodSchema, jsonSchema }) {
    const { def } = zodSchema._zod;
    // The only instances in messages are byte arrays.
    if (def.type === "custom") Object.assign(jsonSchema, BYTES);
    if (def.type === "tuple") asList(jsonSchema);
    // Later versions may tell more: whoever reads passes over what he does not know.
    if (def.type === "object" && !("catchall" in def && def.catchall)) delete jsonSchema.additionalProperties;
  },
};

/** A tuple of equal members as a list of that length, which more tools understand. */
function asList(schema: { prefixItems?: unknown[]; items?: unknown }): void {
  const [first, ...others] = schema.prefixItems?.map((item) => JSON.stringify(item)) ?? [];
  if (first === undefined || others.some((other) => other !== first)) return;
  schema.items = schema.prefixItems?.[0];
  delete schema.prefixItems;
}
