#!/usr/bin/env node
import { UserError } from "@funmatch/config";
import { Command } from "commander";
import { readGatewayConfig } from "./config.ts";
import { nodePlatform } from "./node.ts";
import { type Listening, listen } from "./serve.ts";

const program = new Command("funmatch-gateway").description("the gateway in front of a teacher, under Node");

program
  .command("serve <config>")
  .description("serve until SIGTERM")
  .action(async (path: string) => {
    const { listen: at, stateDir, drainSeconds, ...settings } = readGatewayConfig(path);
    const platform = nodePlatform(settings, stateDir);
    const { url, close } = await listening();
    console.log(`funmatch-gateway listens on ${url}`);
    await new Promise<void>((stop) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop());
    });
    await close(drainSeconds * 1000);
    platform.close();

    async function listening(): Promise<Listening> {
      try {
        return await listen(platform, at);
      } catch (error) {
        throw new UserError(`cannot listen on ${at.host}:${at.port}: ${(error as Error).message}`);
      }
    }
  });

try {
  await program.parseAsync();
} catch (error) {
  // A mistake of the user's is one line; anything else is a bug and keeps its stack.
  console.error(error instanceof UserError ? `funmatch-gateway: ${error.message}` : error);
  process.exit(error instanceof UserError ? 2 : 1);
}
