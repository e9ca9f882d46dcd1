import { html } from "hono/html";
import type { Standing } from "../admin/teams.ts";
import type { Policy } from "../quota/quota.ts";
import { bytes, dateAndTime, exact, percent } from "./numbers.ts";
import type { Html } from "./plot.ts";

/** How much of its quota a team has left. */
export function quotaView({ quota, policies }: Standing): Html {
  return html`<section aria-labelledby="quota"><h2 id="quota">Quota left</h2>
${
  policies.length === 0
    ? html`<p class="empty">This team may use as much as it likes.</p>`
    : html`<ul class="limits">${policies.map((policy) => limit(policy, quota.imagesPerMinute))}</ul>`
}
</section>`;
}

function limit(policy: Policy, perMinute: number | null): Html {
  const { name, unit, quota } = policy;
  const left = Math.min(quota, Math.max(0, Math.floor(policy.remaining)));
  const amount = (n: number) => (unit === "bytes" ? bytes(n) : exact(n));
  const again = dateAndTime(Date.now() + (policy.resetSeconds ?? 0) * 1000);
  const { what, more } = {
    minute: { what: "Images now", more: `${exact(perMinute ?? 0)} a minute come back` },
    "in-flight": { what: "Images in flight", more: "free again when their calls end" },
    month: { what: "Images this month", more: `full again ${again} UTC` },
    "month-bytes": { what: "Data this month", more: `full again ${again} UTC` },
  }[name];
  return html`<li><div class="line"><span>${what}</span><span><strong>${amount(left)}</strong> of ${amount(quota)} left (${percent(left, quota)})</span></div>
<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" class="${left < quota / 10 ? "left low" : "left"}"><rect width="${((100 * left) / quota).toFixed(2)}" height="1"/></svg>
<p class="hint">${more}</p></li>`;
}
