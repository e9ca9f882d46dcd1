import { sha256 } from "@funmatch/wire";
import { vi } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { bearer, GATEWAY, seen, TEACHER } from "./client.ts";
import type { OriginState, SeenCall } from "./fake-teacher.ts";

/** What a test does to the way between the gateway and a teacher. */
export type Meddle = (
  request: { path: string; init: RequestInit },
  pass: () => Promise<Response>,
) => Promise<Response>;

/** A gateway in front of several fake teachers, each known to nobody else. */
export interface Several {
  url(name: string): string;
  /** Calls that were sent to a teacher, answered or not. */
  sent(name: string, path?: RegExp): number;
  meddle(name: string, how: Meddle | undefined): void;
  state(name: string, state: Partial<OriginState>): Promise<void>;
  fetch(
    path: string,
    request: RequestInit & { key: string },
    changed?: Record<string, unknown>,
  ): Promise<Response>;
  post(
    key: string,
    body: BodyInit,
    o?: { model?: string; headers?: Record<string, string> },
  ): Promise<Response>;
  /** The calls that were answered, of one team. */
  answered(team: string): Promise<SeenCall[]>;
}

let tests = 0;

/** What takes the connection away. */
export const refused: Meddle = () => Promise.reject(new TypeError("connection refused"));

/** Answers no logits before it is let. */
export function held(): { meddle: Meddle; release(): void } {
  const gate = Promise.withResolvers<void>();
  const meddle: Meddle = async ({ path }, pass) => {
    if (path.endsWith("/logits")) await gate.promise;
    return pass();
  };
  return { meddle, release: gate.resolve };
}

/** The version of the model `prof` of a teacher of this generation. */
export const versionOf = (generation: string) => sha256(new TextEncoder().encode(`prof ${generation}`));

/** Starts the teachers called so; call it in each test, since what a gateway learns of a teacher outlives the call. */
export function several(...names: string[]): Several {
  const run = `${++tests}${crypto.randomUUID().slice(0, 8)}`;
  const prefix = (name: string) => `/origin-${run}${name}`;
  const meddling = new Map<string, Meddle>();
  const sent: { name: string; path: string }[] = [];
  const real = globalThis.fetch;
  vi.stubGlobal("fetch", (input: URL | string, init: RequestInit = {}) => {
    const { pathname } = new URL(input);
    const name = names.find((one) => pathname.startsWith(`${prefix(one)}/`));
    if (name === undefined) return real(input, init);
    const path = pathname.slice(prefix(name).length);
    sent.push({ name, path });
    const pass = () => real(input, init);
    const answer = meddling.get(name)?.({ path, init }, pass) ?? pass();
    const gone = new Promise<never>((_, reject) =>
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason)),
    );
    return Promise.race([answer, gone]);
  });
  const url = (name: string) => `${TEACHER}${prefix(name)}`;
  const teachers = names.map((name) => ({ url: url(name) }));
  const ask: Several["fetch"] = async (path, { key, ...request }, changed = {}) =>
    createApp().fetch(
      new Request(GATEWAY + path, {
        ...request,
        headers: { ...bearer(key), ...(request.headers as Record<string, string>) },
      }),
      host.platform({ TEACHERS: JSON.stringify(teachers), ...changed }),
    );
  return {
    url,
    sent: (name, path = /logits$/) => sent.filter((one) => one.name === name && path.test(one.path)).length,
    meddle(name, how) {
      if (how === undefined) meddling.delete(name);
      else meddling.set(name, how);
    },
    async state(name, state) {
      await real(`${url(name)}/fake/state`, { method: "PUT", body: JSON.stringify(state) });
    },
    fetch: ask,
    post: (key, body, { model = "prof", headers = {} } = {}) =>
      ask(`/v1/models/${model}/logits`, {
        ...{ key, method: "POST", body },
        headers: {
          "content-type": "application/vnd.msgpack",
          "content-length": String((body as Uint8Array).length),
          ...headers,
        },
      }),
    async answered(team) {
      const calls = await seen(team);
      return calls.flatMap((call) =>
        call.origin.startsWith(run) ? [{ ...call, origin: call.origin.slice(run.length) }] : [],
      );
    },
  };
}
