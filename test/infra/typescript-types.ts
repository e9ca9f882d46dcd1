import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

/**
 * Holds values against types that a package publishes: TypeScript refuses a literal's keys that the type does not
 * have, which the schemas of Kubernetes let pass. Enums count as their values.
 *
 * @param typed by a name for messages; `types` as "package/path/of/module#Type"
 * @returns what the compiler says, one line for each fault
 */
export function unknownKeys(typed: Record<string, { value: unknown; types: string }>): string[] {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-types-"));
  try {
    const names = Object.keys(typed);
    for (const [at, { value, types }] of Object.values(typed).entries()) {
      const [module, type] = types.split("#") as [string, string];
      writeFileSync(
        join(folder, `value-${at}.ts`),
        `import type { ${type} as Type } from ${JSON.stringify(join(MODULES, module))};
type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T :
  T extends (infer Item)[] ? Plain<Item>[] : T extends object ? { [Key in keyof T]: Plain<T[Key]> } : T;
export const value: Plain<Type> = ${JSON.stringify(value, null, 1)};
`,
      );
    }
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          module: "esnext",
          moduleResolution: "bundler",
          types: [],
        },
      }),
    );
    const { stdout, status } = spawnSync(join(MODULES, ".bin", "tsc"), ["-p", folder, "--pretty", "false"], {
      encoding: "utf8",
      cwd: folder,
    });
    const lines = stdout.split("\n").filter((line) => line !== "");
    if (status !== 0 && lines.length === 0) throw new Error(`tsc ended with ${status}`);
    return lines.map((line) =>
      line.replace(/^value-(\d+)\.ts/, (_all, at: string) => names[Number(at)] ?? at),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
