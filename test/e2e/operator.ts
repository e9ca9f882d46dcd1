import { setTimeout as sleep } from "node:timers/promises";
import type { LocalGateway } from "funmatch-gateway/dev";

/** A revoked key may work for so long. */
const REVOKED_WITHIN_MS = 3000;

/** What whoever runs a gateway does over HTTP, with an admin key, also after it was started again. */
export interface Operator {
  makeKey(team: string, scopes: ("train" | "eval")[]): Promise<string>;
  /** @returns ms until it was refused */
  revoke(key: string): Promise<number>;
  /** All keys that were revoked. */
  revoked: string[];
  /** What a key is answered. */
  statusOf(key: string): Promise<number>;
  setQuota(team: string, quota: object): Promise<void>;
  /** What a team was counted for training. */
  usageOf(team: string): Promise<{ calls: number; images: number }>;
}

/** @param gateway that which runs now */
export async function operatorOf(gateway: () => LocalGateway): Promise<Operator> {
  const { key: admin } = await gateway().createKey("ops", ["admin"]);
  const ids = new Map<string, string>();
  const revoked: string[] = [];

  async function call<Answer>(method: string, path: string, body?: object): Promise<Answer> {
    const answer = await fetch(`${gateway().url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${admin}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} /admin${path}: ${answer.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as Answer;
  }

  async function statusOf(key: string): Promise<number> {
    const headers = { authorization: `Bearer ${key}` };
    return (await fetch(`${gateway().url}/v1/quota`, { headers })).status;
  }

  return {
    revoked,
    statusOf,
    async makeKey(team, scopes) {
      const { id, key } = await call<{ id: string; key: string }>("POST", "/keys", { team, scopes });
      ids.set(key, id);
      return key;
    },
    async revoke(key) {
      await call("DELETE", `/keys/${ids.get(key)}`);
      revoked.push(key);
      const began = performance.now();
      while ((await statusOf(key)) !== 401) {
        if (performance.now() - began > REVOKED_WITHIN_MS) throw new Error("a revoked key still works");
        await sleep(20);
      }
      return Math.round(performance.now() - began);
    },
    setQuota: (team, quota) => call("PUT", `/teams/${team}/quota`, quota),
    async usageOf(team) {
      const { usage } = await call<{
        usage: { team: string; purpose: string; calls: number; images: number }[];
      }>("GET", "/usage");
      const rows = usage.filter((row) => row.team === team && row.purpose === "train");
      const sum = (of: "calls" | "images") => rows.reduce((total, row) => total + row[of], 0);
      return { calls: sum("calls"), images: sum("images") };
    },
  };
}
