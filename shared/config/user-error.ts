/**
 * A mistake of whoever runs the program: commands print its message as one line, without a stack trace,
 * and exit with status 2. Everything else that is thrown is a bug or a failure and keeps its stack.
 */
export class UserError extends Error {
  override name = "UserError";
}
