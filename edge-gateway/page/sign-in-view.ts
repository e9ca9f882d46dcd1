import { html } from "hono/html";
import { layout } from "./layout.ts";
import type { Html } from "./plot.ts";

/** The page of those who are not signed in. */
export function signInView(o: { done?: string | undefined; wrong?: string[] } = {}): Html {
  return layout(
    { title: "Sign in", ...o },
    html`<form class="card narrow" method="post" action="/page/sign-in">
<label for="key">Your key</label>
<input id="key" name="key" type="password" required autocomplete="current-password" autocapitalize="none" spellcheck="false" maxlength="500" aria-describedby="key-hint">
<p class="hint" id="key-hint">It begins with <code>fm_</code> and your team's name. Whoever runs this gateway makes keys.</p>
<button>Sign in</button>
<p class="hint">You stay signed in for 8 hours, in this browser, and no longer than the key is good.</p>
</form>`,
  );
}
