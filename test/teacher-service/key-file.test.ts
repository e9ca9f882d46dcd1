import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseKeys } from "../../teacher-service/request/key-file.ts";

const hash = (key: string) => createHash("sha256").update(key).digest("hex");

describe("a file of keys", () => {
  test("has a line for each key; a team may have several", () => {
    process.env.TEST_TEAM_KEY = "from the environment";
    const text = `# since the summer
vision: sha256:${hash("one")}
vision: sha256:${hash("two").toUpperCase()}

speech : env:TEST_TEAM_KEY\r
`;
    expect(Object.fromEntries(parseKeys(text, "keys"))).toEqual({
      [hash("one")]: "vision",
      [hash("two")]: "vision",
      [hash("from the environment")]: "speech",
    });
  });

  test.each([
    ["vision", 'keys line 2: expected "team: sha256:<64 hex digits>"'],
    ["two words: sha256:0", "keys line 2: expected"],
    ["vision: hunter2", "keys line 2: the key must be sha256: and 64 hex digits"],
    [`vision: sha256:${"0".repeat(63)}`, "keys line 2: the key must be"],
    ["vision: env:TEST_NOT_SET", "keys line 2: the config asks for the environment variable TEST_NOT_SET"],
    [`vision: sha256:${hash("one")}`, "keys line 2: team vision has the same key as other in line 1"],
  ])("%s: the message names the line, and no key", (line, message) => {
    const read = () => parseKeys(`other: sha256:${hash("one")}\n${line}\n`, "keys");
    expect(read).toThrow(message);
    expect(read).not.toThrow("hunter2");
  });

  test("without a key in it is a mistake", () => {
    expect(() => parseKeys("# none yet\n", "keys")).toThrow("keys holds no key");
  });
});
