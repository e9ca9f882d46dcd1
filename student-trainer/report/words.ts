/** Numbers in the words of a report. */

/** "87.3 %" */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** "12,345" */
export function counted(value: number): string {
  return value.toLocaleString("en");
}

/** Three digits and a thousand's letter: "0.00300", "12.4", "1.23 M"; "3e-5" for what is very small. */
export function compact(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3) return value.toExponential(1).replace(".0", "");
  for (const [unit, letter] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ] as const)
    if (size >= unit) return `${trimmed(value / unit)}${letter}`;
  return trimmed(value);
}

/** "12.3 GB" */
export function bytes(count: number): string {
  return `${compact(count)}${count >= 1000 ? "" : " "}B`;
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Seconds in words: "45 s", "12 min", "3 h 20 min", "12 d 4 h". */
export function duration(seconds: number): string {
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Text as HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
