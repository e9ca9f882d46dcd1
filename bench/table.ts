import type { Row } from "./benchmark.ts";

/** The rows as text for a terminal: one line each, columns aligned. */
export function table(rows: Row[]): string {
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const lines = rows.map((row) => [
    row.name,
    row.dtype,
    `${number(row.ours)} ${row.unit}`,
    ...peers.map((peer) => (peer in row.peers ? `${number(row.peers[peer] as number)} ${row.unit}` : "")),
    `${row.ratio.toFixed(2)}×`,
  ]);
  const details = rows.flatMap((row) => [
    "",
    `${row.name}, ${row.dtype}`,
    ...Object.entries(row.details).map(
      ([name, value]) => `  ${name}: ${typeof value === "number" ? number(value) : value}`,
    ),
  ]);
  return [...aligned([["", "dtype", "ours", ...peers, "ratio"], ...lines]), ...details].join("\n");
}

function aligned(rows: string[][]): string[] {
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd : cell.padStart).call(cell, widths[column] as number))
      .join("  "),
  );
}

function number(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(1);
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 });
}
