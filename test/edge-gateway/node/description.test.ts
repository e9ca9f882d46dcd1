import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "vitest";
import { openApiDocument } from "../../../edge-gateway/openapi/document.ts";

test("the gateway's OpenAPI document is valid OpenAPI 3.1 by another program's judgement", async () => {
  const validator = new Validator();
  expect(await validator.validate({ ...openApiDocument })).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
});
