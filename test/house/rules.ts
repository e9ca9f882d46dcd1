import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, extname, join, relative, sep } from "node:path";
import { importsOf } from "./imports.ts";

/** Who may import whom: design.md's table. A folder that is not listed may not hold code. */
export const MAY_IMPORT: Record<string, readonly string[] | "everything"> = {
  "shared/config": [],
  "shared/wire": [],
  "shared/engine": [],
  "shared/models": [],
  "shared/views": ["shared/engine"],
  "teacher-service": ["shared/config", "shared/wire", "shared/engine", "shared/models", "shared/views"],
  "student-trainer": ["shared/config", "shared/wire", "shared/engine", "shared/models", "shared/views"],
  "edge-gateway": ["shared/config", "shared/wire"],
  test: "everything",
  bench: "everything",
  data: "everything",
  recipes: "everything",
  ".": "everything",
};

/** Runs also where there is no Node: in Workers and browsers. */
const WITHOUT_NODE = ["shared/wire"];
const NAMES_THAT_SAY_NOTHING = /^(.*[-.])?(utils?|helpers?|managers?|base|common|misc|stuff)$/;
const MOST_LINES = 300;

interface Package {
  folder: string;
  name: string;
  dependencies: string[];
}

/** Every breach of the house's rules under `root`, one line each, naming the file. */
export function breaches(root: string): string[] {
  const packages = Object.keys(MAY_IMPORT).flatMap((folder) => readPackage(root, folder) ?? []);
  return codeFiles(root).flatMap((file) => {
    const source = readFileSync(join(root, file), "utf8");
    return [
      ...breachesOfShape(file, source),
      ...importsOf(source).flatMap((imported) => breachOfImport(file, imported, packages) ?? []),
    ];
  });
}

function breachesOfShape(file: string, source: string): string[] {
  const found: string[] = [];
  const stems = file.split("/").map((part) => basename(part, extname(part)));
  const empty = stems.find((stem) => NAMES_THAT_SAY_NOTHING.test(stem));
  if (empty !== undefined) found.push(`${file}: "${empty}" says nothing about what is inside`);
  const lines = source.split("\n").length - 1;
  const isTest = folderOf(file) === "test";
  if (!isTest && lines > MOST_LINES) found.push(`${file}: ${lines} lines, more than ${MOST_LINES}`);
  if (folderOf(file) === undefined) found.push(`${file}: its folder is not in the table of the house`);
  return found;
}

function breachOfImport(file: string, imported: string, packages: Package[]): string | undefined {
  const folder = folderOf(file) ?? ".";
  const allowed = MAY_IMPORT[folder] ?? [];
  if (WITHOUT_NODE.includes(folder) && isBuiltin(imported)) {
    return `${file}: ${imported} is not there outside Node`;
  }
  if (allowed === "everything" || isBuiltin(imported)) return undefined;
  if (imported.startsWith(".")) {
    const target = relative(".", join(dirname(file), imported))
      .split(sep)
      .join("/");
    return folderOf(target) === folder ? undefined : `${file}: ${imported} leaves ${folder}`;
  }
  const ours = packages.find((one) => imported === one.name || imported.startsWith(`${one.name}/`));
  if (ours !== undefined && ours.folder !== folder && !allowed.includes(ours.folder)) {
    return `${file}: ${folder} may not import ${ours.folder}`;
  }
  const own = packages.find((one) => one.folder === folder);
  const name = imported.split("/", imported.startsWith("@") ? 2 : 1).join("/");
  if (name !== own?.name && !PLATFORM.test(name) && !own?.dependencies.includes(name)) {
    return `${file}: ${name} is not among the dependencies of ${folder}`;
  }
  return undefined;
}

/** Modules that a runtime provides. */
const PLATFORM = /^cloudflare:/;

/** The row of the table that a file belongs to. */
function folderOf(file: string): string | undefined {
  if (!file.includes("/")) return ".";
  return Object.keys(MAY_IMPORT).find((folder) => file.startsWith(`${folder}/`));
}

function readPackage(root: string, folder: string): Package | undefined {
  const path = join(root, folder, "package.json");
  if (folder === "." || !existsSync(path)) return undefined;
  const { name, dependencies, optionalDependencies } = JSON.parse(readFileSync(path, "utf8")) as {
    name: string;
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  return { folder, name, dependencies: Object.keys({ ...dependencies, ...optionalDependencies }) };
}

/** Source files relative to `root`, with forward slashes; nothing that is installed, hidden or the result of a run. */
function codeFiles(root: string, folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      return /^(node_modules|runs|\..*)$/.test(entry.name) ? [] : codeFiles(root, path);
    }
    return /\.(ts|mjs|cjs|js)$/.test(entry.name) ? [path] : [];
  });
}
