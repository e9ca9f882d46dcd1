import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { wheelsFor } from "../../shared/engine/install/pins.ts";
import { CONTAINER_FILE, type Step, stagesOf } from "./container-file.ts";
import { readInfra } from "./manifests.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [build, image] = stagesOf() as [ReturnType<typeof stagesOf>[0], ReturnType<typeof stagesOf>[0]];
const copies = build.steps.filter((step): step is Step & { does: "copy" } => step.does === "copy");
const copied = copies.flatMap((step) => step.sources);

describe("the container file", () => {
  test("is one that builders take", () => {
    const found = validate(readFileSync(CONTAINER_FILE, "utf8"));
    expect(found.map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([]);
  });

  test("takes the teacher service and exactly what it depends on", () => {
    const folders = ["teacher-service", ...ourDependencies("teacher-service")].sort();
    expect(folders).toContain("shared/engine");
    expect(copied.filter((path) => folders.includes(path)).sort()).toEqual(folders);
    const manifests = folders.map((folder) => `${folder}/package.json`);
    const others = [...folders, ...manifests, "package.json", "package-lock.json", ".npmrc"];
    expect(copied.filter((path) => !others.includes(path))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(manifests));
    for (const path of copied) expect(existsSync(`${ROOT}/${path}`)).toBe(true);
  });

  test("lets a builder see no more than that, and no secret", () => {
    const [first, ...lines] = readInfra("container/Containerfile.dockerignore")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(first).toBe("*");
    const seen = lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
    for (const path of copied)
      expect(seen.some((top) => path === top || path.startsWith(`${top}/`))).toBe(true);
    expect(lines).toEqual(expect.arrayContaining(["**/node_modules", "**/.dev.vars"]));
    expect(readFileSync(CONTAINER_FILE, "utf8")).not.toMatch(/_authToken|password|BEGIN [A-Z ]*PRIVATE/i);
  });

  test("runs the service itself, by a number that is not root's", () => {
    expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(image.program).toEqual([
      "node",
      "/app/teacher-service/cli.ts",
      "serve",
      "/etc/funmatch/teacher.yaml",
    ]);
  });

  test("leaves compiler and package managers behind", () => {
    expect(image.steps.filter((step) => step.does === "run")).toEqual([]);
    const from = image.steps.filter((step): step is Step & { does: "copy" } => step.does === "copy");
    expect(from.map((step) => step.sources)).toEqual([["/app"], ["/opt/funmatch"]]);
    expect(build.steps.some((step) => step.does === "run" && /npm ci .*--omit=dev/.test(step.command))).toBe(
      true,
    );
  });

  test.each(["cpu", "cuda"] as const)("installs an engine that is pinned by hashes: %s", (engine) => {
    expect(build.args).toEqual({ ENGINE: "cpu" });
    const install = build.steps.find(
      (step) => step.does === "run" && step.command.includes("engine install"),
    );
    expect(install).toMatchObject({
      command: expect.stringContaining('"$ENGINE" = cpu || echo "--$ENGINE"'),
    });
    for (const wheel of wheelsFor("linux-x64", engine)!) expect(wheel.sha256).toMatch(/^[0-9a-f]{64}$/);
  });
});

/** The workspaces that a workspace needs, also by way of others. */
function ourDependencies(folder: string, found: string[] = []): string[] {
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}/${folder}/package.json`, "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies).filter((one) => one.startsWith("@funmatch/"))) {
    const other = name.replace("@funmatch", "shared");
    if (found.includes(other)) continue;
    found.push(other);
    ourDependencies(other, found);
  }
  return found;
}
