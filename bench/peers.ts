import { join } from "node:path";
import { type Environment, openEnvironment } from "./environment.ts";

/** What our users would otherwise train, infer and load images with, by its pinned versions. */
const PACKAGES = [
  "torch==2.15.0",
  "torchvision==0.29.2",
  "timm==1.0.31",
  "jax==0.10.2",
  "flax==0.12.8",
  "optax==0.2.8",
  "onnx==1.23.2",
  "onnxruntime==1.32.0",
  "tensorflow-cpu==2.21.0",
];

/** The Python environment of the peers of `step`, `forward` and `views`; the scripts lie in `bench/<folder>`. */
export function openPeers(folder: string): Promise<Environment> {
  const scripts = join(import.meta.dirname, folder);
  return openEnvironment({ name: "peers", packages: PACKAGES, scripts, size: "8 GB" });
}
