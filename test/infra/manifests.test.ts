import { expect, test } from "vitest";
import { manifests } from "./manifests.ts";
import { faults } from "./published-schemas.ts";

test("every manifest is what the published schema of its kind says", async () => {
  expect(await faults(manifests())).toEqual([]);
});
