import { type Chart, svgOf } from "./charts.ts";
import { STYLE } from "./style.ts";
import { escaped } from "./words.ts";

/** A page that loads nothing, light or dark as its reader's system is; sections that are undefined are left out. */
export function document(o: { title: string; subtitle: string; sections: (string | undefined)[] }): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(o.title)} · FunMatch</title>
<style>${STYLE}</style>
<body>
<header>
<h1>${escaped(o.title)}</h1>
<p>${escaped(o.subtitle)}</p>
</header>
<main>
${o.sections.filter(Boolean).join("\n")}
</main>
</body>
</html>
`;
}

export function section(title: string, html: string): string {
  return `<section><h2>${title}</h2>${html}</section>`;
}

/** A chart with its title, caption and, of several lines, their key. */
export function figure(chart: Chart): string {
  const legend = chart.lines.map(
    ({ name, colour, dashed }) =>
      `<li><i class="series-${colour}${dashed ? " dashed" : ""}"></i>${escaped(name)}</li>`,
  );
  const thinned = chart.lines.some(({ points }) => points.some(({ count }) => count > 1));
  const caption = thinned ? `${chart.caption}; shaded: smallest to largest` : chart.caption;
  const key = legend.length > 1 ? `<ul>${legend.join("")}</ul>` : "";
  return `<figure><figcaption><b>${chart.title}</b>${escaped(caption)}</figcaption>${key}${svgOf(chart)}</figure>`;
}

/**
 * A table that scrolls within itself where it is wider than the page.
 *
 * @param heads as text
 * @param rows cells as HTML; a short row's last cell reaches to the end
 */
export function table(heads: string[], rows: string[][]): string {
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => {
      const span = i === row.length - 1 && row.length < heads.length ? ` colspan="${heads.length - i}"` : "";
      return `<td${span}>${cell}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  const head = heads.map((text) => `<th>${escaped(text)}</th>`).join("");
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}
