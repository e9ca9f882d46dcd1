import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

export const INFRA = fileURLToPath(new URL("../../infra", import.meta.url));

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; annotations?: Record<string, string>; labels?: Record<string, string> };
  // A manifest is whatever its schema says, which is what the tests look at.
  // biome-ignore lint/suspicious/noExplicitAny: read by path
  spec?: any;
  data?: Record<string, string>;
}

/** Helm's values and kustomize's own files are not sent to a cluster. */
const NO_MANIFEST = /(kustomization|prometheus-adapter|cloud-run\/teacher)\.yaml$/;

/** Every manifest under infra/, by its path there. */
export function manifests(): Record<string, Manifest> {
  const paths = (readdirSync(INFRA, { recursive: true }) as string[])
    .filter((path) => path.endsWith(".yaml") && !NO_MANIFEST.test(path))
    .sort();
  return Object.fromEntries(paths.map((path) => [path, readYaml(path) as Manifest]));
}

/** The one document in a YAML file; throws for bad YAML and for keys that are given twice. */
export function readYaml(path: string): unknown {
  const documents = parseAllDocuments(readInfra(path), { uniqueKeys: true });
  const [only] = documents;
  if (documents.length !== 1 || only === undefined) throw new Error(`${path} should hold one document`);
  if (only.errors.length > 0) throw new Error(`${path}: ${only.errors[0]?.message}`);
  return only.toJS();
}

export function readInfra(path: string): string {
  return readFileSync(`${INFRA}/${path}`, "utf8");
}
