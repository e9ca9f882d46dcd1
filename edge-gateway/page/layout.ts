import { html } from "hono/html";
import type { Html } from "./plot.ts";
import type { Viewer } from "./session.ts";

/** What was done, by the name that the address carries: an address cannot put words of its own on the page. */
const DONE: Record<string, string> = {
  "signed-out": "You are signed out.",
  team: "The team is made. It has no key yet.",
  quota: "The quota is saved, and holds from the next call on.",
  revoked: "The key is revoked. Within 3 seconds nothing takes it any more.",
};

/** A page's frame. */
export interface Frame {
  title: string;
  viewer?: Viewer | undefined;
  /** The path of the page, to mark it in the navigation. */
  path?: string;
  /** One of the words of `DONE`, as the address has it. */
  done?: string | undefined;
  /** What is wrong, in plain words. */
  wrong?: readonly string[];
}

/** A whole page. It has no script. */
export function layout({ title, viewer, path, done, wrong = [] }: Frame, body: Html): Html {
  const notice = done === undefined || !Object.hasOwn(DONE, done) ? undefined : DONE[done];
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${wrong.length > 0 ? "Error: " : ""}${title} – FunMatch gateway</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
  <p class="brand">FunMatch <span>gateway</span></p>
  ${viewer && navigation(viewer, path)}
</header>
<main id="main">
<h1>${title}</h1>
${notice !== undefined && html`<p class="notice" role="status">${notice}</p>`}
${wrong.length > 0 && html`<div class="wrong" role="alert">${wrong.map((line) => html`<p>${line}</p>`)}</div>`}
${body}
</main>
</body>
</html>`;
}

function navigation({ team, admin }: Viewer, path: string | undefined): Html {
  const link = (to: string, name: string) =>
    html`<li><a href="${to}"${path === to && html` aria-current="page"`}>${name}</a></li>`;
  return html`<nav aria-label="Pages"><ul>
${team !== null && link("/", `Team ${team}`)}
${admin && link("/page/teams", "All teams")}
</ul></nav>
<form method="post" action="/page/sign-out"><button class="quiet">Sign out</button></form>`;
}
