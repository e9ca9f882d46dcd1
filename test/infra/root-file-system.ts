import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Stage, Step } from "./container-file.ts";

/** What programs are told about proxies, registries and certificates here; nothing else of this machine goes in. */
const OUTSIDE = /^(.*_proxy|PIP_.*|npm_config_.*|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|.*_CA_BUNDLE)$/i;
const IGNORED = /\/(node_modules|\.dev\.vars)$/;
const BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A step that was carried out. */
export interface Done {
  step: string;
  seconds: number;
}

/**
 * Carries out a container file's stages without a builder: each stage is a bare Debian of `mmdebstrap`, in which the
 * steps run under chroot, as root and with the network. Needs root, mmdebstrap and unshare.
 *
 * @param into gets a folder for each stage; one that is there already is kept, so that a build can be looked at again
 * @returns the folder of the last stage, and how long each step took
 */
export function build(stages: Stage[], project: string, into: string, args: Record<string, string>) {
  mkdirSync(into, { recursive: true });
  const done: Done[] = [];
  const folders = new Map<string, string>();
  let last = "";
  for (const [at, stage] of stages.entries()) {
    const folder = join(into, stage.name ?? `stage-${at}`);
    if (!existsSync(folder))
      buildStage(stage, project, folder, { ...stage.args, ...args }, folders, into, done);
    folders.set(stage.name ?? String(at), folder);
    last = folder;
  }
  return { folder: last, done };
}

function buildStage(
  stage: Stage,
  project: string,
  folder: string,
  args: Record<string, string>,
  folders: Map<string, string>,
  into: string,
  done: Done[],
): void {
  const root = `${folder}.partial`;
  rmSync(root, { recursive: true, force: true });
  const timed = (step: string, work: () => void) => {
    const began = performance.now();
    console.error(`> ${step}`);
    work();
    done.push({ step, seconds: (performance.now() - began) / 1000 });
  };
  timed(`FROM ${stage.base}`, () => layBase(stage.base, root, into));
  const state = { env: { PATH: BASE_PATH, ...args } as Record<string, string>, workdir: "/" };
  for (const step of stage.steps) timed(textOf(step), () => carryOut(step, root, state, project, folders));
  renameSync(root, folder);
}

/** `debian:SUITE-slim` is what `mmdebstrap --variant=minbase SUITE` makes: the essential packages and apt. */
function layBase(image: string, root: string, into: string): void {
  const suite = /(?:^|\/)debian:([a-z]+)-slim$/.exec(image)?.[1];
  if (suite === undefined) throw new Error(`there is no way to lay ${image} here, only debian:SUITE-slim`);
  const archive = join(into, `${suite}.tar`);
  if (!existsSync(archive))
    execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", suite, archive], { stdio: "inherit" });
  mkdirSync(root, { recursive: true });
  execFileSync("tar", ["-xf", archive, "-C", root, "--exclude=./dev/*"]);
}

function carryOut(
  step: Step,
  root: string,
  state: { env: Record<string, string>; workdir: string },
  project: string,
  folders: Map<string, string>,
): void {
  switch (step.does) {
    case "env":
      for (const [name, value] of Object.entries(step.variables))
        state.env[name] = value.replace(/\$(\w+)/g, (_all, other: string) => state.env[other] ?? "");
      break;
    case "workdir":
      state.workdir = step.path;
      mkdirSync(join(root, step.path), { recursive: true });
      break;
    case "copy": {
      const from = step.from === undefined ? project : folders.get(step.from);
      if (from === undefined) throw new Error(`there is no stage ${step.from}`);
      for (const source of step.sources)
        copy(join(from, source), join(root, targetOf(step, source, state.workdir)), from === project);
      break;
    }
    case "run":
      run(step.command, root, state);
  }
}

function targetOf(step: { to: string; sources: string[] }, source: string, workdir: string): string {
  const to = step.to.startsWith("/") ? step.to : join(workdir, step.to);
  return step.to.endsWith("/") ? join(to, source.split("/").at(-1) as string) : to;
}

/** Of the project without what the .dockerignore names; from another stage whole, with its links. */
function copy(source: string, target: string, ofProject: boolean): void {
  mkdirSync(dirname(target), { recursive: true });
  if (!ofProject) execFileSync("cp", ["-a", source, target]);
  else cpSync(source, target, { recursive: true, filter: (path) => !IGNORED.test(path) });
}

/** What of this machine a step sees, so that programs find their registries; read-only, each under its own path. */
const SETTINGS = ["/etc/resolv.conf", "/etc/hosts", "/etc/apt", "/etc/pip.conf", "/etc/npmrc"];
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const GIVEN_CERTIFICATES = "/run/outside.crt";
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

function run(command: string, root: string, state: { env: Record<string, string>; workdir: string }): void {
  const settings = SETTINGS.filter((path) => existsSync(path)).map((path): [string, string] => [path, path]);
  const npmrc = join(homedir(), ".npmrc");
  if (existsSync(npmrc)) settings.push([npmrc, "/root/.npmrc"]);
  // Not in their own place: what is installed writes there.
  if (existsSync(CERTIFICATES)) settings.push([CERTIFICATES, GIVEN_CERTIFICATES]);
  const made = settings
    .map(([here, there]) => makePlace(here, join(root, there)))
    .filter((path) => path !== "");
  const mounts = settings.map(
    ([here, there]) => `mount --bind '${here}' '${root}${there}'; mount -o remount,bind,ro '${root}${there}'`,
  );
  const devices = DEVICES.map(
    (name) => `: > '${root}/dev/${name}'; mount --bind /dev/${name} '${root}/dev/${name}'`,
  );
  const script = `set -e
mount -t proc proc '${root}/proc'
mount -t tmpfs tmpfs '${root}/dev'
${[...devices, ...mounts].join("\n")}
exec chroot '${root}' "$@"`;
  const inside = ["/usr/bin/env", "-i", ...environment(state.env), "/bin/sh", "-c"];
  const ended = spawnSync(
    "unshare",
    [
      "--mount",
      "--propagation=private",
      "sh",
      "-c",
      script,
      "sh",
      ...inside,
      `cd ${state.workdir} && ${command}`,
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  for (const path of made) rmSync(path, { recursive: true });
  if (ended.status !== 0) throw new Error(`status ${ended.status}: ${command}`);
}

function environment(own: Record<string, string>): string[] {
  const outside = Object.entries(process.env)
    .filter(([name]) => OUTSIDE.test(name))
    .map(([name, value]) => [name, value === CERTIFICATES ? GIVEN_CERTIFICATES : (value ?? "")]);
  // npm's own files may name the certificates by the path that they have here.
  const npm = existsSync(CERTIFICATES) ? { npm_config_cafile: GIVEN_CERTIFICATES } : {};
  return Object.entries({ HOME: "/root", ...npm, ...Object.fromEntries(outside), ...own }).map((pair) =>
    pair.join("="),
  );
}

/** Something to mount over, where there is nothing; the path if it was made. */
function makePlace(here: string, there: string): string {
  if (existsSync(there)) return "";
  if (statSync(here).isDirectory()) mkdirSync(there, { recursive: true });
  else writeFileSync(there, "");
  return there;
}

function textOf(step: Step): string {
  switch (step.does) {
    case "run":
      return `RUN ${step.command.replace(/\s+/g, " ")}`;
    case "copy":
      return `COPY ${step.from === undefined ? "" : `--from=${step.from} `}${step.sources.join(" ")} ${step.to}`;
    case "env":
      return `ENV ${Object.keys(step.variables).join(" ")}`;
    case "workdir":
      return `WORKDIR ${step.path}`;
  }
}
