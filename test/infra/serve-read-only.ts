import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { writeWeights } from "@funmatch/models";
import { startTeacherService } from "funmatch-teacher/dev";
import { bodyOf, logitsOf, post } from "../teacher-service/ask.ts";
import { noise, randomBit } from "../teacher-service/tiny-teacher.ts";
import type { Stage } from "./container-file.ts";

const ONNX = fileURLToPath(
  new URL("../../../shared/data/teacher/clothing-efficientnet-lite0.onnx", import.meta.url),
);
const IMAGES = 4;
const MODELS = { bit: 128, ...(existsSync(ONNX) ? { clothing: 160 } : {}) };

/** A processor as the image may meet it: what it must not have of this machine's instructions. */
const PROCESSORS: Record<string, RegExp | undefined> = {
  "this CPU": undefined,
  "without AVX-512": /^(avx512|amx|avx_vnni)/,
  "without AVX2": /^(avx512|amx|avx_vnni|avx2|fma|bmi)/,
};

interface Answered {
  readySeconds: number;
  logits: Record<string, Float32Array>;
  said: string[];
  kernels: string;
}

/**
 * Serves a BiT-ResNet-50 (and the ONNX teacher, where it is) from the root file system, on each of {@link PROCESSORS},
 * compares the logits with those of this checkout, and prints a table. Throws if one of them differs.
 */
export async function serveAll(root: string, stage: Stage): Promise<void> {
  const size = Number(execFileSync("du", ["-sm", root], { encoding: "utf8" }).split("\t")[0]);
  console.log(`image: ${size} MB unpacked`);
  const outside = mkdtempSync(join(tmpdir(), "funmatch-image-"));
  execFileSync("chmod", ["755", outside]);
  try {
    await writeModels(outside);
    const here = await serveHere(outside);
    for (const [name, lacking] of Object.entries(PROCESSORS)) {
      const there = await serveIn(root, stage, outside, { lacking });
      const worst = Object.entries(there.logits).map(
        ([id, logits]) => `${id} ${difference(logits, here[id]!)}`,
      );
      console.log(
        `${name}: ready after ${there.readySeconds.toFixed(1)} s; largest difference: ${worst.join(", ")}`,
      );
      console.log(`  kernels: ${there.kernels}\n  ${there.said.join("\n  ")}`);
      if (worst.some((text) => !(Number(text.split(" ")[1]) <= 1e-3)))
        throw new Error("other logits than here");
    }
    await serveIn(root, stage, outside, { withoutTmp: true }).then(
      () => Promise.reject(new Error("it should not be ready without /tmp")),
      (error: Error) => console.log(`nothing writable at all: ${error.message}`),
    );
  } finally {
    rmSync(outside, { recursive: true });
  }
}

async function writeModels(outside: string): Promise<void> {
  mkdirSync(join(outside, "models"));
  mkdirSync(join(outside, "config"));
  await writeWeights(
    join(outside, "models", "teacher.npz"),
    randomBit({ blocks: [3, 4, 6, 3], width: 1, classes: 1000 }),
  );
  if (existsSync(ONNX)) cpSync(ONNX, join(outside, "models", "clothing.onnx"));
  writeFileSync(join(outside, "config", "teacher.yaml"), config("/mnt/models"));
}

/** As infra/base's, but on loopback with a port that is free, so that it needs no secret. */
function config(models: string): string {
  const clothing = existsSync(ONNX)
    ? `\n  clothing: { format: onnx, path: ${models}/clothing.onnx, resolution: 160, valueRange: [-1, 1] }`
    : "";
  return `listen: { host: 127.0.0.1, port: 0 }
models:
  bit: { format: npz, path: ${models}/teacher.npz, resolution: 128, valueRange: [-1, 1] }${clothing}
batchSizes: [4]
`;
}

async function serveHere(outside: string): Promise<Record<string, Float32Array>> {
  const path = join(outside, "here.yaml");
  writeFileSync(path, config(join(outside, "models")));
  const service = await startTeacherService(path);
  const logits = await ask(service.url);
  await service.close();
  return logits;
}

async function serveIn(
  root: string,
  stage: Stage,
  outside: string,
  o: { lacking?: RegExp; withoutTmp?: boolean },
): Promise<Answered> {
  const began = performance.now();
  const child = start(root, stage, outside, o);
  const said: string[] = [];
  const url = Promise.withResolvers<string>();
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on("line", (line) => {
      said.push(line);
      const found = /"url":"(http[^"]+)"/.exec(line)?.[1];
      if (found) url.resolve(found);
    });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`status ${code}: ${said.at(-1)}`);
  });
  ended.catch(() => {});
  try {
    const address = await Promise.race([url.promise, ended]);
    await Promise.race([untilReady(address), ended]);
    const readySeconds = (performance.now() - began) / 1000;
    const logits = await ask(address);
    const card = (await (await fetch(`${address}/v1/models/bit`)).json()) as { runtime: { kernels: string } };
    const service = execFileSync("ps", ["-o", "pid=,user=,comm=", "--ppid", String(child.pid)], {
      encoding: "utf8",
    });
    const [pid, ...who] = service.trim().split(/\s+/);
    process.kill(Number(pid), "SIGTERM");
    const [status] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
    const engine = said.filter((line) => line.startsWith("engine:"));
    return {
      readySeconds,
      logits,
      kernels: card.runtime.kernels,
      said: [...engine, `as ${who.join(" ")}; SIGTERM: status ${status}`],
    };
  } finally {
    // Of a program that did not end by itself nothing is left: unshare's child is the first of its own processes.
    if (child.exitCode === null) child.kill("SIGKILL");
  }
}

/** As a cluster does: its own view of the mounts, all of them read-only but /tmp; then gives up every privilege. */
function start(
  root: string,
  stage: Stage,
  outside: string,
  { lacking, withoutTmp }: { lacking?: RegExp; withoutTmp?: boolean },
): ChildProcess {
  const cpuinfo = join(outside, "cpuinfo");
  const flags = (line: string) => line.split(" ").filter((word) => !lacking?.test(word));
  writeFileSync(
    cpuinfo,
    readFileSync("/proc/cpuinfo", "utf8").replace(/^flags.*$/gm, (line) => flags(line).join(" ")),
  );
  const variables = Object.assign(
    {},
    ...stage.steps.map((step) => (step.does === "env" ? step.variables : {})),
  );
  const env = Object.entries(variables as Record<string, string>).map((pair) => pair.join("="));
  const [uid, gid] = (stage.user ?? "").split(":");
  const script = `set -e
mkdir -p '${root}/etc/funmatch' '${root}/mnt/models'
mount --rbind '${root}' '${root}'
mount -t proc proc '${root}/proc'
mount --bind '${cpuinfo}' '${root}/proc/cpuinfo'
mount --bind '${outside}/config' '${root}/etc/funmatch'; mount -o remount,bind,ro '${root}/etc/funmatch'
mount --bind '${outside}/models' '${root}/mnt/models'; mount -o remount,bind,ro '${root}/mnt/models'
mount -t tmpfs tmpfs '${root}/dev'
${["null", "zero", "random", "urandom"].map((name) => `: > '${root}/dev/${name}'; mount --bind /dev/${name} '${root}/dev/${name}'`).join("\n")}
${withoutTmp ? "" : `mount -t tmpfs -o mode=1777 tmpfs '${root}/tmp'`}
mount -o remount,bind,ro '${root}'
mount -o remount,ro '${root}/dev'
cd /
exec chroot '${root}' setpriv --reuid=${uid} --regid=${gid} --clear-groups --no-new-privs --bounding-set=-all \\
  --inh-caps=-all /usr/bin/env -i ${env.join(" ")} "$@"`;
  const isolated = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child"];
  return spawn("unshare", [...isolated, "sh", "-c", script, "sh", ...stage.program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function untilReady(url: string): Promise<void> {
  while (!(await fetch(`${url}/readyz`)).ok) {
    const { models } = (await (await fetch(`${url}/readyz`)).json()) as { models: Record<string, string> };
    if (Object.values(models).includes("failed")) throw new Error(JSON.stringify(models));
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

async function ask(url: string): Promise<Record<string, Float32Array>> {
  const answers: Record<string, Float32Array> = {};
  for (const [model, side] of Object.entries(MODELS)) {
    const pixels = noise(IMAGES * side * side * 3);
    answers[model] = await logitsOf(
      await post(url, bodyOf({ pixels, shape: [IMAGES, side, side, 3] }), { model }),
    );
  }
  return answers;
}

/** Relative to the largest logit. */
function difference(a: Float32Array, b: Float32Array): string {
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0) / largest).toExponential(
    1,
  );
}
