import type { InferHead } from "@funmatch/wire/oip";
import type { Context, Hono, MiddlewareHandler } from "hono";
import type { Env } from "../app.ts";
import type { Model } from "../life/model.ts";
import { readinessOf } from "../life/readiness.ts";
import { infer, type Protocol, requireModel } from "../request/inference.ts";
import type { Service } from "../service.ts";
import { encodeInferAnswer } from "./answer.ts";
import { checkVersion, configOf, metadataOf, SERVER } from "./metadata.ts";
import { announced, receiveInfer } from "./request.ts";

/**
 * Adds the Open Inference Protocol's routes. Health needs no credentials, as `/healthz` and `/readyz`; all else passes
 * `authenticated`.
 */
export function addOipRoutes(app: Hono<Env>, service: Service, authenticated: MiddlewareHandler<Env>): void {
  app.get("/v2/health/live", (c) => c.json({ live: true }));
  app.get("/v2/health/ready", (c) => {
    const { ready } = readinessOf(service);
    return c.json({ ready }, ready ? 200 : 503);
  });

  app.use("/v2/*", authenticated); // also /v2 itself
  app.get("/v2", (c) => c.json(SERVER));
  app.get("/v2/models", (c) => c.json({ models: [...service.models.keys()] }));
  for (const path of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    app.get(path, (c) => c.json(metadataOf(readyCard(c, service))));
    app.get(`${path}/config`, (c) => c.json(configOf(readyCard(c, service), service.limits)));
    app.get(`${path}/ready`, (c) => {
      const { id, state, version } = wantedModel(c, service).card();
      const ready = state === "ready" && !service.draining;
      if (ready) checkVersion(id, c.req.param("version"), version);
      return c.json({ name: id, ready }, ready ? 200 : 503);
    });
    app.post(`${path}/infer`, (c) => infer(c, service, protocolFor(c, service)));
  }
}

/** @throws WireError `unknown_model`, or `loading`, before which little is known of a model */
function readyCard(c: Context<Env>, service: Service) {
  const model = wantedModel(c, service);
  const { version } = model.requireReady();
  const card = model.card();
  checkVersion(card.id, c.req.param("version"), version);
  return card;
}

/** Whoever asks about one model is about to use it: it is loaded if it is not. */
function wantedModel(c: Context<Env>, service: Service): Model {
  const model = requireModel(service, c.req.param("model") ?? "");
  if (!service.draining) model.want();
  return model;
}

function protocolFor(c: Context<Env>, service: Service): Protocol<InferHead> {
  const model = c.req.param("model") ?? "";
  return {
    announced,
    checkAddressed: (version) => checkVersion(model, c.req.param("version"), version),
    receive(incoming, length, accept, signal) {
      const { resolution } = requireModel(service, model).card().input;
      return receiveInfer(incoming, length, accept, signal, resolution);
    },
    encode: encodeInferAnswer,
  };
}
