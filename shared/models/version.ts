import { createHash, type Hash } from "node:crypto";
import type { Weights } from "./bit-config.ts";

/**
 * SHA-256 over the name-sorted (name, dtype, shape, bytes) of parameters, as `sha256:<hex>`: each is written as the
 * JSON `["name","float32",[shape]]`, a line feed, and its little-endian bytes.
 */
export function weightsSha256(weights: Weights): string {
  return digestOf(hashWeights(weights));
}

/** What beside its weights makes a teacher's answers. */
export interface TeacherRules {
  preprocessing: object;
  output: object;
  compute: string;
}

/**
 * A teacher's version: SHA-256 over its weights as in `weightsSha256`, followed by the canonical JSON
 * (keys sorted, no spaces) of `[preprocessing, output, compute]`. Whatever changes its answers changes it.
 *
 * @example teacherVersion(weights, { preprocessing: { resolution: 64, valueRange: [-1, 1] }, output: { kind: "logits" }, compute: "float32" })
 */
export function teacherVersion(weights: Weights, rules: TeacherRules): string {
  return digestOf(withRules(hashWeights(weights), rules));
}

/**
 * The version of a teacher that is not known by its weights alone: SHA-256 over the JSON `["<kind>","<digest>"]`, a
 * line feed, and the rules as in `teacherVersion`.
 *
 * @param kind what the digest is of: `files` that hold a whole computation, or the `members` of an ensemble
 */
export function teacherVersionOf(kind: "files" | "members", sha256: string, rules: TeacherRules): string {
  return digestOf(withRules(createHash("sha256").update(`${JSON.stringify([kind, sha256])}\n`), rules));
}

function withRules(hash: Hash, { preprocessing, output, compute }: TeacherRules): Hash {
  return hash.update(canonicalJson([preprocessing, output, compute]));
}

function hashWeights(weights: Weights): Hash {
  const hash = createHash("sha256");
  for (const name of Object.keys(weights).sort()) {
    const { shape, values } = weights[name]!;
    hash.update(`${JSON.stringify([name, "float32", shape])}\n`);
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash;
}

function digestOf(hash: Hash): string {
  return `sha256:${hash.digest("hex")}`;
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  const members = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`);
  return `{${members.join(",")}}`;
}
