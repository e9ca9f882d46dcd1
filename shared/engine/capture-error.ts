/**
 * A function that cannot become a graph, or a captured graph used against its declaration. The message names the
 * operation, input, state or output and says what would be right.
 */
export class CaptureError extends Error {
  override name = "CaptureError";
}
