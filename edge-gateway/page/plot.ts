import { html } from "hono/html";
import { sum } from "../quota/usage-totals.ts";
import { compact, exact } from "./numbers.ts";
import type { Series, Span } from "./series.ts";

/** A piece of a page, its text escaped. */
export type Html = ReturnType<typeof html>;

/** What a plot shows. */
export interface Plot {
  id: string;
  /** Such as "Images". */
  what: string;
  span: Span;
  series: Series[];
}

/**
 * Stacked bars as SVG, and the same numbers as a table for those who cannot see bars or want to read them. Bars stretch
 * with the page; what is written stands outside, so that it stays readable on a phone.
 */
export function plot({ id, what, span, series }: Plot): Html {
  const { slots, unit } = span;
  const title = `${what} by ${unit}`;
  const sums = slots.map((_, i) => sum(series.map(({ values }) => values[i]!)));
  const all = sum(sums);
  const heading = html`<h3 id="${id}">${title}</h3>`;
  if (all === 0)
    return html`<section aria-labelledby="${id}">${heading}<p class="empty">None in this time.</p></section>`;
  const busiest = sums.indexOf(Math.max(...sums));
  const top = roundUp(sums[busiest]!);
  const told = `${exact(all)} in all; most, ${exact(sums[busiest]!)}, in the ${unit} of ${slots[busiest]!.label} UTC. The table below has the numbers.`;
  return html`<section aria-labelledby="${id}">${heading}
<div class="plot">
  <div class="scale" aria-hidden="true"><span>${compact(top)}</span><span>${compact(top / 2)}</span><span>0</span></div>
  <svg viewBox="0 0 ${slots.length} 100" preserveAspectRatio="none" role="img" aria-label="${title}. ${told}">
    <path class="grid" d="M0 0H${slots.length}M0 50H${slots.length}M0 100H${slots.length}"/>
    ${slots.map((slot, i) => bar(i, `${slot.label} UTC`, series, top))}
  </svg>
  <div class="times" aria-hidden="true"><span>${slots[0]!.label}</span><span>${slots.at(-1)!.label} UTC</span></div>
</div>
<ul class="legend">${series.map(
    ({ name, values }, i) =>
      html`<li><span class="swatch s${i}" aria-hidden="true"></span>${name}: ${exact(sum(values))}</li>`,
  )}</ul>
<details><summary>${title}, as a table</summary>${table(title, span, series, sums)}</details>
</section>`;
}

function bar(at: number, label: string, series: Series[], top: number): Html {
  let below = 0;
  const pieces = series.flatMap(({ name, values }, i) => {
    const value = values[at]!;
    if (value === 0) return [];
    const height = (100 * value) / top;
    const y = 100 - below - height;
    below += height;
    return [
      html`<rect class="s${i}" x="${at + 0.1}" y="${y.toFixed(2)}" width="0.8" height="${height.toFixed(2)}"><title>${label}, ${name}: ${exact(value)}</title></rect>`,
    ];
  });
  return html`${pieces}`;
}

function table(title: string, { slots, unit }: Span, series: Series[], sums: number[]): Html {
  const rows = slots.map((slot, i) => ({ slot, i })).filter(({ i }) => sums[i]! > 0);
  return html`<div class="scroll" role="region" aria-label="${title}, as a table" tabindex="0"><table>
<caption>${title}; what is not listed had none</caption>
<thead><tr><th scope="col">${unit === "day" ? "Day" : "Hour"} (UTC)</th>${series.map(
    ({ name }) => html`<th scope="col" class="number">${name}</th>`,
  )}</tr></thead>
<tbody>${rows.map(
    ({ slot, i }) =>
      html`<tr><th scope="row">${slot.label}</th>${series.map(
        ({ values }) => html`<td class="number">${exact(values[i]!)}</td>`,
      )}</tr>`,
  )}</tbody>
</table></div>`;
}

/** The next number that is round, and half of which is whole. */
function roundUp(n: number): number {
  const power = 10 ** Math.floor(Math.log10(n));
  const steps = power === 1 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];
  return Math.round(steps.map((step) => step * power).find((step) => step >= n) ?? 10 * power);
}
