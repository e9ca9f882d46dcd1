import { createHash } from "node:crypto";
import { digestFromHash, isDigest, sha256 } from "@funmatch/wire";
import { expect, test } from "vitest";

test("SHA-256 as FIPS 180-4 has it", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(await sha256(bytes("abc"))).toBe(
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  expect(await sha256(bytes(""))).toBe(
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

test("views, shared memory and incremental hashes give the same digest", async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(100), 10, 80).fill(9);
  const digest = await sha256(new Uint8Array(80).fill(9));
  expect(await sha256(shared)).toBe(digest);
  expect(digestFromHash(createHash("sha256").update(shared).digest())).toBe(digest);
  expect(isDigest(digest)).toBe(true);
});

test("only the one spelling is a digest", () => {
  const hex = "ab".repeat(32);
  for (const text of [
    "",
    hex,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}0`,
    `sha256:${hex}\n`,
    `sha512:${hex}`,
  ]) {
    expect(isDigest(text)).toBe(false);
  }
  expect(() => digestFromHash(new Uint8Array(20))).toThrow("32 bytes, not 20");
});
