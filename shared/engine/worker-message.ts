import { CaptureError } from "./capture-error.ts";
import { EngineError } from "./engine-error.ts";

/** What the main thread and an engine worker say to each other. */

export interface WorkerStart {
  module: string;
  init: unknown;
  /** Whether TensorFlow is loaded before the module. */
  engine: boolean;
}

/** Asks the thread to end itself. */
export interface WorkerStop {
  stop: true;
}

export interface WorkerCall {
  id: number;
  method: string;
  payload: unknown;
}

/** `id` is the call's, or STARTED for the answer to the start itself. */
export type WorkerAnswer = { id: number; result: unknown } | { id: number; error: PlainError };

export const STARTED = 0;

/** An error as it crosses threads: structured cloning would keep only the classes that JavaScript itself has. */
export interface PlainError {
  name: string;
  message: string;
  stack?: string;
  code?: string;
}

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const code = (error as { code?: unknown }).code;
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(typeof code === "string" && { code }),
  };
}

/** The error again: of this package's classes if it was one, else an Error that keeps its name. */
export function revivedError({ name, message, stack, code }: PlainError): Error {
  const known = { CaptureError, EngineError }[name];
  const error = known === undefined ? new Error(message) : new known(message);
  error.name = name;
  error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
