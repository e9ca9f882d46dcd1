import { CODES, problemResponse, readProblem, toProblem, WireError } from "@funmatch/wire";
import { describe, expect, test } from "vitest";

async function thereAndBack(error: WireError): Promise<WireError> {
  const response = problemResponse(error);
  return readProblem(response.status, await response.text(), response.headers);
}

test("an error travels as problem+json and arrives as the same error", async () => {
  const error = new WireError("loading", "prof is 40 % loaded", {
    retryAfterSeconds: 2.3,
    extra: { progress: 0.4 },
  });
  const response = problemResponse(error, { "x-request-id": "r1" });
  expect(response.status).toBe(503);
  expect(Object.fromEntries(response.headers)).toEqual({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "retry-after": "3",
    "x-request-id": "r1",
  });
  expect(await response.json()).toEqual({
    type: "urn:funmatch:problem:loading",
    title: "The model is still loading",
    status: 503,
    code: "loading",
    detail: "prof is 40 % loaded",
    progress: 0.4,
  });
  expect(await thereAndBack(error)).toMatchObject({
    code: "loading",
    status: 503,
    detail: "prof is 40 % loaded",
    retryAfterSeconds: 3,
    extra: { progress: 0.4 },
  });
});

test("codes have the statuses of the API", () => {
  expect(CODES).toEqual({
    malformed: 400,
    unauthenticated: 401,
    forbidden: 403,
    unknown_model: 404,
    not_found: 404,
    version_mismatch: 409,
    length_required: 411,
    too_large: 413,
    unsupported_media_type: 415,
    digest_mismatch: 422,
    shape_mismatch: 422,
    bad_dtype: 422,
    quota_exceeded: 429,
    overloaded: 429,
    internal: 500,
    upstream_unreachable: 502,
    loading: 503,
    deadline_exceeded: 504,
  });
});

test("the gateway tells its teacher's wrong digest as 502", async () => {
  const error = new WireError("digest_mismatch", "the teacher answered for other bytes", { status: 502 });
  expect(await thereAndBack(error)).toMatchObject({ code: "digest_mismatch", status: 502 });
});

test("refusals that mean later always say when: whole seconds, at least 1", () => {
  const retryAfter = (error: WireError) => problemResponse(error).headers.get("retry-after");
  expect(retryAfter(new WireError("overloaded", ""))).toBe("1");
  expect(retryAfter(new WireError("quota_exceeded", "", { retryAfterSeconds: 0 }))).toBe("1");
  expect(retryAfter(new WireError("loading", "", { retryAfterSeconds: Number.NaN }))).toBe("1");
  expect(retryAfter(new WireError("overloaded", "", { retryAfterSeconds: 61.2 }))).toBe("62");
  expect(retryAfter(new WireError("malformed", ""))).toBeNull();
});

test("extra members do not displace the standard's", () => {
  const error = new WireError("too_large", "65 images", {
    extra: { limit: "maxImages", code: "x", status: 200 },
  });
  expect(toProblem(error)).toMatchObject({ code: "too_large", status: 413, limit: "maxImages" });
});

describe("answers that no service of ours made", () => {
  const html =
    "<html><head><style>b{}</style><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>";

  test("a proxy's page becomes a code by its status, with its words and its retry-after", () => {
    expect(readProblem(502, html, new Headers())).toMatchObject({
      code: "upstream_unreachable",
      status: 502,
      detail: "status 502: 502 Bad Gateway nginx",
    });
    expect(readProblem(503, "", new Headers({ "retry-after": "120" }))).toMatchObject({
      code: "upstream_unreachable",
      status: 503,
      detail: "status 503",
      retryAfterSeconds: 120,
    });
  });

  test.each([
    [400, "malformed"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "not_found"],
    [405, "malformed"],
    [408, "deadline_exceeded"],
    [411, "length_required"],
    [413, "too_large"],
    [415, "unsupported_media_type"],
    [418, "malformed"],
    [429, "overloaded"],
    [500, "internal"],
    [504, "deadline_exceeded"],
    [507, "internal"],
    [522, "upstream_unreachable"],
  ])("status %d is %s", (status, code) => {
    for (const body of [
      "",
      "null",
      "[]",
      '"text"',
      '{"error":"x"}',
      '{"code":"constructor"}',
      '{"code":7}',
      "\u0000",
    ]) {
      expect(readProblem(status, body, new Headers())).toMatchObject({ code, status });
    }
  });

  test("retry-after may be a date, and nonsense in it is passed over", () => {
    const seconds = (value: string) =>
      readProblem(429, "", new Headers({ "retry-after": value })).retryAfterSeconds;
    const soon = seconds(new Date(Date.now() + 10_000).toUTCString());
    expect(soon).toBeGreaterThanOrEqual(9);
    expect(soon).toBeLessThanOrEqual(10);
    expect(seconds("Wed, 21 Oct 2015 07:28:00 GMT")).toBe(1);
    expect(seconds("0")).toBe(1);
    expect(seconds("soon")).toBeUndefined();
    expect(seconds("99999999999999999999")).toBeUndefined();
  });

  test("a problem of ours with odd members is still read", () => {
    const problem = readProblem(
      409,
      '{"code":"version_mismatch","title":"Other version","have":"sha256:1"}',
      new Headers(),
    );
    expect(problem).toMatchObject({
      code: "version_mismatch",
      detail: "Other version",
      extra: { have: "sha256:1" },
    });
  });
});
