/**
 * Makes a fresh clone ready, then runs a script: `node setup.mjs SCRIPT [ARGUMENT]…`, as the npm scripts do.
 *
 *   1. the dependencies of package-lock.json, if they are not the ones that are installed (`npm ci`);
 *   2. the TensorFlow engine, if it is not in the user's cache;
 *   3. SCRIPT, by Node 24: the one that the dependencies bring, or this one where it is new enough.
 *
 * Plain JavaScript, because the Node that begins may be 20. With nothing to do, 1 and 2 take a few milliseconds.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";

const ROOT = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const MODULES = join(ROOT, "node_modules");
const OLDEST_NODE = 20;
const NODE = 24;

const nodeMajor = Number(process.versions.node.split(".")[0]);
if (nodeMajor < OLDEST_NODE) {
  fail(
    `Node ${OLDEST_NODE} or newer is needed to set up, and this is ${process.version}: see https://nodejs.org`,
  );
}
if (!dependenciesInstalled()) await installDependencies();
const node = newEnoughNode();
if (node === process.execPath) await installEngine();
// Under an older Node this file runs once more, by the right one: only that one can read TypeScript.
const args = node === process.execPath ? process.argv.slice(2) : process.argv.slice(1);
if (args.length > 0) await run(node, args);

/** True if what npm says it installed is what the lock asks for, entry by entry. */
function dependenciesInstalled() {
  const asked = packages(join(ROOT, "package-lock.json"));
  const installed = packages(join(MODULES, ".package-lock.json"));
  if (asked === undefined || installed === undefined) return false;
  return Object.entries(asked).every(([path, entry]) => {
    if (!path.includes("node_modules/")) return true;
    const there = installed[path];
    // npm leaves out optional packages that are made for other systems
    if (there === undefined) return entry.optional === true;
    return there.version === entry.version && there.integrity === entry.integrity;
  });
}

/**
 * @param {string} lockfile
 * @returns {Record<string, { version?: string, integrity?: string, optional?: boolean }> | undefined}
 */
function packages(lockfile) {
  try {
    return JSON.parse(readFileSync(lockfile, "utf8")).packages;
  } catch {
    return undefined;
  }
}

async function installDependencies() {
  const began = Date.now();
  const say = () => console.error(`setup: npm ci, ${Math.round((Date.now() - began) / 1000)} s`);
  console.error("setup: installing the dependencies (npm ci), about a minute");
  const timer = setInterval(say, 10_000);
  // No install script is needed, and one of them would look for binaries outside the npm registry.
  const npm = spawn("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    env: { ...process.env, PATH: pathWithoutOurs() },
    stdio: ["ignore", process.stderr, process.stderr],
  });
  const status = await new Promise((done) => {
    npm.on("error", () => done(undefined));
    npm.on("close", done);
  });
  clearInterval(timer);
  if (status === undefined) fail("npm was not found, and it installs the dependencies: it comes with Node");
  if (status !== 0) fail("npm ci did not succeed (its message is above): put that right, then try again");
}

/** npm must not run by the Node that it is about to delete and bring again. */
function pathWithoutOurs() {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => !directory.startsWith(MODULES))
    .join(delimiter);
}

function newEnoughNode() {
  if (nodeMajor >= NODE) return process.execPath;
  const brought = join(MODULES, `node-linux-${process.arch}`, "bin", "node");
  if (process.platform === "linux" && spawnSync(brought, ["--version"]).status === 0) {
    linkNode(brought);
    return brought;
  }
  return fail(
    `Node ${NODE} or newer is needed, and this is ${process.version}: the project brings its own on Linux with glibc; ` +
      "here, install one from https://nodejs.org",
  );
}

/**
 * npx runs our commands by `node_modules/.bin/node`. npm 10 deletes that link with the package for the other processor.
 * @param {string} brought
 */
function linkNode(brought) {
  const link = join(MODULES, ".bin", "node");
  if (existsSync(link)) return;
  rmSync(link, { force: true }); // one that leads nowhere
  symlinkSync(relative(dirname(link), brought), link);
}

async function installEngine() {
  const engine = await import("./shared/engine/install/installed.ts");
  const place = engine.installedEngine();
  if (place !== undefined && engine.hasKernels(place)) return;
  const { installEngine: install } = await import("./shared/engine/install/install.ts");
  try {
    await install({ cuda: place?.variant === "cuda" });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "EngineError") throw error;
    fail(error.message);
  }
}

/**
 * Runs the script as if it had been called itself: same streams, signals passed on, same exit status.
 * @param {string} program
 * @param {string[]} args
 */
async function run(program, args) {
  const child = spawn(program, args, { stdio: "inherit" });
  // A terminal sends Ctrl-C to the child too, which decides when to end.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  const [status, signal] = await new Promise((done) => child.on("exit", (...ending) => done(ending)));
  process.exitCode = signal === null ? status : 1;
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}
