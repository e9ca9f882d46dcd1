import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTeacherConfig, type TeacherConfig } from "funmatch-teacher/config";
import { describe, expect, test } from "vitest";
import { stagesOf } from "./container-file.ts";
import { INFRA, type Manifest, manifests, readInfra, readYaml } from "./manifests.ts";
import { faults } from "./published-schemas.ts";

const all = manifests();
const deployment = all["kubernetes/deployment.yaml"]!;
const knative = all["knative/service.yaml"]!;
const kserve = all["kserve/inference-service.yaml"]!;
const cloudRun = all["cloud-run/service.yaml"]!;

/** What the service makes of the config that a manifest mounts. */
const onKubernetes = configOf(all["base/config-map.yaml"]!.data!["teacher.yaml"]!);
const onCloudRun = configOf(readInfra("cloud-run/teacher.yaml"));

/** The pod's part of each way to run it, with the config that it mounts. */
const pods = {
  "kubernetes/deployment.yaml": { pod: deployment.spec.template.spec, config: onKubernetes },
  "knative/service.yaml": { pod: knative.spec.template.spec, config: onKubernetes },
  "kserve/inference-service.yaml": { pod: kserve.spec.predictor, config: onKubernetes },
  "cloud-run/service.yaml": { pod: cloudRun.spec.template.spec, config: onCloudRun },
};

describe("published schemas", () => {
  test("take every manifest", async () => {
    expect(Object.keys(all).length).toBe(9);
    expect(await faults(all)).toEqual([]);
  });

  test("find what is wrong in any of them", async () => {
    const spoiled = Object.fromEntries(
      Object.entries(all).map(([path, manifest]) => [path, spoil(manifest)]),
    );
    const found = (await faults(spoiled)).join("\n");
    for (const path of Object.keys(all)) expect(found).toMatch(new RegExp(`^${path}.*mispelt`, "m"));
    const probes = structuredClone(all);
    for (const { pod } of Object.values(podsOf(probes)))
      pod.containers[0].startupProbe.periodSeconds = "soon";
    const wrong = (await faults(probes)).join("\n");
    for (const path of Object.keys(pods))
      expect(wrong).toMatch(new RegExp(`^${path}.*startupProbe/periodSeconds`, "m"));
  });
});

describe("what the manifests and the teacher's config say of the same thing", () => {
  test("as many requests at once as the service can hold of the largest", () => {
    const admitted = ({ limits }: TeacherConfig) => Math.floor(limits.queueBytes / limits.maxBodyBytes);
    expect(knative.spec.template.spec.containerConcurrency).toBe(admitted(onKubernetes));
    expect(kserve.spec.predictor.containerConcurrency).toBe(admitted(onKubernetes));
    expect(cloudRun.spec.template.spec.containerConcurrency).toBe(admitted(onCloudRun));
    expect(kserve.spec.predictor.scaleTarget).toBeLessThan(admitted(onKubernetes));
  });

  test("a request's time", () => {
    expect(knative.spec.template.spec.timeoutSeconds * 1000).toBe(onKubernetes.limits.timeoutMs);
    expect(kserve.spec.predictor.timeout * 1000).toBe(onKubernetes.limits.timeoutMs);
    expect(cloudRun.spec.template.spec.timeoutSeconds * 1000).toBe(onCloudRun.limits.timeoutMs);
  });

  test("nobody is killed who still drains", () => {
    const { terminationGracePeriodSeconds, containers } = deployment.spec.template.spec;
    const preStop = containers[0].lifecycle.preStop.sleep.seconds;
    expect(terminationGracePeriodSeconds).toBeGreaterThan(preStop + onKubernetes.drainSeconds);
    // Knative gives a pod its request timeout to end in, Cloud Run ten seconds.
    expect(knative.spec.template.spec.timeoutSeconds).toBeGreaterThan(onKubernetes.drainSeconds);
    expect(kserve.spec.predictor.timeout).toBeGreaterThan(onKubernetes.drainSeconds);
    expect(onCloudRun.drainSeconds).toBeLessThan(10);
  });

  test("Cloud Run's own limits", () => {
    expect(onCloudRun.limits.maxBodyBytes).toBeLessThan(32 * 2 ** 20);
    const { periodSeconds, failureThreshold } = cloudRun.spec.template.spec.containers[0].startupProbe;
    expect(periodSeconds * failureThreshold).toBeLessThanOrEqual(240);
  });

  test.each(Object.entries(pods))(
    "%s: port, probes, config and models where the service looks",
    (_path, { pod, config }) => {
      const [container] = pod.containers;
      expect(container.args).toEqual(["serve", "/etc/funmatch/teacher.yaml"]);
      expect(container.ports[0].containerPort).toBe(config.listen.port);
      expect(config.listen.host).toBe("0.0.0.0");
      for (const [probe, path] of Object.entries({ readinessProbe: "/readyz", livenessProbe: "/healthz" }))
        if (container[probe]) expect(container[probe].httpGet.path).toBe(path);
      // Cloud Run sends requests as soon as the start is over; elsewhere readiness decides.
      expect(container.startupProbe.httpGet.path).toBe(container.readinessProbe ? "/healthz" : "/readyz");
      const places = container.volumeMounts.map((mount: { mountPath: string }) => mount.mountPath);
      expect(places).toEqual(expect.arrayContaining(["/etc/funmatch", "/tmp"]));
      const storage = container.env.find((variable: { name: string }) => variable.name === "STORAGE_URI");
      expect(places.includes("/mnt/models") || storage !== undefined).toBe(true);
      for (const model of Object.values(config.models))
        expect("path" in model && model.path).toMatch(/^\/mnt\/models\//);
      const memory = Number.parseInt(container.resources.limits.memory, 10) * 2 ** 30;
      expect(memory).toBeGreaterThan(config.limits.queueBytes + 2 ** 31);
    },
  );

  test("scale to zero where the platform can", () => {
    expect(knative.spec.template.metadata.annotations["autoscaling.knative.dev/min-scale"]).toBe("0");
    expect(kserve.spec.predictor.minReplicas).toBe(0);
    expect(cloudRun.spec.template.metadata.annotations["autoscaling.knative.dev/minScale"]).toBe("0");
  });

  test("labels and names that must agree", () => {
    const { labels } = deployment.spec.template.metadata;
    for (const [path, pick] of Object.entries({
      "kubernetes/deployment.yaml": (m: Manifest) => m.spec.selector.matchLabels,
      "kubernetes/service.yaml": (m: Manifest) => m.spec.selector,
      "kubernetes/disruption-budget.yaml": (m: Manifest) => m.spec.selector.matchLabels,
      "kubernetes/network-policy.yaml": (m: Manifest) => m.spec.podSelector.matchLabels,
    }))
      expect(pick(all[path]!)).toEqual(labels);
    const { scaleTargetRef } = all["kubernetes/autoscaler.yaml"]!.spec;
    expect(scaleTargetRef).toMatchObject({ kind: deployment.kind, name: deployment.metadata.name });
    expect(deployment.spec.replicas).toBeUndefined();
  });
});

describe("safety", () => {
  test.each(Object.entries(pods))("%s: secrets come from elsewhere", (_path, { pod, config }) => {
    const wanted = JSON.stringify(config).match(/env:\w+/g) ?? [];
    expect(wanted.length).toBeGreaterThan(0);
    const [{ env }] = pod.containers;
    for (const name of wanted.map((text) => text.slice("env:".length))) {
      const variable = env.find((one: { name: string }) => one.name === name);
      expect(variable).toEqual({ name, valueFrom: { secretKeyRef: expect.anything() } });
    }
    expect(config.identity?.secret).toMatch(/^env:/);
    for (const token of config.tokens) expect(token).toMatch(/^env:/);
  });

  test("no file holds a Secret", () => {
    expect(Object.values(all).map((manifest) => manifest.kind)).not.toContain("Secret");
  });

  test.each(["kubernetes/deployment.yaml", "knative/service.yaml", "kserve/inference-service.yaml"] as const)(
    "%s: not root, nothing to gain, nothing to write but /tmp",
    (path) => {
      const { pod } = pods[path];
      const [container] = pod.containers;
      const context = { ...pod.securityContext, ...container.securityContext };
      expect(context).toMatchObject({
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(`${context.runAsUser}:${context.runAsUser}`).toBe(stagesOf().at(-1)!.user);
      const writable = container.volumeMounts.filter((mount: { readOnly?: boolean }) => !mount.readOnly);
      expect(writable).toEqual([{ name: "tmp", mountPath: "/tmp" }]);
      expect(pod.automountServiceAccountToken).toBe(false);
    },
  );
});

test("kustomize finds every manifest, and none that is not there", () => {
  for (const folder of ["base", "kubernetes", "knative", "kserve"]) {
    const { resources } = readYaml(`${folder}/kustomization.yaml`) as { resources: string[] };
    const there = readdirSync(join(INFRA, folder)).filter((file) => all[`${folder}/${file}`] !== undefined);
    expect(resources.filter((path) => path !== "../base").sort()).toEqual(there.sort());
  }
});

function configOf(text: string): TeacherConfig {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-infra-"));
  try {
    writeFileSync(join(folder, "teacher.yaml"), text);
    return readTeacherConfig(join(folder, "teacher.yaml"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A key that nobody knows, deep inside. */
function spoil(manifest: Manifest): Manifest {
  const copy = structuredClone(manifest);
  const pod = podsOf({ x: copy }).x?.pod;
  const place = pod?.containers?.[0] ?? copy.spec ?? copy;
  place.mispelt = true;
  return copy;
}

// biome-ignore lint/suspicious/noExplicitAny: as Manifest's spec
function podsOf(given: Record<string, Manifest>): Record<string, { pod: any }> {
  const found = Object.entries(given).flatMap(([path, { spec }]) => {
    const pod = spec?.template?.spec ?? spec?.predictor;
    return pod?.containers ? [[path, { pod }] as const] : [];
  });
  return Object.fromEntries(found);
}
