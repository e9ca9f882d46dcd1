import type { Socket } from "node:net";
import { toProblem, WireError } from "@funmatch/wire";

/**
 * Answers what is no HTTP request: a body that ends before its announced length, bytes after it, broken headers.
 * There is no request object for it, so the answer is written by hand.
 */
export function answerUnparsable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const detail = detailOf(error.code);
  // Which protocol was meant is not known: `error` is where the Open Inference Protocol tells what is wrong.
  const problem = toProblem(new WireError("malformed", detail, { extra: { error: detail } }));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} Bad Request\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function detailOf(code: string | undefined): string {
  switch (code) {
    case "HPE_INVALID_EOF_STATE":
      return "the connection ended within a request: the body is shorter than its content-length";
    case "HPE_HEADER_OVERFLOW":
      return "the headers are too long";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "the headers did not arrive in time";
    case "HPE_INVALID_METHOD":
      return "this is no HTTP request, or the body before it was longer than its content-length";
    default:
      return `this is no valid HTTP request (${code ?? "unknown error"})`;
  }
}
