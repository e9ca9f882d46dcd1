/**
 * The modules that a TypeScript or JavaScript file names: static, dynamic and type imports, re-exports, `require`,
 * and worker modules given as `new URL("./x.ts", import.meta.url)`. A scan by pattern, which suffices because the
 * formatter has put every statement into one shape; examples in block comments are not counted.
 */
export function importsOf(source: string): string[] {
  const code = source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, "").replace(/^[ \t]*\/\/.*$/gm, "");
  const found = PATTERNS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] as string));
  return [...new Set(found)];
}

const PATTERNS = [
  /(?:^|;)[ \t]*(?:import|export)\s[^"';]*?\bfrom\s*["']([^"']+)["']/gm,
  /(?:^|;)[ \t]*import\s*["']([^"']+)["']/gm,
  /\bimport\(\s*["']([^"']+)["']/g,
  /\brequire(?:\.resolve)?\(\s*["']([^"']+)["']/g,
  /\bnew URL\(\s*["'](\.[^"']+\.(?:ts|mjs|js))["']/g,
];
