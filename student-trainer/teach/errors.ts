import { UserError } from "@funmatch/config";

/** What was wrong with a teacher or its answer. */
export type TeacherFault =
  | "digest" // it answered for other bytes than were sent
  | "version" // it is not the teacher that the run began with
  | "shape" // its logits do not belong to this batch
  | "non-finite" // NaN or infinity among its logits
  | "malformed" // its answer cannot be read
  | "refused" // it will never answer this request: key, model name, limits
  | "unavailable"; // it gave no answer after every retry

/**
 * A teacher that cannot be used, or an answer that must not be learned from. Whoever gets one never
 * applies the step: an answer that fails a check is not asked for again, since it shows a fault in between.
 */
export class TeacherError extends UserError {
  override name = "TeacherError";
  readonly fault: TeacherFault;

  constructor(fault: TeacherFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}
