import { type Identity, signIdentity } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import { checkSigned, openAuth } from "../../teacher-service/request/auth.ts";

const asked = { method: "POST", path: "/v1/models/prof/logits", contentLength: 1000 };
const identity: Identity = {
  audience: "prof-service",
  team: "vision",
  requestId: "r1",
  timestamp: 0,
  purpose: "train",
  contentLength: 1000,
  digest: `sha256:${"0".repeat(64)}`,
};
const sign = (o: Partial<Identity> = {}, secret = "shared") =>
  signIdentity(secret, asked.method, asked.path, { ...identity, timestamp: Date.now() / 1000, ...o });
const open = (tokens: string[] = []) =>
  openAuth({ tokens, identity: { secret: "shared", audience: "prof-service", windowSeconds: 60 } });

describe("who may ask", () => {
  test("a bearer of any token", async () => {
    const authenticate = openAuth({ tokens: ["one", "two"] });
    expect(await authenticate({ ...asked, authorization: "Bearer two" })).toEqual({ team: "local" });
    await expect(authenticate({ ...asked, authorization: "Bearer three" })).rejects.toThrow("not one of");
    await expect(authenticate({ ...asked, authorization: "Basic two" })).rejects.toThrow("unauthenticated");
    await expect(authenticate(asked)).rejects.toThrow("send authorization");
  });

  test("everybody, when nothing is configured", async () => {
    expect(await openAuth({ tokens: [] })(asked)).toEqual({ team: "local" });
  });

  test("whom the gateway vouches for, once", async () => {
    const authenticate = open(["one"]);
    const header = await sign();
    expect((await authenticate({ ...asked, identity: header })).team).toBe("vision");
    await expect(authenticate({ ...asked, identity: header })).rejects.toThrow("used before");
    // A retry is signed anew and passes.
    await authenticate({ ...asked, identity: await sign() });
    await authenticate({ ...asked, authorization: "Bearer one" });
  });

  test.each([
    ["another secret", () => sign({}, "other")],
    ["another service", () => sign({ audience: "else" })],
    ["another length", () => sign({ contentLength: 999 })],
    ["long ago", () => sign({ timestamp: Date.now() / 1000 - 61 })],
    ["nonsense", async () => "v1.x.y"],
  ])("not a signature for %s", async (_why, header) => {
    await expect(open()({ ...asked, identity: await header() })).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("not whom another process may have let in: what was signed before the start comes too late", async () => {
    const header = await sign({ timestamp: Date.now() / 1000 - 2 });
    await expect(open()({ ...asked, identity: header })).rejects.toMatchObject({
      code: "loading",
      retryAfterSeconds: expect.closeTo(2, 1),
    });
  });

  test("a signature binds purpose and digest", async () => {
    const caller = await open()({ ...asked, identity: await sign() });
    checkSigned(caller, { purpose: "train", digest: identity.digest });
    expect(() => checkSigned(caller, { purpose: "eval", digest: identity.digest })).toThrow("forbidden");
    expect(() => checkSigned(caller, { purpose: "train" })).toThrow("forbidden");
    checkSigned({ team: "local" }, { purpose: "eval" });
  });
});
