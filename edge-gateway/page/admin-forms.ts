import { html } from "hono/html";
import type { Standing } from "../admin/teams.ts";
import { SCOPES } from "../names.ts";
import type { OwnQuota } from "../quota/quota.ts";
import { exact } from "./numbers.ts";
import type { Html } from "./plot.ts";

/** What a form was filled in with, and which: it is shown again with what was wrong. */
export interface Entered {
  form: "quota" | "key";
  values: URLSearchParams;
}

/** A quota's limits, as people call them. */
export const LIMITS: { name: keyof OwnQuota; label: string }[] = [
  { name: "imagesPerMinute", label: "Images a minute" },
  { name: "burstImages", label: "Images at once, after a pause" },
  { name: "imagesInFlight", label: "Images in flight" },
  { name: "imagesPerMonth", label: "Images a month" },
  { name: "bytesPerMonth", label: "Bytes a month" },
];

/** What stands in a field for no limit. */
export const NO_LIMIT = "none";

/** The form that sets a team's own quota. */
export function quotaForm({ team, own, quota }: Standing, entered: Entered | undefined): Html {
  const given = entered?.form === "quota" ? entered.values : undefined;
  const value = (name: keyof OwnQuota) => {
    const limit = own[name];
    return given?.get(name) ?? (limit === null ? NO_LIMIT : limit === undefined ? "" : String(limit));
  };
  const hint = (name: keyof OwnQuota) => {
    const limit = quota[name];
    if (name === "burstImages" && limit === null)
      return quota.imagesPerMinute === null ? "Nothing without a limit a minute" : "Now: a minute's worth";
    return `Now: ${limit === null ? "no limit" : exact(limit)}${own[name] === undefined ? ", the gateway's default" : ""}`;
  };
  return html`<details class="card"${given && html` open`}><summary>Change the quota</summary>
<form method="post" action="/page/teams/${team}/quota">
<p id="quota-hint">A whole number, or <code>${NO_LIMIT}</code> for no limit. An empty field means what the gateway gives every team.</p>
<div class="fields">${LIMITS.map(
    ({ name, label }) => html`<div><label for="${name}">${label}</label>
<input id="${name}" name="${name}" autocapitalize="none" spellcheck="false" autocomplete="off" maxlength="30" value="${value(name)}" aria-describedby="${name}-hint quota-hint">
<p class="hint" id="${name}-hint">${hint(name)}</p></div>`,
  )}</div>
<button>Save the quota</button></form></details>`;
}

/** The form that makes a key. Its id is drawn here: a form that is sent twice makes one key. */
export function newKeyForm(team: string, entered: Entered | undefined): Html {
  const given = entered?.form === "key" ? entered.values : undefined;
  const scopes = given?.getAll("scopes") ?? ["train", "eval"];
  return html`<details class="card"${given && html` open`}><summary>Make a key</summary>
<form method="post" action="/page/teams/${team}/keys">
<input type="hidden" name="id" value="${crypto.randomUUID()}">
<fieldset><legend>What it is for</legend>${SCOPES.map(
    (
      scope,
    ) => html`<label class="check"><input type="checkbox" name="scopes" value="${scope}"${scopes.includes(scope) && html` checked`}>
${{ train: "train: labels for training, never stored", eval: "eval: evaluation, answered from the store where it can", admin: "admin: makes teams and keys, sets quotas" }[scope]}</label>`,
  )}</fieldset>
<div class="fields">
<div><label for="models">Models</label><input id="models" name="models" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="2000" value="${given?.get("models") ?? ""}" aria-describedby="models-hint"><p class="hint" id="models-hint">Names with commas between them. Empty: all, also later ones.</p></div>
<div><label for="ends">Last day</label><input id="ends" name="ends" type="date" value="${given?.get("ends") ?? ""}" aria-describedby="ends-hint"><p class="hint" id="ends-hint">In UTC. Empty: until it is revoked.</p></div>
</div>
<button>Make key</button></form></details>`;
}
