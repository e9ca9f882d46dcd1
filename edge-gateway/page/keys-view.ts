import { html } from "hono/html";
import type { KeyRecord } from "../platform.ts";
import { dateAndTime, fullDate } from "./numbers.ts";
import type { Html } from "./plot.ts";

/** A team's keys: those that open the gateway, and those that no longer do. */
export function keysView(team: string, keys: KeyRecord[], revocable: boolean): Html {
  const isOver = ({ revokedAt, expiresAt }: KeyRecord) =>
    revokedAt !== null || (expiresAt !== null && Date.parse(expiresAt) <= Date.now());
  const good = keys.filter((key) => !isOver(key));
  const over = keys.filter(isOver);
  return html`<section aria-labelledby="keys"><h2 id="keys">Keys</h2>
${good.length === 0 ? html`<p class="empty">No key opens the gateway for this team.</p>` : table("Keys in use", good, revocable ? team : undefined)}
${over.length > 0 && html`<details><summary>Keys revoked or expired: ${over.length}</summary>${table("Keys revoked or expired", over, undefined)}</details>`}
</section>`;
}

function table(caption: string, keys: KeyRecord[], team: string | undefined): Html {
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table class="wide">
<caption>${caption}</caption>
<thead><tr><th scope="col">Key</th><th scope="col">For</th><th scope="col">Models</th><th scope="col">Made</th><th scope="col">Last used</th><th scope="col">Ends</th>
${team !== undefined && html`<th scope="col">Revoke</th>`}</tr></thead>
<tbody>${keys.map(
    (
      key,
    ) => html`<tr><th scope="row"><code title="${key.id}">${key.id.slice(0, 8)}</code></th><td>${key.scopes.join(", ")}</td>
<td>${key.models === null ? "all" : key.models.join(", ")}</td><td class="time">${fullDate(key.createdAt)}</td>
<td class="time">${key.lastUsedAt === null ? "never" : `${dateAndTime(key.lastUsedAt)} UTC`}</td><td class="time">${end(key)}</td>
${team !== undefined && html`<td>${revocation(team, key)}</td>`}</tr>`,
  )}</tbody></table></div>`;
}

function end({ revokedAt, expiresAt }: KeyRecord): string {
  if (revokedAt !== null) return `revoked ${fullDate(revokedAt)}`;
  return expiresAt === null ? "when revoked" : fullDate(expiresAt);
}

/** Two steps, as it cannot be undone. */
function revocation(team: string, { id }: KeyRecord): Html {
  const name = id.slice(0, 8);
  return html`<details class="confirm"><summary>Revoke<span class="unseen"> key ${name}</span></summary>
<form method="post" action="/page/teams/${team}/keys/${id}/revoke"><p>Whoever uses it is shut out, for good.</p><button class="danger">Revoke ${name}</button></form></details>`;
}
