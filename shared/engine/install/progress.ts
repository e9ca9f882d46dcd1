/** What an installation is doing. `done` and `total` are MB where the phase has a size. */
export interface Progress {
  phase: "wait" | "download" | "unpack" | "compile" | "check";
  what: string;
  done?: number;
  total?: number;
  seconds: number;
}

/**
 * Prints progress on stderr: one line that renews itself on a terminal; elsewhere (logs, CI) a line when a phase
 * begins and then one every ten seconds.
 */
export function progressOnStderr(out: NodeJS.WriteStream = process.stderr): (p: Progress) => void {
  let phase = "";
  let printed = 0;
  return (p) => {
    const line = progressLine(p);
    const begins = phase !== p.phase + p.what;
    if (out.isTTY) out.write(`${begins && phase ? "\n" : "\r"}\x1b[2K${line}`);
    else if (begins || p.seconds - printed >= 10) {
      out.write(`${line}\n`);
      printed = p.seconds;
    }
    if (begins) printed = p.seconds;
    phase = p.phase + p.what;
  };
}

export function progressLine(p: Progress): string {
  const size =
    p.done === undefined ? "" : `  ${p.done.toFixed(0)}${p.total ? ` of ${p.total.toFixed(0)}` : ""} MB`;
  return `engine: ${p.phase} ${p.what}${size}  ${p.seconds.toFixed(0)} s`;
}
