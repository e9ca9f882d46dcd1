#!/usr/bin/env node
import { UserError } from "@funmatch/config";
import { EngineError, engineInfo } from "@funmatch/engine";
import { installEngine } from "@funmatch/engine/install";
import { Command } from "commander";
import { cards, check } from "./check.ts";
import { readTeacherConfig } from "./config/config.ts";
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

const engine = program.command("engine").description("the TensorFlow engine under the teachers");

engine
  .command("install")
  .option("--cuda", "with NVIDIA's libraries, for a GPU")
  .option("--portable", "fused operations for levels of CPUs, not for this one: for an image that others run")
  .description("download TensorFlow and compile the binding into the user's cache")
  .action(async (options: { cuda?: boolean; portable?: boolean }) => {
    await installEngine(options);
  });

engine
  .command("info")
  .description("versions, device, CPU features and place of the engine")
  .action(async () => {
    for (const [key, value] of Object.entries(await engineInfo())) console.log(`${key.padEnd(12)} ${value}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  // A mistake of the user's is one line; anything else is a bug and keeps its stack.
  const mistake = error instanceof UserError || error instanceof EngineError;
  console.error(mistake ? `funmatch-teacher: ${error.message}` : error);
  process.exit(mistake ? EXIT.config : EXIT.fault);
}
