import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Contract } from "../teach/contract.ts";

const contractSchema = z.object({
  url: z.string(),
  terms: z.array(z.tuple([z.string(), z.string()])),
  warnings: z.array(z.string()),
});

const nameIn = (run: string) => join(run, "contract.json");

/** Keeps what was agreed with a run's teachers, for its report. */
export async function writeContracts(run: string, contracts: Contract[]): Promise<void> {
  await writeFile(nameIn(run), `${JSON.stringify(contracts, null, 2)}\n`);
}

/** What was kept; nothing if nothing was. */
export async function readContracts(run: string): Promise<Contract[]> {
  const text = await readFile(nameIn(run), "utf8").catch(() => "[]");
  return z.array(contractSchema).safeParse(JSON.parse(text)).data ?? [];
}
