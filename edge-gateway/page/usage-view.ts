import { html } from "hono/html";
import { totals, totalsByModel } from "../quota/usage-totals.ts";
import { bytes, compact, exact, percent } from "./numbers.ts";
import { type Html, plot } from "./plot.ts";
import { evaluationsByAnswerer, imagesByModel, PERIODS } from "./series.ts";
import type { TeamState } from "./team-view.ts";

const NAMES = { day: "24 hours", week: "7 days", month: "30 days" } as const;

/** What a team used: in all, by hour, by model. */
export function usageView({ usage, period, span }: TeamState, path: string): Html {
  const all = totals(usage);
  const tile = (name: string, value: string, more: string) =>
    html`<div><dt>${name}</dt><dd><strong>${value}</strong> <span>${more}</span></dd></div>`;
  return html`<section aria-labelledby="usage"><h2 id="usage">Usage, last ${NAMES[period]}</h2>
<nav aria-label="Time shown"><ul class="choice">${PERIODS.map(
    (one) =>
      html`<li><a href="${path}?period=${one}"${one === period && html` aria-current="true"`}>${NAMES[one]}</a></li>`,
  )}</ul></nav>
<dl class="tiles">
${tile("Images", compact(all.images), bytes(all.bytes))}
${tile("Calls", compact(all.calls), all.failures === 0 ? "none failed" : `${exact(all.failures)} more failed`)}
${tile(
  "Cache hit rate",
  percent(all.hits, all.evaluations),
  all.evaluations === 0
    ? "no evaluation calls"
    : `${exact(all.hits)} of ${exact(all.evaluations)} evaluation calls`,
)}
</dl>
${
  usage.length === 0
    ? html`<p class="empty">Nothing was asked in this time. Calls are counted as they come in.</p>`
    : html`${plot({ id: "images", what: "Images", span, series: imagesByModel(usage, span) })}
${plot({ id: "evaluations", what: "Evaluation calls", span, series: evaluationsByAnswerer(usage, span) })}
${byModel(usage)}`
}
</section>`;
}

function byModel(usage: TeamState["usage"]): Html {
  return html`<h3 id="by-model">By model</h3>
<div class="scroll" role="region" aria-labelledby="by-model" tabindex="0"><table class="wide">
<caption>What was counted; a call that failed is counted nowhere else, and a retry with its first</caption>
<thead><tr><th scope="col">Model</th><th scope="col">Purpose</th><th scope="col" class="number">Calls</th><th scope="col" class="number">Images</th>
<th scope="col" class="number">Data</th><th scope="col" class="number">From the store</th><th scope="col" class="number">Failed</th></tr></thead>
<tbody>${totalsByModel(usage).map(
    ({ model, purpose, totals: one }) => html`<tr><th scope="row">${model}</th><td>${purpose}</td>
<td class="number">${exact(one.calls)}</td><td class="number">${exact(one.images)}</td><td class="number">${bytes(one.bytes)}</td>
<td class="number">${purpose === "eval" ? percent(one.hits, one.evaluations) : "never stored"}</td><td class="number">${exact(one.failures)}</td></tr>`,
  )}</tbody></table></div>`;
}
