import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import axe from "axe-core";
import type { Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Where a Chromium is installed, or undefined; CHROMIUM names one that has another name. */
export function chromiumPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const paths = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [process.env.CHROMIUM ?? "", ...paths].find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return path !== "";
    } catch {
      return false;
    }
  });
}

/** What axe-core finds on a page that is moderate or worse, one line each; of all its rules, or those about colours. */
export async function barriers(page: Page, rules: "all" | "colours" = "all"): Promise<string[]> {
  // By the debugger, so that the page's own policy need not allow scripts.
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate(
    rules === "all" ? "axe.run()" : "axe.run({ runOnly: ['color-contrast'] })",
  )) as axe.AxeResults;
  return violations
    .filter(({ impact }) => impact !== "minor")
    .flatMap(({ id, impact, help, nodes }) =>
      nodes.map(({ html }) => `${page.url()}: ${impact} ${id}: ${help}: ${html.slice(0, 200)}`),
    );
}
