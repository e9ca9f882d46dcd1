/**
 * The tfjs function that asks for values, by its name in the stack: `whereAsync`, `Tensor.dataSync`. tfjs writes its
 * operations as functions whose names end in an underscore.
 */
export function readingOperation(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60;
  const frames = (new Error().stack ?? "").split("\n");
  Error.stackTraceLimit = limit;
  const operations = frames.flatMap(
    (frame) => /at (?:\w+\.)?([A-Za-z]\w*)_(?: \[as \w+\])? \(/.exec(frame)?.[1] ?? [],
  );
  const outermost = operations.at(-1);
  const method = frames.flatMap((frame) => /at (?:Tensor|Variable)\.(\w+) /.exec(frame)?.[1] ?? []).at(-1);
  if (outermost !== undefined)
    return operations[0] === outermost ? outermost : `${outermost} (${operations[0]})`;
  return method === undefined ? "the function" : `Tensor.${method}()`;
}
