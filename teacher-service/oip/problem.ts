import { problemResponse, type WireError } from "@funmatch/wire";

/** The protocol's own form of a refusal, with the status and headers of ours. */
export function errorResponse(error: WireError, headers?: HeadersInit): Response {
  const response = problemResponse(error, headers);
  response.headers.set("content-type", "application/json");
  const { status, headers: all } = response;
  return new Response(JSON.stringify({ error: error.detail }), { status, headers: all });
}

/** Whether a path is one of the protocol's. */
export function isOip(path: string): boolean {
  return path === "/v2" || path.startsWith("/v2/");
}
