#!/usr/bin/env node
import { UserError } from "@funmatch/config";
import { Command } from "commander";
import { cards, check } from "./check.ts";
import { readTeacherConfig } from "./config.ts";
import { EXIT } from "./exit-status.ts";
import { serve } from "./serve.ts";

const program = new Command("funmatch-teacher").description(
  "answers images with a teacher's logits over HTTP",
);

program
  .command("serve <config>")
  .description("serve the config's models until SIGTERM")
  .action(async (path: string) => process.exit(await serve(readTeacherConfig(path))));

program
  .command("check <config>")
  .description(
    "load the models, compute with each batch size, and print the cards and images/s, without serving",
  )
  .action(async (path: string) => {
    console.log(await check(readTeacherConfig(path)));
    process.exit(0);
  });

program
  .command("card <config>")
  .description("load the models and print their cards as JSON, with version and bit stability")
  .action(async (path: string) => {
    console.log(JSON.stringify(await cards(readTeacherConfig(path)), null, 2));
    process.exit(0);
  });

try {
  await program.parseAsync();
} catch (error) {
  // A mistake of the user's is one line; anything else is a bug and keeps its stack.
  console.error(error instanceof UserError ? `funmatch-teacher: ${error.message}` : error);
  process.exit(error instanceof UserError ? EXIT.config : EXIT.fault);
}
