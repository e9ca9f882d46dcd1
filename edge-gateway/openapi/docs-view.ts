import { html } from "hono/html";
import { layout } from "../page/layout.ts";
import type { Html } from "../page/plot.ts";
import { openApiDocument } from "./document.ts";

/** What is shown of an operation; the document is made here, and of this shape. */
interface Operation {
  tags: string[];
  operationId: string;
  summary: string;
  description?: string;
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { description: string; headers?: Record<string, Header>; content?: Content }>;
}
interface Header {
  description?: string;
  required?: boolean;
  schema?: { description?: string };
}
interface Parameter extends Header {
  name: string;
  in: string;
}
type Content = Record<string, { schema?: object }>;

let drawn: Html | undefined;

/** The gateway's API as a page: its document, drawn. It is the same for all, and drawn once. */
export function docsView(): Html {
  const { info, tags = [], paths = {} } = openApiDocument;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  drawn ??= layout(
    { title: "The API" },
    html`<p>${prose(info.description ?? "")} The whole, for tools: <a href="/openapi.json">openapi.json</a>.</p>
${tags.map(
  (tag) => html`<h2>${tag.name}</h2>
<p class="hint">${tag.description}</p>
${operations.filter(({ operation }) => operation.tags.includes(tag.name)).map(card)}`,
)}
<h2>Shapes</h2>
${Object.entries(openApiDocument.components?.schemas ?? {}).map(([name, schema]) => shape(name, schema, name))}`,
  );
  return drawn;
}

function card({ name, operation }: { name: string; operation: Operation }): Html {
  const { operationId, summary, description, security, parameters = [], requestBody, responses } = operation;
  return html`<section class="card" aria-labelledby="${operationId}"><h3 id="${operationId}"><code>${name}</code></h3>
<p>${summary}. ${asked(security)}</p>
${description !== undefined && html`<p>${prose(description)}</p>`}
${
  parameters.length > 0 &&
  html`<details><summary>Parameters</summary>${table(
    ["Name", "In", "What it is"],
    parameters.map((one) => [
      html`<code>${one.name}</code>${one.required === true && " (required)"}`,
      one.in,
      prose(one.description ?? one.schema?.description ?? ""),
    ]),
    `Parameters of ${name}`,
  )}</details>`
}
${requestBody && bodies(requestBody.content, "Body", name)}
<details><summary>Answers</summary>${table(
    ["Status", "What it says", "Headers"],
    Object.entries(responses).map(([status, one]) => [
      status,
      one.description.split("\n\n").map((line) => html`<div>${prose(line)}</div>`),
      Object.keys(one.headers ?? {}).map((header) => html`<div><code>${header}</code></div>`),
    ]),
    `Answers to ${name}`,
  )}
${Object.entries(responses)
  .filter(([status]) => status.startsWith("2"))
  .map(([status, { content }]) => content && bodies(content, status, name))}</details>
</section>`;
}

/** Who may ask; left out, that is whoever has a key. */
function asked(security: Operation["security"]): string {
  if (security === undefined) return "";
  return security.length === 0 ? "Needs no key." : "Needs a key with the scope admin.";
}

function bodies(content: Content, what: string, of: string): Html[] {
  return Object.entries(content).map(([type, { schema }]) => shape(`${what}: ${type}`, schema ?? {}, of));
}

function shape(summary: string, schema: unknown, of: string): Html {
  const text = JSON.stringify(schema, null, 2);
  return html`<details><summary>${summary}</summary>
<pre class="scroll" tabindex="0" role="region" aria-label="${summary} of ${of}">${text}</pre></details>`;
}

function table(heads: string[], rows: unknown[][], name: string): Html {
  return html`<div class="scroll" role="region" aria-label="${name}" tabindex="0"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...rest]) =>
      html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}</tbody></table></div>`;
}

/** Text of the document, in which code stands between backticks. */
function prose(text: string): (string | Html)[] {
  return text.split("`").map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part));
}
