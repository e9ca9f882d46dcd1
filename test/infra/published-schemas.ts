import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Manifest } from "./manifests.ts";
import { unknownKeys } from "./typescript-types.ts";

/** What a published schema is called where it was published, by apiVersion and kind. */
const KUBERNETES: Record<string, { validator: string; types: string }> = {
  "v1 ConfigMap": k8s("IoK8sApiCoreV1ConfigMap", "v1/ConfigMap"),
  "v1 Pod": k8s("IoK8sApiCoreV1Pod", "v1/Pod"),
  "v1 Service": k8s("IoK8sApiCoreV1Service", "v1/Service"),
  "apps/v1 Deployment": k8s("IoK8sApiAppsV1Deployment", "apps/v1/Deployment"),
  "policy/v1 PodDisruptionBudget": k8s(
    "IoK8sApiPolicyV1PodDisruptionBudget",
    "policy/v1/PodDisruptionBudget",
  ),
  "autoscaling/v2 HorizontalPodAutoscaler": k8s(
    "IoK8sApiAutoscalingV2HorizontalPodAutoscaler",
    "autoscaling/v2/HorizontalPodAutoscaler",
  ),
  "networking.k8s.io/v1 NetworkPolicy": k8s(
    "IoK8sApiNetworkingV1NetworkPolicy",
    "networking.k8s.io/v1/NetworkPolicy",
  ),
  "serving.knative.dev/v1 Service": {
    validator: "@kubernetes-models/knative/_schemas/DevKnativeServingPkgApisServingV1Service",
    types: "@kubernetes-models/knative/serving.knative.dev/v1/Service#IService",
  },
};

function k8s(schema: string, path: string): { validator: string; types: string } {
  const kind = path.split("/").at(-1);
  return {
    validator: `kubernetes-models/_schemas/${schema}`,
    types: `kubernetes-models/${path}#I${kind}`,
  };
}

/**
 * What is wrong with manifests by the schemas that their makers publish: values by the validators of the packages
 * `kubernetes-models` and `@kubernetes-models/knative`, unknown keys by the same packages' types; Cloud Run's and
 * KServe's kinds by schemas/ (see extract.py there).
 */
export async function faults(manifests: Record<string, Manifest>): Promise<string[]> {
  const found: string[] = [];
  const typed: Record<string, { value: unknown; types: string }> = {};
  for (const [path, manifest] of Object.entries(manifests)) {
    const name = `${manifest.apiVersion} ${manifest.kind}`;
    if (path.startsWith("cloud-run/")) found.push(...closedFaults(path, "cloud-run", manifest));
    else if (name === "serving.kserve.io/v1beta1 InferenceService") {
      found.push(...closedFaults(path, "kserve", manifest));
      const pod = podOf(manifest);
      found.push(...(await openFaults(path, "v1 Pod", pod)));
      typed[path] = { value: pod, types: KUBERNETES["v1 Pod"]!.types };
    } else if (KUBERNETES[name] === undefined) found.push(`${path}: no schema of ${name} is known here`);
    else {
      found.push(...(await openFaults(path, name, manifest)));
      typed[path] = { value: manifest, types: KUBERNETES[name].types };
    }
  }
  return [...found, ...unknownKeys(typed)];
}

/** The PodSpec in a predictor: its keys that are no keys of KServe's. */
function podOf({ spec, metadata }: Manifest): Manifest {
  const own = "minReplicas maxReplicas scaleMetric scaleTarget containerConcurrency timeout".split(" ");
  const predictor = Object.entries(spec.predictor).filter(([key]) => !own.includes(key));
  return { apiVersion: "v1", kind: "Pod", metadata, spec: Object.fromEntries(predictor) };
}

async function openFaults(path: string, name: string, manifest: Manifest): Promise<string[]> {
  const file = fileURLToPath(import.meta.resolve(KUBERNETES[name]!.validator));
  const { validate } = (await import(file)) as { validate: ValidateFunction };
  return messages(path, validate, manifest);
}

const closed = new Map<string, ValidateFunction>();

function closedFaults(path: string, name: "cloud-run" | "kserve", manifest: Manifest): string[] {
  let validate = closed.get(name);
  if (validate === undefined) {
    const schema = readFileSync(new URL(`schemas/${name}.json`, import.meta.url), "utf8");
    validate = new Ajv2020({ strict: false, allErrors: true }).compile(JSON.parse(schema));
    closed.set(name, validate);
  }
  return messages(path, validate, manifest);
}

function messages(path: string, validate: ValidateFunction, value: unknown): string[] {
  if (validate(value)) return [];
  return (validate.errors ?? []).map((e) => {
    const extra = (e.params as { additionalProperty?: string }).additionalProperty ?? "";
    return `${path}: ${e.instancePath} ${e.message ?? e.keyword} ${extra}`.trim();
  });
}
