import { abortAllDurableObjects, createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { cloudflare } from "../../../edge-gateway/cloudflare.ts";
import type { Host } from "./host.ts";

export const host: Host = {
  name: "workerd",
  teacher: "http://teacher.test",
  issuer: "http://issuer.localhost",
  fetch: (path, request) => exports.default.fetch(`http://gateway.test${path}`, request),
  platform: (changed = {}) =>
    cloudflare(Object.keys(changed).length === 0 ? env : { ...env, ...changed }, createExecutionContext()),
  restart: abortAllDurableObjects,
  storedKey: (id) =>
    runInDurableObject(env.KEYS.get(env.KEYS.idFromName("keys")), (_, state) =>
      state.storage.sql.exec("SELECT * FROM keys WHERE id = ?", id).one(),
    ),
};
